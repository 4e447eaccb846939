"""The built-in menu of a target: what its backend does with precisions, for all operators alike."""

from __future__ import annotations

from predictors.latency.target import Target
from spaces.menu import OPERATORS, Menu


def menu_of(target: Target) -> Menu:
    """As data; a test holds it against what :func:`predictors.latency.capability.capabilities` finds by trying."""
    forms = {name: kernel.form for name, kernel in target.runtime.MENU.items()}
    return Menu(target.backend, target.backend, dict.fromkeys(OPERATORS, forms))
