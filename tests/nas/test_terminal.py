"""What a person sees: progress with rate and time left, plain lines off a terminal, nothing when quiet."""

from __future__ import annotations

import importlib
import io
from types import SimpleNamespace

import pytest

from nas.terminal import Terminal

module = importlib.import_module("nas.terminal")


class Screen(io.StringIO):
    """A stream that is a terminal, or not."""

    def __init__(self, live: bool) -> None:
        super().__init__()
        self.live = live

    def isatty(self) -> bool:
        return self.live


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Seconds that pass when the test says so."""
    made = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def worked(terminal: Terminal, clock: SimpleNamespace, outcome: str | None = None) -> None:
    """A stage of ten epochs, half a second each."""
    with terminal.stage(2, "train") as progress:
        for epoch in range(1, 11):
            clock.now += 0.5
            progress("epoch", epoch, 10, "loss 0.5")
        progress.outcome = outcome


def test_off_a_terminal_progress_is_a_line_every_two_seconds(clock: SimpleNamespace) -> None:
    """With what is done, rate, time left and a note; at the end what came of it and how long it took."""
    screen = Screen(live=False)
    worked(Terminal(stream=screen), clock, "10 epochs")
    assert screen.getvalue().splitlines() == [
        "2 train: epoch 4/10, 2.0/s, 3 s left, loss 0.5",
        "2 train: epoch 8/10, 2.0/s, 1 s left, loss 0.5",
        "2 train: 10 epochs (5.0 s)",
    ]


def test_on_a_terminal_progress_is_redrawn_in_place(clock: SimpleNamespace) -> None:
    """And wiped before the next line."""
    screen = Screen(live=True)
    worked(Terminal(stream=screen), clock)
    text = screen.getvalue()
    assert text.count("\r\x1b[K2 train: epoch") == 10
    assert text.endswith("\r\x1b[K2 train: done (5.0 s)\n")


def test_quiet_keeps_all_but_warnings_to_itself(clock: SimpleNamespace) -> None:
    """On a terminal too."""
    for live in (True, False):
        screen = Screen(live)
        terminal = Terminal(quiet=True, stream=screen)
        worked(terminal, clock)
        terminal.say("hello")
        terminal.warn("the disk is nearly full")
        assert screen.getvalue() == "warning: the disk is nearly full\n"


def test_a_stage_that_fails_says_nothing_of_an_outcome(clock: SimpleNamespace) -> None:
    """The error speaks for itself."""
    screen = Screen(live=False)
    with pytest.raises(ValueError, match="broken"), Terminal(stream=screen).stage(3, "profile"):
        raise ValueError("broken")
    assert screen.getvalue() == ""


def test_a_second_part_of_a_stage_has_a_rate_of_its_own(clock: SimpleNamespace) -> None:
    """Candidates, then exports: the clock starts anew."""
    screen = Screen(live=False)
    with Terminal(stream=screen).stage(6, "verify") as progress:
        clock.now += 10
        progress("candidate", 40, 40)
        progress("export", 1, 5)
        clock.now += 4
        progress("export", 3, 5)
    assert screen.getvalue().splitlines()[1] == "6 verify: export 3/5, 0.5/s, 4 s left"


def test_what_a_stopped_run_had_done_says_nothing_of_the_rate(clock: SimpleNamespace) -> None:
    """A search that goes on at trial 1,500 is not a thousand times as fast."""
    screen = Screen(live=False)
    with Terminal(stream=screen).stage(5, "search") as progress:
        for trial in range(1500, 1505):
            progress("trial", trial, 2000)
            clock.now += 1
    assert screen.getvalue().splitlines()[0] == "5 search: trial 1502/2000, 1.0/s, 498 s left"
