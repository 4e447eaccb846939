"""Where the ten features of HAT's tables stand in a space of ``family: transformer``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from spaces.architecture import Architecture
from spaces.choice import Value
from spaces.families.transformer import REACHES
from spaces.layers import Chosen, Record
from spaces.notations.base import WrongNotation

if TYPE_CHECKING:
    from spaces.space import Space

NAMES = (
    "encoder_embed_dim",
    "encoder_layer_num",
    "encoder_ffn_embed_dim_avg",
    "encoder_self_attention_heads_avg",
    "decoder_embed_dim",
    "decoder_layer_num",
    "decoder_ffn_embed_dim_avg",
    "decoder_self_attention_heads_avg",
    "decoder_ende_attention_heads_avg",
    "decoder_arbitrary_ende_attn_avg",
)
"""The features, in the order of the tables' columns."""
_AVERAGED = {"ffn": "mlp.up", "heads": "attention.mix", "cross_heads": "cross.mix"}


@dataclass(frozen=True)
class Slot:
    """Where one layer's value comes from: a choice, or (``None``) a constant; ``numbers``: as in the table -> value."""

    choice: str | None
    numbers: Mapping[int, Value]

    def read(self, values: Mapping[str, Value]) -> int:
        """The number that these values of choices give."""
        if self.choice is None:
            return next(iter(self.numbers))
        return next(n for n, v in self.numbers.items() if v == values[self.choice])


@dataclass(frozen=True)
class Feature:
    """One of the ten: over how many of its slots the average is taken, ``None`` if it is a single number."""

    name: str
    slots: tuple[Slot, ...]
    depth: Slot | None = None

    def of(self, architecture: Architecture) -> int | float:
        """Its number."""
        if self.depth is None:
            return self.slots[0].read(architecture)
        slots = self.slots[: self.depth.read(architecture)]
        return sum(s.read(architecture) for s in slots) / len(slots)


@lru_cache(maxsize=4)
def features(space: Space) -> tuple[Feature, ...]:
    """The ten features of a space, in the order of :data:`NAMES`. Raises :class:`WrongNotation` if it has others."""
    records = {record.path: record for record in space.outline.records}
    if "encoder.embedding" not in records or "decoder.embedding" not in records:
        raise WrongNotation(f"space {space.name} is not of family transformer, which the notation hat is for")
    found = tuple(
        Feature(name, slots, depth) for name, (slots, depth) in zip(NAMES, _slots(space, records), strict=True)
    )
    told = {s.choice for f in found for s in f.slots}
    if silent := [name for name in space.column if name not in told]:
        raise WrongNotation(f"the notation hat says nothing of {silent[0]}, which space {space.name} chooses")
    return found


def _slots(space: Space, records: Mapping[str, Record]) -> Iterator[tuple[tuple[Slot, ...], Slot | None]]:
    for side in ("encoder", "decoder"):
        layers = sum(f"{side}.{i}.mlp.up" in records for i in range(len(records)))
        depth = _depth(space, side, layers)
        yield (_slot(space, records[f"{side}.embedding"].out),), None
        yield (depth,), None
        for key, path in _AVERAGED.items():
            if side == "decoder" or key != "cross_heads":
                found = [records[f"{side}.{i}.{path}"] for i in range(layers)]
                yield tuple(_slot(space, r.out if key == "ffn" else r.heads) for r in found), depth
    yield tuple(_reach(space, records, f"decoder.{i}") for i in range(layers)), depth


def _depth(space: Space, side: str, layers: int) -> Slot:
    name = f"{side}.depth"
    return _slot(space, Chosen(name) if name in space.column else layers)


def _slot(space: Space, field: object) -> Slot:
    if isinstance(field, Chosen):
        return Slot(field.name, {int(v): v for v in space.choices[space.column[field.name]].values})
    if not isinstance(field, int):
        raise WrongNotation(f"space {space.name} writes mlp_ratio, where the notation hat has ffn")
    return Slot(None, {field: field})


def _reach(space: Space, records: Mapping[str, Record], layer: str) -> Slot:
    names = [f"{layer}.cross_reach", "decoder.cross_reach", "cross_reach"]
    name = next((n for n in names if n in space.column), None)
    if name is not None:
        return Slot(name, {REACHES[int(v)]: v for v in space.choices[space.column[name]].values})
    constant = next((n for n in (3, 2) if f"{layer}.last{n}" in records), 1)
    return Slot(None, {constant: constant})
