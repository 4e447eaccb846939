"""The built-in menu of a target: what its backend does with precisions."""

from __future__ import annotations

from predictors.latency.target import Target
from spaces.menu import OPERATORS, Menu


def menu_of(target: Target) -> Menu:
    """As data; a test holds it against what :func:`predictors.latency.capability.capabilities` finds by trying."""
    runtime = target.runtime
    forms = {o: {name: kernel.form for name, kernel in runtime.menu(o).items()} for o in OPERATORS}
    return Menu(target.backend, target.backend, forms)
