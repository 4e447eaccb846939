"""``report.html``: one file, works offline."""

from nas.report.page import html

__all__ = ["html"]
