"""Hardware-aware neural architecture search: from ``space.yaml`` to a quantized ONNX network within a measured budget.

Shape letters everywhere: ``b`` batch, ``c`` channels, ``h w`` space, ``d`` features, ``n`` architectures, ``k`` values
of a choice, ``m`` objectives. Units are in names: ``_ms``, ``_bytes``.

The public names are loaded on first use, so that ``import nas`` and ``nas --help`` load neither numpy nor torch.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.api import Search, search
    from nas.network import load_network
    from spaces import Architecture, Space

__version__ = "0.1.0"
__all__ = ["Architecture", "Search", "Space", "__version__", "load_network", "search"]

_ROOMS = ("spaces", "supernets", "predictors")
_PUBLIC = {
    "Architecture": "spaces",
    "Space": "spaces",
    "Search": "nas.api",
    "load_network": "nas.network",
    "search": "nas.api",
}


def _check_rooms() -> None:
    """Refuse to run on a foreign package that hides one of ours: the rooms have common names."""
    home = Path(__file__).resolve().parent.parent
    for room in _ROOMS:
        spec = importlib.util.find_spec(room)
        places = [] if spec is None else [Path(p).resolve() for p in spec.submodule_search_locations or []]
        if home / room not in places:
            found = places[0] if places else (spec.origin if spec else "nothing")
            raise ImportError(
                f"the package '{room}' of nas ({home / room}) is hidden by {found}; "
                "remove or rename that one, or change its place in sys.path"
            )


_check_rooms()


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'nas' has no attribute '{name}'; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
