"""Which groups of channels become choices, and dimensions as axes that read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from spaces import Choice
from spaces.axis import Axis, Factor
from spaces.choice import When
from spaces.layers import Field, Scaled
from spaces.yaml import nearest
from supernets.wrapping.atoms import Dim
from supernets.wrapping.errors import NotWrappable, wrong
from supernets.wrapping.options import Options, too_wide
from supernets.wrapping.rules.layers import GROUPS
from supernets.wrapping.rules.products import HEADS
from supernets.wrapping.walk import Step, Walk


@dataclass(frozen=True)
class Site:
    """A layer with a weight: its path and the dimensions of that, output channels first."""

    path: str
    step: Step
    weight: tuple[Dim, ...]


@dataclass
class Widths:
    """The choice of each atom that has one."""

    walk: Walk
    choices: list[Choice] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)  # atom -> its choice

    def decide(self, sites: Sequence[Site], options: Options, when: Mapping[str, When]) -> None:
        """One choice for each group of channels that can shrink, named after the first layer that makes it."""
        asked = self._asked(sites, options)
        readers = self._readers(when)
        taken: dict[str, int] = {}
        for site in sites:
            for dim in site.weight[:2]:
                for atom in self._free(dim):
                    if atom in self.names:
                        continue
                    size, plain = self.walk.atoms.of(atom).size, self._plain(atom, dim)
                    values = asked.get(atom) or options.of(size, options.width, plain)
                    if len(values) == 1:
                        continue
                    name = f"{site.path}.{self._word(atom, plain)}"
                    taken[name] = taken.get(name, 0) + 1
                    name = name if taken[name] == 1 else f"{name}_{taken[name]}"
                    self.names[atom] = name
                    self.choices.append(Choice(name, values, _common(readers[atom])))

    def _free(self, dim: Dim) -> Iterator[int]:
        for segment in self.walk.atoms.seen(dim):
            for atom in segment:
                if self.walk.atoms.of(atom).pin is None:
                    yield atom

    def _plain(self, atom: int, dim: Dim) -> bool:
        """Whether its places are channels, not heads or groups of them."""
        segments = [segment for segment in self.walk.atoms.seen(dim) if atom in segment]
        return segments[0] == (atom,)

    def _word(self, atom: int, plain: bool) -> str:
        tags = self.walk.atoms.of(atom).tags
        if HEADS in tags:
            return HEADS
        return GROUPS if GROUPS in tags and not plain else "width"

    def _readers(self, when: Mapping[str, When]) -> dict[int, list[When]]:
        """Atom -> conditions of each node that has it; what is held is there for whoever reads it."""
        found: dict[int, list[When]] = {}
        for name, step in self.walk.steps.items():
            if step.node.op == "held" or step.dims is None:
                continue
            each = [step.dims] if isinstance(step.dims, tuple) else step.dims
            reads = [self.walk.steps[ref].dims for ref in step.node.refs()]
            held = [dims for dims in reads if isinstance(dims, tuple)]
            for dims in (*each, *held):
                for dim in dims:
                    for atom in self._free(dim):
                        found.setdefault(atom, []).append(when.get(name, ()))
        return found

    def _asked(self, sites: Sequence[Site], options: Options) -> dict[int, tuple[int, ...]]:
        """Atom -> the values that were asked for by the path of a layer. Raises :class:`NotWrappable`."""
        paths = {site.path: site for site in sites}
        found: dict[int, tuple[int, ...]] = {}
        for path, widths in options.layers.items():
            if path not in paths:
                guess = nearest(path, paths)
                hint = f"did you mean '{guess}'?" if guess else f"layers are: {', '.join(list(paths)[:8])}"
                what = f"choices: no convolution or linear layer at '{path}'"
                raise NotWrappable(what, "unknown-layer", hint)
            rows = paths[path].weight[0]
            free = list(dict.fromkeys(self._free(rows)))
            most = self.walk.atoms.size(rows)
            if max(widths) > most:
                raise too_wide(path, max(widths), most)
            if len(free) != 1:
                why = self.reason(rows) if not free else "its channels are several groups that are chosen by themselves"
                hint = "leave it out, or choose the width of another layer"
                raise wrong(path, f"its output cannot be chosen here: {why}", "not-elastic", hint)
            found[free[0]] = self._whole(path, free[0], widths, most, found)
        return found

    def _whole(
        self, path: str, atom: int, widths: Sequence[int], most: int, found: Mapping[int, tuple[int, ...]]
    ) -> tuple[int, ...]:
        size = self.walk.atoms.of(atom).size
        each = most // size
        for width in widths:
            if width % each:
                word = self._word(atom, False)
                what = f"{width} channels are no whole number of {word} of {each} channels"
                raise wrong(path, what, f"indivisible-{word}", f"write multiples of {each}, up to {most}")
        values = tuple(sorted({width // each for width in widths} | {size}))
        if found.get(atom, values) != values:
            hint = "give both the same widths, or leave one out"
            raise wrong(path, "its channels are those of another layer, with other widths", "ambiguous", hint)
        return values

    def reason(self, dim: Dim) -> str:
        """Why a dimension cannot shrink."""
        atoms = [self.walk.atoms.of(a) for segment in self.walk.atoms.seen(dim) for a in segment]
        return next((a.pin for a in atoms if a.pin), "it has one place" if not atoms else "too few places")

    # -- dimensions as data

    def axis(self, dim: Dim) -> Axis:
        """The dimension without the batch."""
        batch = self.walk.atoms.root(self.walk.batch[0][0])
        segments = []
        for segment in self.walk.atoms.seen(dim):
            factors: list[Factor] = []
            for atom in segment:
                name, size = self.names.get(atom), self.walk.atoms.of(atom).size
                if atom == batch:
                    continue
                if name is None and factors and factors[-1].name is None:
                    factors[-1] = Factor(factors[-1].of * size)
                else:
                    factors.append(Factor(size, name))
            segments.append(tuple(factors))
        return Axis(_merged(segments))

    def size(self, dims: Sequence[Dim]) -> Field:
        """The product of dimensions, without the batch."""
        axes = [self.axis(dim) for dim in dims]
        fixed = prod(axis.most for axis in axes if not axis.names)
        product: Field = fixed
        for axis in axes:
            if axis.names:
                product = axis if product == 1 else Scaled(product, axis)
        return product


def _merged(segments: Sequence[tuple[Factor, ...]]) -> tuple[tuple[Factor, ...], ...]:
    """Neighbours of which nothing is chosen as one."""
    found: list[tuple[Factor, ...]] = []
    for factors in segments:
        fixed = all(f.name is None for f in factors)
        if fixed and found and all(f.name is None for f in found[-1]):
            found[-1] = (Factor(prod(f.of for f in found[-1]) + prod(f.of for f in factors)),)
        else:
            found.append(factors)
    return tuple(found)


def _common(conditions: Sequence[When]) -> When:
    """What holds wherever one of these holds."""
    return tuple(c for c in conditions[0] if all(c in other for other in conditions))
