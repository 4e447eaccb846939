"""Alternatives that differ in nothing but their kernels share weights: the smaller kernel is the middle of the larger.

Source: Sukthanker et al. 2024, "Weight-Entanglement Meets Gradient-Based Neural Architecture Search", section 3.
Differs: the alternatives share their batch norm too, whose statistics are those of the subnet in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from spaces.choice import Condition, Value
from spaces.extent import Extent
from spaces.layers import Record

Place = tuple[str, type, Value]
"""An alternative: the name of a choice, and the value under which its records are there."""


def owners(records: Sequence[Record], extents: Mapping[str, Extent]) -> dict[str, str]:
    """Path -> path of the record whose weights it shares, which has the larger kernel; of those that share.

    Two alternatives of a choice are one if they have the same records in the same order, but for kernels, and of the
    same largest widths.
    """
    alternatives: dict[Place, list[Record]] = {}
    for record in records:
        for place in _places(record):
            alternatives.setdefault(place, []).append(record)
    groups: dict[object, list[list[Record]]] = {}
    for (name, _, value), members in alternatives.items():
        form = tuple(_form(r, name, value, extents[r.path]) for r in members if r.kind != "select")
        groups.setdefault((name, form), []).append([r for r in members if r.kind != "select"])
    shared: dict[str, str] = {}
    for group in groups.values():
        kernels = [[extents[r.path].kernel for r in members] for members in group]
        largest = kernels.index(max(kernels, key=sum))
        for members, sizes in zip(group, kernels, strict=True):
            if members is not group[largest] and all(map(_inside, sizes, kernels[largest])):
                shared |= {r.path: owner.path for r, owner in zip(members, group[largest], strict=True)}
    return {path: shared.get(owner, owner) for path, owner in shared.items()}


def _inside(kernel: int, larger: int) -> bool:
    """Whether it can be the middle of the larger one."""
    return kernel <= larger and (larger - kernel) % 2 == 0


def _places(record: Record) -> Iterator[Place]:
    """The choices of words that it needs one value of."""
    for condition in record.exists_when:
        if len(condition.values) == 1 and isinstance(condition.values[0], str):
            yield condition.name, str, condition.values[0]


def _form(record: Record, name: str, value: Value, extent: Extent) -> object:
    """What two records of two alternatives have in common."""
    when = tuple(c for c in record.exists_when if c != Condition(name, (value,)))
    path = tuple(part for part in record.path.split(".") if part != value)
    bare = replace(record, path="", inputs=(), kernel=1, padding=None, precision="float", exists_when=when)
    return path, bare, replace(extent, kernel=1, h=1, w=1)
