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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
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
_JUDGED = 0.2
_LEAST_MS = 1e-4  # to start a kernel takes no less
_MACS_PER_MS = 1e4, 1e10  # a microcontroller runs more, and no device so many of one image
_WHOLE = re.compile(r"\d{1,9}(\.0*)?")
_MEASURED = re.compile(r"(?P<mean>[^+]+?)\s*\+-\s*(?P<deviation>.+)")
Size = Callable[[str], int]


@dataclass(frozen=True)
class Entry:
    """One row of a file: where it stands, of which kernel, its shapes, and a time, as ``"37.5 +- 0.3"`` too."""

    place: str
    kernel: str
    config: Mapping[str, Any]
    latency: Any


@dataclass(frozen=True)
class Kernels:
    """``ms`` (n,) of ``keys``; ``left_out``: kernel -> rows of it, which no layer of a space is."""

    keys: tuple[Key, ...]
    ms: Floats
    left_out: Mapping[str, int]

    def interpolation(self) -> Interpolation:
        """The times of all other keys."""
        return Interpolation.of(self.keys, self.ms.tolist(), 0.0)

    def kinds(self) -> set[str]:
        """Of which there are rows."""
        return set(map(kind, self.keys))


def kind(key: Key) -> str:
    """What a time must be known of before another one of it can be predicted."""
    if isinstance(key, BoundaryKey):
        return key.op
    grouped, form = amounts(key).kind[1], f" {key.weight}" if key.op in WEIGHTED else ""
    return f"{grouped} {key.op}{form}".strip() if isinstance(key, LayerKey) else f"traced {key.op}{form}"


def read(name: str, entries: Sequence[Entry], unit: str) -> Kernels:
    """The kernels of a file or folder ``name``. Several rows of one layer, as of ``conv-relu`` and ``conv-bn-relu``,
    count by their median.

    Raises :class:`TableError` with every problem: unknown unit or precision, shapes or times that are missing, no
    number, not finite or not above zero, rows that stand twice, a unit that cannot be, no kernel of a layer.
    """
    if unit not in UNITS:
        raise TableError(unknown("unit", unit, list(UNITS)))
    problems: list[str] = []
    found: dict[Key, list[float]] = {}
    seen: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for entry in entries:
        before = len(problems)
        same = f"{entry.kernel} {sorted(map(str, entry.config.items()))}"
        first = seen.setdefault(same, entry.place)
        if first != entry.place:
            problems.append(f"{entry.place}: the kernel of {first} again [duplicate]")
        time = _time(entry, unit, problems)
        key = _key(entry, problems)
        if key is None:
            left_out[entry.kernel] += len(problems) == before
        else:
            found.setdefault(key, []).append(time)
    refuse(problems)
    if not found:
        known = f"those of {', '.join(sorted(left_out))} are none" if left_out else "it is empty"
        raise TableError(f"{name}: no kernel of a layer: {known} [missing-row]")
    keys = tuple(sorted(found, key=str))
    ms = np.array([median(found[key]) for key in keys])
    _check_unit(name, keys, ms, unit)
    return Kernels(keys, ms, dict(left_out))


def held_out(kernels: Kernels, seed: int) -> tuple[list[Key], Floats, Floats]:
    """(a fifth of the keys, their predicted times from the others, their measured ones); of one key that itself."""
    order = generator(seed, "kernels.judged").permutation(len(kernels.keys))
    judged = order[: max(1, int(_JUDGED * len(order)))]
    seen = order[len(judged) :] if len(order) > 1 else order
    found = Interpolation.of([kernels.keys[i] for i in seen], kernels.ms[seen].tolist(), 0.0)
    keys = [kernels.keys[i] for i in judged]
    return keys, found.ms(keys), kernels.ms[judged]


def _time(entry: Entry, unit: str, problems: list[str]) -> float:
    parts = _MEASURED.fullmatch(str(entry.latency).strip())
    text = parts["mean"] if parts else entry.latency
    try:
        value = math.nan if isinstance(text, bool) else float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        problems.append(f"{entry.place}: latency: {entry.latency!r:.60} is not a time in {unit} [bad-value]")
    return UNITS[unit] * value


def _key(entry: Entry, problems: list[str]) -> Key | None:
    """The layer that a kernel is; ``None`` for a kernel that is none, and for one with a problem."""
    before = len(problems)

    def size(name: str) -> int:
        value = entry.config.get(name)
        whole = int(float(str(value))) if _WHOLE.fullmatch(str(value).strip()) else 0
        if whole < 1:
            given = f"{value!r:.60} is not a whole number above 0 [bad-value]"
            problems.append(f"{entry.place}: {name}: {'it is missing [missing-key]' if value in (None, '') else given}")
        return max(whole, 1)

    precision = entry.config.get("PRECISION") or "float"
    if precision not in _PRECISIONS:
        problems.append(f"{entry.place}: PRECISION: {unknown('precision', str(precision), list(_PRECISIONS))}")
        return None
    key = _layer(entry.kernel, entry.config, size, *_PRECISIONS[precision])
    return key if len(problems) == before else None


def _layer(kernel: str, config: Collection[str], size: Size, weight: str, form: str) -> Key | None:
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
            return layer("conv", c, c, size("KERNEL_SIZE"), size("STRIDES"), groups=c)
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
            widths = [size(name) for name in _CONCATENATED if name in config]
            if len(widths) > 1:
                fan = len(widths) if len(widths) != 2 else 0
                return layer("concat", widths[0], sum(widths), others=fan)
            return None
        case "multiply":
            return layer("multiply", size("CIN"), size("CIN"), others=1)
        case "quantize" | "dequantize":
            return BoundaryKey(first, size("CIN"), size("HW"), size("HW"))
        case _:
            return None


def _check_unit(name: str, keys: Sequence[Key], ms: Floats, unit: str) -> None:
    """Raise :class:`TableError` for times that cannot be in this unit."""
    heavy = [i for i, key in enumerate(keys) if key.op in WEIGHTED]
    rate = float(np.median([amounts(keys[i]).macs / ms[i] for i in heavy])) if heavy else _MACS_PER_MS[0]
    if np.median(ms) < _LEAST_MS or not _MACS_PER_MS[0] <= rate <= _MACS_PER_MS[1]:
        raise TableError(
            f"{name}: half of the kernels take {np.median(ms):.4g} ms: that cannot be in {unit} [wrong-unit]"
        )
