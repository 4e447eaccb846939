"""What all commands share: options, exit statuses, and how values and problems are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

WRONG_INPUT, NO_NETWORK, DISK = 2, 3, 74

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]


def checked(action: Callable[[], Any]) -> Any:
    """The action's value; our own errors become a message and an exit status."""
    from nas.api import Nothing
    from nas.files import Busy, DiskFull

    try:
        return action()
    except Nothing:
        raise
    except DiskFull as error:
        fail(f"{error}; free {error.needed_bytes} bytes or more, then resume", DISK)
    except (ValueError, Busy, RuntimeError, FileNotFoundError, PermissionError, NotADirectoryError) as error:
        if type(error).__module__.split(".")[0] in ("builtins",) and not isinstance(error, ValueError | OSError):
            raise  # a bug of ours, not the user's input
        fail(str(error), WRONG_INPUT)


def say(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Print a value as JSON or as text, on standard output."""
    print(json.dumps(value, indent=2) if as_json else text())


def fail(message: str, status: int) -> NoReturn:
    """Print a message on standard error and end with this status."""
    print(message, file=sys.stderr)
    raise typer.Exit(status)
