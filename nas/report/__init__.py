"""What a run shows: ``report.html`` (one file, works offline), tables for the terminal, a card for each network."""

from nas.report.card import card
from nas.report.page import html

__all__ = ["card", "html"]
