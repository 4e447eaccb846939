"""What cannot be wrapped, and what to do."""

from __future__ import annotations


class NotWrappable(ValueError):
    """A model that cannot become a supernet, or choices that do not fit it: (what, code, hint)."""

    def __init__(self, what: str, code: str, hint: str | None = None) -> None:
        super().__init__(what, code, hint)
        self.what, self.code, self.hint = what, code, hint

    def __str__(self) -> str:
        return f"{self.what} [{self.code}]" + ("" if self.hint is None else f"\n  hint: {self.hint}")


def wrong(where: str, what: str, code: str, hint: str) -> NotWrappable:
    """``where`` is a module's path, empty for the model itself."""
    return NotWrappable(f"{where or 'the model'}: {what}", code, hint)
