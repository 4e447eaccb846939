"""Entry point of the command. What takes time to load, the commands, loads after Ctrl-C is taken care of."""

from __future__ import annotations

from nas.interrupt import CtrlC


def main() -> None:
    """The command ``nas``."""
    CtrlC().listen()
    from nas.cli import app

    app()
