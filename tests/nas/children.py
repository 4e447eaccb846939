"""A ``nas`` command in a process of its own that notes what it works on, and kills itself at one step on the disk.

The kernel sees what it would see of ``kill -9`` at that instant. Measured times are replaced by fixed ones, so that an
interrupted run and an uninterrupted one can be compared to the last digit.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sklearn.gaussian_process
import sklearn.isotonic  # noqa: F401

import nas.pipeline  # loaded once, in the server that the processes are forked from
import nas.stages.verifier
from nas import files
from nas.cli import app
from nas.data import Shuffled
from nas.evaluate import Evaluator
from nas.evaluators.predictor import Predictions
from nas.terminal import Terminal
from predictors.latency.backends import onnxruntime as backend

Kill = tuple[int, int]
"""(stage, which of its steps on the disk, from 1)."""

_server = multiprocessing.get_context("forkserver")


def run(command: Sequence[str], notes: Path, kill: Kill | None = None) -> int:
    """The exit status of a command; minus the signal's number if it died of one."""
    _server.set_forkserver_preload([__name__])
    process = _server.Process(target=_child, args=(list(command), str(notes), kill))
    process.start()
    process.join(120)
    assert process.exitcode is not None, f"{command} hangs"
    status = process.exitcode
    process.close()
    return status


def noted(notes: Path) -> list[tuple[int, str]]:
    """(stage, what) of everything that was noted, of all processes so far."""
    lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
    return [(int(line.split()[0]), line.split()[1]) for line in lines]


class _Notes:
    """Where the process stands, and its diary: written at once, for it may be dead in a moment."""

    def __init__(self, path: str, kill: Kill | None) -> None:
        self.stage, self.steps, self.kill = 0, 0, kill
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def note(self, what: str) -> None:
        os.write(self._file, f"{self.stage} {what}\n".encode())

    def counted(self, owner: Any, name: str, what: str) -> None:
        """Note every call of ``owner.name``."""
        original = getattr(owner, name)

        @functools.wraps(original)
        def call(*arguments: Any, **options: Any) -> Any:
            self.note(what)
            return original(*arguments, **options)

        setattr(owner, name, call)

    def step(self, name: str, path: Path, action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """In place of :func:`nas.files._step`: die before the step, and half way through a write."""
        self.note("step")
        self.steps += 1
        if self.kill == (self.stage, self.steps):
            if name == "write":
                os.write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return action(*arguments, **options)


def _child(command: list[str], path: str, kill: Kill | None) -> None:
    notes = _Notes(path, kill)
    stage = Terminal.stage

    def staged(self: Terminal, number: int, title: str) -> Any:
        notes.stage, notes.steps = number, 0
        return stage(self, number, title)

    Terminal.stage = staged  # type: ignore[method-assign]
    files._step = notes.step
    os.fsync = lambda fd: None  # no power is cut here
    notes.counted(Shuffled, "epoch", "epoch")
    notes.counted(Evaluator, "logits", "evaluation")
    notes.counted(Predictions, "__call__", "prediction")
    notes.counted(backend, "prepared", "session")
    notes.counted(nas.stages.verifier, "deliver", "export")
    notes.counted(nas.stages.verifier, "measured", "measurement")
    _fixed_times()
    try:
        app([*command, "--quiet"])
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    os._exit(1)


def _fixed_times() -> None:
    """A call takes 10 microseconds and one more for each call before it in its batch."""
    probe: Any = importlib.import_module("predictors.latency.probe")

    def rounds(calls: Sequence[Any], once: Sequence[float], count: int, clock: Any) -> list[list[float]]:
        return [[1e-3 * (10 + i)] * count for i in range(len(calls))]

    probe._once = lambda call, clock: 1e-5
    probe._rounds = rounds
