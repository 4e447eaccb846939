"""Entry point of the command. The commands take a tenth of a second to load: after Ctrl-C is taken care of."""

from __future__ import annotations

from nas.interrupt import CtrlC


def main() -> None:
    """The command ``nas``."""
    CtrlC().listen()
    from nas.cli import app

    app()


if __name__ == "__main__":
    main()
