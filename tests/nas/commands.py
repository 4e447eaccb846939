"""What the tests of the command line share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from nas.cli import app
from tests.nas.tiny import Finished


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    exit_code: int
    stdout: str
    stderr: str


def nas(*arguments: str | Path) -> Done:
    """A command; its error, if it is none of ours, is raised here."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def chosen_or_first(finished: Finished) -> dict[str, Any]:
    """A finalist to work with; whether one keeps the budget is the machine's business."""
    row = finished.search.result()["finalists"][0]
    assert isinstance(row, dict)
    return row


def refused(done: Done, message: str) -> None:
    """Exit status 2, the whole message on standard error, nothing on standard output."""
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == f"{message}\n"
