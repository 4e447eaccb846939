"""Code of the user's own: a file may only name it, and the command line must allow its package."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection
from typing import Any

from spaces.yaml import Mark, Problems

_ENTRY = re.compile(r"([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)


class NotAllowed(ValueError):
    """Code that was not allowed, or is not there: (what, code, hint)."""

    def __str__(self) -> str:
        return "{} [{}]\n  hint: {}".format(*self.args)


def refusal(entry: str, plugins: Collection[str]) -> tuple[str, str, str] | None:
    """What is wrong with ``package.module:function``, its code and a hint; ``None`` if it is allowed. Runs nothing."""
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return f"{entry!r} does not name a function", "syntax", "write package.module:function"
    package = found[1]
    if package in plugins:
        return None
    allowed = f"allowed: {', '.join(sorted(plugins))}" if plugins else "no package is allowed"
    return f"'{entry}' is code of the package '{package}'; {allowed}", "plugin-needed", f"add --plugin {package}"


def check_allowed(mark: Mark, entry: Any, plugins: Collection[str], problems: Problems) -> None:
    """Note a problem at ``mark`` if ``entry`` is not allowed."""
    wrong = refusal(entry, plugins) if isinstance(entry, str) else None
    if wrong is not None:
        problems.add(mark, *wrong)


def function(entry: str, plugins: Collection[str]) -> Callable[..., Any]:
    """The function that ``entry`` names; imports its module. Raises :class:`NotAllowed`."""
    wrong = refusal(entry, plugins)
    if wrong is not None:
        raise NotAllowed(*wrong)
    name, _, attribute = entry.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # theirs: what it imports is not there
        what = f"no module '{error.name}' for '{entry}'"
        raise NotAllowed(what, "missing-module", "install the package, or put its folder into PYTHONPATH") from None
    made = getattr(module, attribute, None)
    if not callable(made):
        known = sorted(n for n, value in vars(module).items() if callable(value) and not n.startswith("_"))
        what = f"module '{name}' has no function '{attribute}'"
        raise NotAllowed(what, "missing-function", f"functions in it: {', '.join(known) or 'none'}")
    return made  # type: ignore[no-any-return]
