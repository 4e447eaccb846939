"""docs/data.md: its examples are read, and it names every dataset, key and default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nas.datasets import ENTRY, KINDS, read_data
from spaces.yaml import Problems, Section, read_text
from tests.nas.data.shared import options

TEXT = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_the_examples_are_read(example: str, tmp_path: Path) -> None:
    """Their files are not there; nothing else is wrong with them."""
    problems = Problems("data.md")
    read_data(Section(read_text(example, "data.md"), "", problems).section("data"), tmp_path / "space.yaml", problems)
    with_hint = [str(problem) for problem in problems._found if problem.code != "missing-file"]
    assert not with_hint


@pytest.mark.parametrize("name", sorted(set(KINDS) - {ENTRY, "huggingface"}))
def test_the_table_names_keys_and_defaults(name: str) -> None:
    """As the reader has them."""
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{name}`")]
    for key, default in options(name).items():
        shown = str(default).lower() if isinstance(default, bool) else default
        assert (f"`{key}`" if default is None else f"`{key}: {shown}`") in row
