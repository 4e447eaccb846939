"""Ctrl-C: a line that says what now, and the process ends, at once.

Python's own way, an exception, will not do: while a package loads it comes out as a traceback, or as that package's
ImportError. Ending at once is safe, for whatever is written survives ``kill -9``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 130


class CtrlC:
    """Handler of the signal. ``advice`` is what the line says after "interrupted"."""

    def __init__(self) -> None:
        self.advice = "nothing was written"
        self._held = self._pressed = False

    def listen(self) -> None:
        """From now on."""
        signal.signal(signal.SIGINT, self)

    def __call__(self, *_: object) -> None:
        """Ctrl-C was pressed."""
        self._pressed = True
        if not self._held:
            self._leave()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Ctrl-C has to wait for the end of this, after which another advice is right."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._pressed:
                self._leave()

    def _leave(self) -> None:
        os.write(2, f"\ninterrupted; {self.advice}\n".encode() if self.advice else b"\ninterrupted\n")
        os._exit(STATUS)


def current() -> CtrlC:
    """The handler that listens; one that does not, where Ctrl-C is none of ours: in tests and notebooks."""
    found = signal.getsignal(signal.SIGINT)
    return found if isinstance(found, CtrlC) else CtrlC()
