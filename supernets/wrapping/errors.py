"""What cannot be wrapped, and what to do."""

from __future__ import annotations


class NotWrappable(ValueError):
    """A model that cannot become a supernet, or choices that do not fit it; the message names the module."""


def wrong(where: str, what: str, code: str, hint: str) -> NotWrappable:
    """``where`` is a module's path, empty for the model itself."""
    return NotWrappable(f"{where or 'the model'}: {what} [{code}]\n  hint: {hint}")
