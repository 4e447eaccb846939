"""What a person sees while a command runs: stages, progress with rate and time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

_EVERY_S = 2.0


class Terminal:
    """Lines to ``stream`` (standard error, so that ``--json`` has standard output to itself).

    On a terminal progress is redrawn in place; elsewhere a plain line every two seconds at most. ``quiet`` keeps all
    but problems to itself.
    """

    def __init__(self, quiet: bool = False, stream: IO[str] | None = None) -> None:
        self.quiet = quiet
        self.stream = stream or sys.stderr
        self.log: Callable[[str], None] | None = None  # every line that is not progress goes here too
        self._live = not quiet and self.stream.isatty()
        self._open_line = False

    def say(self, text: str = "") -> None:
        """One line."""
        if self.log:
            self.log(text)
        if not self.quiet:
            self._end_line()
            print(text, file=self.stream, flush=True)

    def warn(self, text: str) -> None:
        """One line, also when quiet."""
        if self.log:
            self.log(f"warning: {text}")
        self._end_line()
        print(f"warning: {text}", file=self.stream, flush=True)

    @contextmanager
    def stage(self, number: int, title: str) -> Iterator[Progress]:
        """A numbered stage; says how long it took."""
        start = time.monotonic()
        progress = Progress(self, f"{number} {title}")
        yield progress
        self.say(f"{number} {title}: {progress.outcome or 'done'} ({time.monotonic() - start:.1f} s)")

    def draw(self, text: str) -> None:
        """Redraw the progress line, or print it where lines cannot be redrawn."""
        if self.quiet:
            return
        if self._live:
            print(f"\r\x1b[K{text}", end="", file=self.stream, flush=True)
            self._open_line = True
        else:
            print(text, file=self.stream, flush=True)

    @property
    def live(self) -> bool:
        """Whether lines can be redrawn."""
        return self._live

    def _end_line(self) -> None:
        if self._open_line:
            print("\r\x1b[K", end="", file=self.stream)
            self._open_line = False


class Progress:
    """Progress of one stage. ``outcome`` is what its last line says."""

    def __init__(self, terminal: Terminal, title: str) -> None:
        self.outcome: Any = None
        self._terminal = terminal
        self._title = title
        self._part: tuple[str, float, int] | None = None  # what, start, done at the start
        self._drawn = time.monotonic()

    def warn(self, text: str) -> None:
        """A line that stays, also when quiet."""
        self._terminal.warn(f"{self._title}: {text}")

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` of ``what``, e.g. epochs; draws at most every two seconds off a terminal."""
        now = time.monotonic()
        if self._part is None or self._part[0] != what or done < self._part[2]:  # a part may come once more
            self._part = (what, now, done)  # what was done before, by a run that was stopped, says nothing of the rate
        if now - self._drawn < (0.1 if self._terminal.live else _EVERY_S):
            return
        self._drawn = now
        rate = (done - self._part[2]) / max(now - self._part[1], 1e-9)
        left = f", {(total - done) / rate:.0f} s left" if rate > 0 else ""
        self._terminal.draw(f"{self._title}: {what} {done}/{total}, {rate:.1f}/s{left}{', ' + note if note else ''}")
