"""A latency table: measured rows by key, measured whole networks, and on what they were measured."""

from __future__ import annotations

import difflib
import math
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from predictors.latency.key import Key
from predictors.latency.probe import Timing

SCHEMA = 1
UNIT = "ms"
_QUARTILE = 0.6745  # of the normal distribution, in deviations
_LARGEST = sys.float_info.max


class TableError(ValueError):
    """A table that is damaged, of another schema or unit, or lacks a row; the message says which."""


@dataclass(frozen=True)
class Table:
    """``rows``: key as text -> its own time, that of a call taken off. ``networks``: architecture as JSON -> time of a
    whole call. All in milliseconds. ``call_ms``: time of an empty call. ``device``: fingerprint and run-time options.
    ``anchors``: architecture as JSON -> times of its sessions, to find the pace of the machine again, and how far
    sessions differ.
    """

    device: dict[str, Any]
    call_ms: float
    rows: Mapping[str, Timing]
    networks: Mapping[str, Timing]
    anchors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def spread(self) -> float:
        """Relative deviation of a session from others of the same network; 0 without anchors.

        Robust: from the median difference of two sessions.
        """
        pairs = [abs(math.log(a / b)) for times in self.anchors.values() for a, b in combinations(times, 2)]
        return statistics.median(pairs) / (_QUARTILE * math.sqrt(2)) if pairs else 0.0

    def ms(self, key: Key) -> float:
        """Time of one row. Raises :class:`TableError` naming the nearest keys if the row is absent."""
        name = str(key)
        if name not in self.rows:
            near = difflib.get_close_matches(name, self.rows, n=3, cutoff=0.0)
            raise TableError(f"the latency table has no row '{name}'; nearest: {', '.join(near) or 'none'}")
        return self.rows[name].median_ms

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
            return cls(dict(data["device"]), call_ms, rows, networks, anchors)
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
