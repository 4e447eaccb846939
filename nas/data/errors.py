"""What goes wrong with data."""

from __future__ import annotations


class DataError(ValueError):
    """A dataset is missing or damaged; the message names the file and what was expected."""
