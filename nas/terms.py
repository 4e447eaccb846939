"""What all commands share: options, exit statuses, and how values and problems are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

WRONG_INPUT, NO_NETWORK, DISK = 2, 3, 74

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]


def checked(action: Callable[[], Any], writes: tuple[str, Path] | None = None) -> Any:
    """The action's value; our own errors become a message and an exit status.

    ``writes``: the option that says where the action writes, and the path that it was given.
    """
    from nas.api import Nothing
    from nas.files import DiskFull
    from nas.problems import said, writing

    try:
        with writing(*writes) if writes else nullcontext():
            return action()
    except Nothing:
        raise
    except DiskFull as error:
        fail(said(error), DISK)
    except (ValueError, RuntimeError, OSError) as error:
        if type(error).__module__ == "builtins" and not isinstance(error, ValueError | OSError):
            raise  # a bug of ours, not the user's input
        fail(said(error), WRONG_INPUT)


def say(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Print a value as JSON or as text, on standard output."""
    print(json.dumps(value, indent=2) if as_json else text())


def fail(message: str, status: int) -> NoReturn:
    """Print a message on standard error and end with this status."""
    print(message, file=sys.stderr)
    raise typer.Exit(status)
