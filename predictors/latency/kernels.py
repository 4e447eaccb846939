"""Latency tables of single kernels that others measured, in the words of nn-Meter (Zhang et al. 2021, section 3).

A kernel there is what a runtime runs at once: ``conv-bn-relu`` with its ``HW`` (of the input), ``CIN``, ``COUT``,
``KERNEL_SIZE`` and ``STRIDES``. Here it becomes the row of a layer. Times of shapes that nobody measured are found by
kriging, as those of our own tables, where nn-Meter fits random forests; a network takes the sum, as there. Deviations:
``PRECISION`` (``float``, where absent, or ``w8a8``) may stand beside the shapes, and there may be rows of ``quantize``,
``dequantize`` and ``multiply``.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.latency.amounts import amounts
from predictors.latency.interpolation import Interpolation
from predictors.latency.key import BoundaryKey, Key, LayerKey
from predictors.latency.published import UNITS, refuse, unknown
from predictors.latency.table import TableError
from spaces.layers import WEIGHTED
from spaces.randomness import generator

Floats = NDArray[np.float64]
_PRECISIONS = {"float": ("f32", "f32"), "w8a8": ("w8c", "u8")}
_AFTER = {"relu": "relu", "relu6": "relu6", "hswish": "hard_swish", "swish": "swish"}
_CONCATENATED = ("CIN1", "CIN2", "CIN3", "CIN4")
_JUDGED, _JUDGED_OF = 0.2, 3  # share of the keys of a kind that predictions are judged by, if there are so many
_LEAST_MS, _MOST_MS = 1e-4, 1e7  # half of the kernels take more: to start one does; none takes hours
_SLOWEST_MACS_PER_MS = 1e4  # the fastest kernel, of a microcontroller, runs more
_SAME = 1e-9  # logs of sizes that are as large
_NUMBER = re.compile(r"[0-9.eE+-]+", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,9}(\.0*)?", re.ASCII)
_MEASURED = re.compile(r"(?P<mean>[^+]+?)\s*\+-\s*(?P<deviation>.+)")
Size = Callable[[str], int]


@dataclass(frozen=True)
class Entry:
    """One row of a file: where it stands, of which kernel, its shapes, and a time, as ``"37.5 +- 0.3"`` too; ``None``
    and zero are those of a run that failed."""

    place: str
    kernel: str
    config: Mapping[str, Any]
    latency: Any


@dataclass(frozen=True)
class Kernels:
    """``ms`` (n,) of ``keys``; ``left_out``: kernel -> rows of it, which no layer of a space is; ``untimed`` rows."""

    keys: tuple[Key, ...]
    ms: Floats
    left_out: Mapping[str, int]
    untimed: int = 0

    def interpolation(self) -> Interpolation:
        """The times of all other keys."""
        return Interpolation.of(self.keys, self.ms.tolist(), 0.0)

    def beyond(self, keys: Sequence[Key]) -> list[bool]:
        """Of each key whether it multiplies, reads, writes or spans more, or less, than all timed ones of its kind:
        then its time is extrapolated, and nobody knows how well."""
        sizes: dict[str, list[tuple[float, ...]]] = {}
        for key in self.keys:
            sizes.setdefault(kind(key), []).append(amounts(key).sizes)
        ends = {name: (np.min(of, axis=0), np.max(of, axis=0)) for name, of in sizes.items()}
        found = []
        for key in keys:
            low, high = ends[kind(key)]
            own = np.array(amounts(key).sizes)
            found.append(bool((own < low - _SAME).any() or (own > high + _SAME).any()))
        return found

    def kinds(self) -> set[str]:
        """Of which there are rows."""
        return set(map(kind, self.keys))


def kind(key: Key) -> str:
    """What a time must be known of before another one of it can be predicted."""
    if isinstance(key, BoundaryKey):
        return key.op
    grouped, form = amounts(key).kind[1], f" {key.weight}" if key.op in WEIGHTED else ""
    return f"{grouped} {key.op}{form}".strip() if isinstance(key, LayerKey) else f"traced {key.op}{form}"


def read(name: str, entries: Sequence[Entry], unit: str, problems: Sequence[str] = ()) -> Kernels:
    """The kernels of a file or folder ``name``, of which ``problems`` are known. Several rows of one layer, measured
    again or of ``conv-relu`` and ``conv-bn-relu``, count by their median.

    Raises :class:`TableError` with every problem: unknown unit or precision, shapes or times that are missing, no
    number, not finite or out of range, a unit that cannot be, fewer than two kernels of layers.
    """
    if unit not in UNITS:
        raise TableError(unknown("unit", unit, list(UNITS)))
    told = list(problems)
    found: dict[Key, list[float]] = {}
    left_out: Counter[str] = Counter()
    untimed = 0
    for entry in entries:
        before = len(told)
        key = _key(entry, told)
        if key is None:
            left_out[entry.kernel] += 1
            continue
        ms = _time(entry, unit, told)
        if len(told) == before and ms == 0:
            untimed += 1
        else:
            found.setdefault(key, []).append(ms)
    refuse(told)
    if len(found) < 2:
        others = f"; those of {', '.join(sorted(left_out))} are none" if left_out else ""
        raise TableError(f"{name}: two kernels of layers are the least, not {len(found)}{others} [missing-row]")
    keys = tuple(sorted(found, key=str))
    times = np.array([median(found[key]) for key in keys])
    _check_unit(name, keys, times, unit)
    return Kernels(keys, times, dict(left_out), untimed)


def held_out(kernels: Kernels, seed: int) -> tuple[list[Key], Floats, Floats]:
    """(a fifth of the keys of each kind, their predicted times from the others, their measured ones)."""
    rows: dict[str, list[int]] = {}
    for i in generator(seed, "kernels.judged").permutation(len(kernels.keys)).tolist():
        rows.setdefault(kind(kernels.keys[i]), []).append(i)
    judged = [i for of in rows.values() if len(of) >= _JUDGED_OF for i in of[: max(1, int(_JUDGED * len(of)))]]
    judged = judged or next(iter(rows.values()))[:1]
    seen = sorted(set(range(len(kernels.keys))) - set(judged))
    found = Interpolation.of([kernels.keys[i] for i in seen], kernels.ms[seen].tolist(), 0.0)
    keys = [kernels.keys[i] for i in judged]
    return keys, found.ms(keys), kernels.ms[judged]


def _time(entry: Entry, unit: str, problems: list[str]) -> float:
    said = "0" if entry.latency is None else str(entry.latency).strip()
    parts = _MEASURED.fullmatch(said)
    value, deviation = map(_number, (parts["mean"], parts["deviation"]) if parts else (said, "0"))
    ms = UNITS[unit] * value
    if not (0 <= ms <= _MOST_MS and deviation >= 0):
        problems.append(f"{entry.place}: latency: {entry.latency!r:.60} is not a time in {unit} [bad-value]")
    return ms


def _number(text: str) -> float:
    """NaN for what is none."""
    try:
        return float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    except ValueError:
        return math.nan


def _key(entry: Entry, problems: list[str]) -> Key | None:
    """The layer that a kernel is; ``None`` for a kernel that is none, and for one with a problem."""
    before = len(problems)

    @cache  # so that a problem is told once
    def size(name: str) -> int:
        value = entry.config.get(name)
        whole = int(float(str(value))) if _WHOLE.fullmatch(str(value).strip()) else 0
        if whole < 1:
            given = f"{value!r:.60} is not a whole number above 0 [bad-value]"
            problems.append(f"{entry.place}: {name}: {'it is missing [missing-key]' if value in (None, '') else given}")
        return max(whole, 1)

    if not entry.kernel:
        problems.append(f"{entry.place}: kernel: it is missing [missing-key]")
        return None
    precision = entry.config.get("PRECISION", "float")
    if not isinstance(precision, str) or precision not in _PRECISIONS:
        problems.append(f"{entry.place}: PRECISION: {unknown('precision', str(precision)[:60], list(_PRECISIONS))}")
        return None
    key = _layer(entry.kernel, entry.config, size, *_PRECISIONS[precision])
    if isinstance(key, LayerKey) and key.groups > 1 and key.c_out != key.c_in:
        problems.append(f"{entry.place}: COUT: {key.c_out} is not CIN, as of depthwise kernels [bad-value]")
    return key if len(problems) == before else None


def _layer(kernel: str, config: Mapping[str, Any], size: Size, weight: str, form: str) -> Key | None:
    """``None`` for the name of a kernel that no layer is."""
    first, *words = kernel.replace("global-", "global").replace("addrelu", "add-relu").split("-")
    words = [word for word in words if word != "bn"]
    if len(words) > 1 or not set(words) <= set(_AFTER):
        return None
    after = _AFTER[words[0]] if words else "none"

    def layer(op: str, c_in: int, c_out: int, taps: int = 1, stride: int = 1, groups: int = 1, others: int = 0) -> Key:
        hw = 1 if op == "linear" else size("HW")
        held = weight if op in WEIGHTED else "f32"
        return LayerKey(op, taps, stride, c_in, c_out, hw, hw, 1, held, form, form, after, groups, others=others)

    match first:
        case "conv":
            return layer("conv", size("CIN"), size("COUT"), size("KERNEL_SIZE"), size("STRIDES"))
        case "dwconv":
            c = size("CIN")
            c_out = c if config.get("COUT") in (None, "") else size("COUT")
            return layer("conv", c, c_out, size("KERNEL_SIZE"), size("STRIDES"), groups=c)
        case "fc":
            return layer("linear", size("CIN"), size("COUT"))
        case "maxpool" | "avgpool":
            op = "max_pool" if first == "maxpool" else "avg_pool"
            return layer(op, size("CIN"), size("CIN"), size("KERNEL_SIZE"), size("POOL_STRIDES"))
        case "globalavgpool":
            return layer("pool", size("CIN"), size("CIN"))
        case "add":
            return layer("add", size("CIN"), size("CIN"))
        case "concat":
            widths = [size(name) for name in _CONCATENATED[:2]]
            widths += [size(name) for name in _CONCATENATED[2:] if str(config.get(name) or 0) != "0"]
            return layer("concat", widths[0], sum(widths), others=len(widths) if len(widths) != 2 else 0)
        case "multiply":
            return layer("multiply", size("CIN"), size("CIN"), others=1)
        case "quantize" | "dequantize":
            return BoundaryKey(first, size("CIN"), size("HW"), size("HW"))
        case _:
            return None


def _check_unit(name: str, keys: Sequence[Key], ms: Floats, unit: str) -> None:
    """Raise :class:`TableError` for times that cannot be in this unit."""
    if np.median(ms) < _LEAST_MS:
        what = f"half of the kernels take less than {np.median(ms):.4g} ms"
        raise TableError(f"{name}: {what}: that cannot be in {unit} [wrong-unit]")
    rates = [amounts(key).macs / time for key, time in zip(keys, ms, strict=True) if key.op in WEIGHTED]
    if rates and max(rates) < _SLOWEST_MACS_PER_MS:
        what = f"no kernel does more than {max(rates):.4g} multiplications in a millisecond"
        raise TableError(f"{name}: {what}: that cannot be in {unit} [wrong-unit]")
