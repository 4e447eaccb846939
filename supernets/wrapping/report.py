"""What of a wrapped model is elastic, and what is not, with the reasons."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from spaces import Chosen, Space
from supernets.wrapping.sites import Layers
from supernets.wrapping.widths import Widths


@dataclass(frozen=True)
class Part:
    """A convolution or linear layer. ``reason``: why its output, or its input, cannot shrink; empty where both can."""

    path: str
    kind: str
    parameters: int
    output: bool
    input: bool
    precision: bool
    reason: str


@dataclass(frozen=True)
class Report:
    """Every layer with a weight, and the choices of depth (name, values)."""

    layers: tuple[Part, ...]
    depths: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def elastic_share(self) -> float:
        """Of the parameters of convolutions and linear layers, those in layers of which a width is chosen."""
        total = sum(part.parameters for part in self.layers)
        return sum(part.parameters for part in self.layers if part.output or part.input) / max(1, total)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"layers": [asdict(part) for part in self.layers], "depths": [[n, list(v)] for n, v in self.depths]}

    def __str__(self) -> str:
        """A line per depth, and per layer of which something is kept."""
        lines = [f"{sum(p.output or p.input for p in self.layers)} of {len(self.layers)} layers have elastic widths"]
        lines += [f"{name}: {list(values)}" for name, values in self.depths]
        lines += [f"{part.path}: {part.reason}" for part in self.layers if part.reason]
        return "\n".join(lines)


def report(space: Space, layers: Layers, widths: Widths) -> Report:
    """Of a space that was built from these layers."""
    parts = []
    precise = {r.path for r in space.outline.records if isinstance(r.precision, Chosen)}
    for w in layers.weighted.values():
        rows, columns = (bool(widths.axis(dim).names) for dim in w.weight[:2])
        said = [(rows, "output", w.weight[0]), (columns, "input", w.weight[1])]
        size = layers.walk.atoms.size
        why = [f"{name}: {widths.reason(dim)}" for elastic, name, dim in said if not elastic and size(dim) > 1]
        count = 0 if w.again else prod(map(size, w.weight)) + w.bias * size(w.weight[0])
        parts.append(Part(w.path, w.kind, count, rows, columns, w.path in precise, "; ".join(why)))
    depths = tuple((c.name, tuple(int(v) for v in c.values)) for c in space.choices if c.name.endswith(".depth"))
    return Report(tuple(parts), depths)
