"""Packages of a user's own, written where Python finds them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def write_package(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, code: str) -> None:
    """A package of one module in ``folder``, which is importable from now on; one of an earlier test is forgotten."""
    package = folder / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / f"{module}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    for known in [known for known in sys.modules if known.startswith(name)]:
        monkeypatch.delitem(sys.modules, known)
