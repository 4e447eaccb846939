"""How the latency tables of others name a network and its times: one entry per layout."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from spaces.notations.hat_features import NAMES

Row = Mapping[str, str]
_OFA = ("ks", "expand", "depth", "resolution")
_BESIDE = {"index", "iso_index", "measured_index"}


@dataclass(frozen=True)
class Layout:
    """``needs``: columns by which a file is known; ``text``: a network in the notation of the zoo's ``space``.

    ``times``: device -> columns whose sum is its time; empty: every further column is a device. ``unique``: a network
    may stand once only. ``numeric``: the needed columns are the features, and not the choices of the space.
    """

    space: str | None
    needs: tuple[str, ...]
    text: Callable[[Row], str]
    times: Mapping[str, tuple[str, ...]]
    ignores: Collection[str] = ()
    unique: bool = True
    numeric: bool = False

    def devices(self, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Device -> columns of its time."""
        beside = {*self.needs, *self.ignores, *_BESIDE}
        return dict(self.times) or {name: (name,) for name in columns if name not in beside}


LAYOUTS: dict[str, Layout] = {
    "hat": Layout(
        "hat",
        NAMES,
        lambda row: ",".join(row[name] for name in NAMES),
        {"latency": ("latency_mean_encoder", "latency_mean_decoder")},
        unique=False,  # the features are averages: different networks share them
        numeric=True,
    ),
    "ofa": Layout("ofa_mobilenetv3", _OFA, lambda row: ",".join(f"{name}={row[name]}" for name in _OFA), {}),
    "nasbench201": Layout("nasbench201", ("arch_str",), lambda row: row["arch_str"], {}, ignores=("ops",)),
    "fbnet": Layout("fbnet", ("ops",), lambda row: row["ops"], {}),
    "arch": Layout(None, ("arch",), lambda row: row["arch"], {}),
}


def layout_of(columns: Collection[str]) -> str | None:
    """Name of the first layout whose columns are all there."""
    return next((name for name, layout in LAYOUTS.items() if set(layout.needs) <= set(columns)), None)
