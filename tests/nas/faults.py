"""Faults at a step of writing: hooks for ``nas.files._step``, and work in a child that may die."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

Step = Callable[..., Any]


def dying(at: int, how: str) -> Step:
    """A hook under which the process dies at step ``at``."""
    count = itertools.count()

    def step(name: str, path: Path, action: Step, *arguments: Any) -> Any:
        if next(count) != at:
            return action(*arguments)
        if how == "exit":
            os._exit(9)
        if how == "kill after":
            action(*arguments)
        if how == "torn write" and name == "write":
            action(arguments[0], arguments[1][: len(arguments[1]) // 2], *arguments[2:])
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    return step


def failing(at: int, code: int, short: bool = False) -> Step:
    """A hook under which step ``at`` fails; with ``short`` half a write is done first and the rest fails."""
    count = itertools.count()

    def step(name: str, path: Path, action: Step, *arguments: Any) -> Any:
        number = next(count)
        if short and number == at and name == "write" and len(arguments[1]) > 1:
            return action(arguments[0], arguments[1][: len(arguments[1]) // 2], *arguments[2:])
        if number == at + short:
            raise OSError(code, os.strerror(code), str(path))
        return action(*arguments)

    return step


def forked(work: Callable[[], object]) -> int:
    """Start ``work`` in a child that ends with status 0, or 1 after an exception. Returns the process id."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return pid
