"""A latency table: measured rows by key, measured whole networks, and on what they were measured."""

from __future__ import annotations

import difflib
import math
import statistics
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any

from predictors.latency.interpolation import Interpolation
from predictors.latency.key import Key
from predictors.latency.probe import Timing

SCHEMA = 1
UNIT = "ms"
QUARTILE = 0.6745  # of the normal distribution, in deviations
_LARGEST = sys.float_info.max


class TableError(ValueError):
    """A table that is damaged, of another schema or unit, or lacks a row; the message says which."""


@dataclass(frozen=True)
class Table:
    """``rows``: key as text -> its own time, that of a call taken off. ``networks``: architecture as JSON -> time of a
    whole call. All in milliseconds. ``call_ms``: time of an empty call. ``device``: fingerprint and run-time options.
    ``anchors``: architecture as JSON -> times of its sessions, to find the pace of the machine again, and how far
    sessions differ. ``predicted``: key as text -> time that ``interpolation`` found for want of a measured one.
    """

    device: dict[str, Any]
    call_ms: float
    rows: Mapping[str, Timing]
    networks: Mapping[str, Timing]
    anchors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    predicted: Mapping[str, float] = field(default_factory=dict)
    interpolation: Interpolation | None = field(default=None, compare=False)

    @property
    def spread(self) -> float:
        """Relative deviation of a session from others of the same network; 0 without anchors.

        Robust: from the median difference of two sessions.
        """
        pairs = [abs(math.log(a / b)) for times in self.anchors.values() for a, b in combinations(times, 2)]
        return statistics.median(pairs) / (QUARTILE * math.sqrt(2)) if pairs else 0.0

    def ms(self, key: Key) -> float:
        """Time of one row, measured or predicted.

        Raises :class:`TableError` naming the nearest keys if the row is absent, and the table has no interpolation.
        """
        name = str(key)
        if name not in self.rows:
            if name in self.predicted:
                return self.predicted[name]
            if self.interpolation is not None:
                return float(self.interpolation.ms([key])[0])
            near = difflib.get_close_matches(name, self.rows, n=3, cutoff=0.0)
            raise TableError(f"the latency table has no row '{name}'; nearest: {', '.join(near) or 'none'}")
        return self.rows[name].ms

    def completed(self, keys: Collection[Key]) -> Table:
        """The same with a predicted row for each of these keys that has none, and an interpolation for any other.

        Raises :class:`TableError` if none of the keys was measured.
        """
        known = sorted((key for key in keys if str(key) in self.rows), key=str)
        if not known:
            raise TableError("nothing can be predicted: the latency table has measured none of the keys of this space")
        found = Interpolation.of(known, [self.rows[str(key)].ms for key in known], self.call_ms)
        there = {*self.rows, *self.predicted}
        absent = sorted((key for key in keys if str(key) not in there), key=str)
        times = dict(zip(map(str, absent), found.ms(absent).tolist(), strict=True))
        return replace(self, predicted={**self.predicted, **times}, interpolation=found)

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` reads it back."""
        return {
            "schema": SCHEMA,
            "unit": UNIT,
            "device": self.device,
            "call_ms": self.call_ms,
            "rows": {key: asdict(timing) for key, timing in self.rows.items()},
            "networks": {key: asdict(timing) for key, timing in self.networks.items()},
            "anchors": {key: list(times) for key, times in self.anchors.items()},
            "predicted": dict(self.predicted),
        }

    @classmethod
    def from_json(cls, data: Any, source: str) -> Table:
        """Read :meth:`to_json`. Raises :class:`TableError` naming ``source`` and the row that is wrong."""
        if not isinstance(data, dict) or data.get("schema") != SCHEMA or data.get("unit") != UNIT:
            raise TableError(f"{source}: not a latency table of schema {SCHEMA} in {UNIT}")
        try:
            call_ms = _time(data["call_ms"], f"{source}: call_ms", zero=True)
            rows = {key: _timing(row, f"{source}: row '{key}'", zero=True) for key, row in data["rows"].items()}
            networks = {key: _timing(row, f"{source}: network {key}") for key, row in data["networks"].items()}
            anchors = {
                key: tuple(_time(ms, f"{source}: anchor {key}", zero=False) for ms in times)
                for key, times in data.get("anchors", {}).items()
            }
            predicted = {
                key: _time(ms, f"{source}: predicted row '{key}'", zero=True)
                for key, ms in data.get("predicted", {}).items()
            }
            return cls(dict(data["device"]), call_ms, rows, networks, anchors, predicted)
        except TableError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise TableError(f"{source}: damaged table: {error!r}") from error


def _timing(row: Mapping[str, Any], where: str, zero: bool = False) -> Timing:
    return Timing(
        _time(row["median_ms"], where, zero),
        _time(row["p20_ms"], where, zero),
        _number(row["spread"], where, "a spread"),
        int(_number(row["rounds"], where, "a count")),
    )


def _time(value: Any, where: str, zero: bool) -> float:
    if _number(value, where, f"a time in {UNIT}") == 0 and not zero:
        raise TableError(f"{where}: a network cannot take no time")
    return float(value)


def _number(value: Any, where: str, what: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise TableError(f"{where}: {value!r:.60} is not {what}")
    return float(value)
