"""Ctrl-C at chosen instants, in a process of its own: status 130 and one line that says what now."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nas import interrupt
from nas.run import Run
from tests.nas.tiny import TINY

ROOT = Path(__file__).parents[2]
START = "import os, signal, sys\nfrom nas.start import main\npress = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"


def pressed(instant: str, folder: Path, *arguments: str) -> str:
    """Standard error of a command in ``folder`` whose code ``instant`` presses Ctrl-C; its status is 130."""
    code = f"{START}{instant}\nsys.argv = ['nas', *{list(arguments)!r}]\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env={"PYTHONPATH": str(ROOT)}
    )
    assert (done.returncode, done.stdout) == (130, "")
    return done.stderr


def test_while_the_commands_load(tmp_path: Path) -> None:
    """The first thing that they import."""
    instant = "class Finder:\n    def find_spec(self, name, *_):\n        name == 'typer' and press()\n"
    said = pressed(f"{instant}sys.meta_path.insert(0, Finder())", tmp_path, "search", "digits")
    assert said == "\ninterrupted; nothing was written\n"


def test_while_a_package_loads_that_makes_something_else_of_it(tmp_path: Path) -> None:
    """An exception there would come out as an ImportError."""
    instant = """
class Finder:
    def find_spec(self, name, *_):
        if name == 'torch':
            try:
                press()
            except BaseException:
                raise ImportError('initialization failed')
sys.meta_path.insert(0, Finder())"""
    assert pressed(instant, tmp_path, "search", "digits") == "\ninterrupted; nothing was written\n"
    assert list(tmp_path.iterdir()) == []


def test_while_the_run_is_made_it_is_made_first(tmp_path: Path) -> None:
    """Half a run could not be resumed; a name with a space is quoted, so that the line can be pasted."""
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    instant = "from nas import files\nmake = files.new_folder\n"
    instant += "files.new_folder = lambda *given: (press(), make(*given))[1]"
    said = pressed(instant, tmp_path, "search", "tiny.yaml", "--runs", "my runs")
    assert said == "\ninterrupted; go on with: nas resume tiny-1 --runs 'my runs'\n"
    assert Run.open(tmp_path / "my runs", "tiny-1").start["seed"] == 0


def test_commands_without_a_run_of_their_own_promise_nothing(tmp_path: Path) -> None:
    """They may have written what they were told to."""
    instant = "import nas.run\nnas.run.list_runs = press"
    assert pressed(instant, tmp_path, "runs") == "\ninterrupted\n"


def test_where_ctrl_c_is_none_of_ours_nothing_is_installed() -> None:
    """In tests and notebooks it stays an exception."""
    handler = signal.getsignal(signal.SIGINT)
    assert not isinstance(handler, interrupt.CtrlC)
    with interrupt.current().held():
        assert signal.getsignal(signal.SIGINT) is handler


def test_the_entry_point_loads_nothing_before_ctrl_c_is_taken_care_of() -> None:
    """It is the one of the package, and importing it imports no command."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"nas": "nas.start:main"}
    code = "import nas.start, sys; print('typer' in sys.modules, 'nas.cli' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "False False\n"


@pytest.mark.parametrize("advice", ["", "nothing was written"])
def test_a_press_during_what_must_not_be_stopped_waits(advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not forgotten."""
    ends: list[str] = []
    monkeypatch.setattr("os.write", lambda _, data: ends.append(data.decode()))
    monkeypatch.setattr("os._exit", lambda status: ends.append(str(status)))
    ctrl_c = interrupt.CtrlC()
    with ctrl_c.held():
        ctrl_c()
        ctrl_c.advice = advice
        assert ends == []
    assert ends == [f"\ninterrupted; {advice}\n" if advice else "\ninterrupted\n", "130"]
