"""Importing nas: quick, quiet about what it does not need, and not to be taken in by foreign packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nas

HEAVY = ("torch", "numpy", "optuna", "ray", "onnx", "onnxruntime", "sklearn", "scipy", "plotly", "pandas")
HOME = Path(nas.__file__).parent.parent


def python(code: str, first: Path | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter; ``first`` stands at the head of its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(p) for p in (first, HOME) if p)}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=cwd or first
    )


LOADED = f"import sys; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
HELP = f"""\
import sys
from nas.cli import app
try:
    app({{arguments}})
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", sorted(set({HEAVY!r}) & set(sys.modules)))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["runs", "--runs", "nowhere"]], ids=" ".join)
def test_help_and_listing_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    """Neither torch nor numpy nor any other package that takes its time; ``runs`` may need numpy, no more."""
    done = python(HELP.format(arguments=arguments), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.splitlines()[-1]
    assert loaded in ("loaded: []", "loaded: ['numpy']") if arguments[0] == "runs" else loaded == "loaded: []"


def test_importing_nas_loads_nothing_heavy() -> None:
    """Public names are loaded on first use."""
    done = python(f"import nas\n{LOADED}")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_public_names_are_there_and_are_all() -> None:
    """A change of this list is a decision."""
    assert nas.__all__ == ["Architecture", "Search", "Space", "__version__", "load_network", "search"]
    assert dir(nas) == sorted(nas.__all__)
    for name in nas.__all__:
        assert getattr(nas, name) is not None
    assert nas.Space.__module__ == "spaces.space"


def test_an_unknown_name_lists_the_public_ones() -> None:
    """As the message of an AttributeError."""
    names = "Architecture, Search, Space, __version__, load_network, search"
    message = f"module 'nas' has no attribute 'serach'; public names: {names}"
    with pytest.raises(AttributeError, match=rf"\A{re.escape(message)}\Z"):
        nas.serach  # noqa: B018


@pytest.mark.parametrize("room", ["spaces", "supernets", "predictors"])
@pytest.mark.parametrize("form", ["package", "module"])
def test_a_foreign_package_that_hides_a_room_is_named(tmp_path: Path, room: str, form: str) -> None:
    """Rooms have common names: rather no import than half of somebody else's."""
    place = tmp_path / room / "__init__.py" if form == "package" else tmp_path / f"{room}.py"
    place.parent.mkdir(exist_ok=True)
    place.write_text("", encoding="utf-8")
    done = python("import nas", first=tmp_path)
    found = place.parent if form == "package" else place
    message = (
        f"ImportError: the package '{room}' of nas ({HOME / room}) is hidden by {found}; remove or rename that one, or "
        "change its place in sys.path"
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == message


def test_a_folder_without_code_hides_nothing(tmp_path: Path) -> None:
    """A user's folder ``spaces`` with yaml files in it is no package."""
    (tmp_path / "spaces").mkdir()
    done = python("import nas, spaces; print(spaces.__file__)", first=tmp_path, cwd=tmp_path)
    assert done.stdout.strip() == str(HOME / "spaces" / "__init__.py")


def test_an_absent_room_is_named(tmp_path: Path) -> None:
    """Half an installation."""
    (tmp_path / "nas").mkdir()
    source = (HOME / "nas" / "__init__.py").read_text(encoding="utf-8")
    (tmp_path / "nas" / "__init__.py").write_text(source, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import nas"], capture_output=True, text=True, timeout=60, check=False,
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert f"the package 'spaces' of nas ({tmp_path / 'spaces'}) is hidden by nothing" in done.stderr
