"""docs/wrap.md: its examples run in the order in which they stand."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = (Path(__file__).parents[3] / "docs" / "wrap.md").read_text(encoding="utf-8")


def test_the_examples_run() -> None:
    """All of Python but the function that has only its last line."""
    code = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "    ...\n" not in block]
    assert len(code) == 3
    names: dict[str, object] = {}
    for block in code:
        exec(block, names)
