"""What goes wrong with data."""

from __future__ import annotations


class DataError(ValueError):
    """A dataset is missing or damaged: ``place: what [code]``, the place being the file; and a hint if there is one."""

    def __init__(self, place: object, what: str, code: str, hint: str | None = None) -> None:
        super().__init__(str(place), what, code, hint)  # all of them, so that it survives pickling to another process

    def __str__(self) -> str:
        place, what, code, hint = self.args
        return f"{place}: {what} [{code}]" + (f"\n  hint: {hint}" if hint else "")
