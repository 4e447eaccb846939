"""The expected latency of networks whose choices are drawn independently: a sum of small tables, each contracted.

Every layer's time, conversions included, depends on few choices (:mod:`predictors.latency.dependence`). It is tabulated
over all their combinations once, by the same code that predicts; its expectation is that table times the probabilities
of each choice in turn: products over neighbours, depths and optional parts, whatever made the entries differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from predictors.latency.dependence import Dependence, Grid, Names, TooManyChoices, combinations
from predictors.latency.sums import CACHES_BYTES
from spaces import Choice, Space, Value
from spaces.restrict import narrowed
from spaces.yaml import nearest

if TYPE_CHECKING:
    from predictors.latency.model import LatencyModel

_UNEVEN = 1e-3  # what probabilities may miss 1 by
_CHUNK = 2**13  # architectures resolved at a time
_LARGE = 2**12  # combinations from which on a choice that layers are there for is taken value by value
_PARTS = 256  # of a space that are looked into

Given = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Term:
    """``values``: an axis for each of ``names``, and a last one for what is summed: time in ms, bytes of weights.

    ``given``: choices, and the places of the only values of them that it is about.
    """

    names: tuple[str, ...]
    values: Tensor
    given: Given = ()

    def mean(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Expected sums (2,), times the probability of what is given."""
        found = self.values.movedim(-1, 0)
        for name in reversed(self.names):
            found = found @ weights[name]
        for name, place in self.given:
            found = found * weights[name][place]
        return found


@dataclass(frozen=True)
class Expectation:
    """See :meth:`predictors.latency.LatencyModel.expected`. All in double precision."""

    space: Space
    terms: Sequence[Term]
    least_ms: float
    call_ms: float
    ms_per_mib: Tensor

    @classmethod
    def of(cls, model: LatencyModel) -> Expectation:
        """Tabulate a model; what is raised there is said there too."""
        records = [i for i, r in enumerate(model.space.outline.records) if r.kind != "select"]
        terms = _Tables(model).terms(Dependence(model.space), records)
        return cls(model.space, _joined(terms), model.table.call_ms, model.call_ms, torch.from_numpy(model.ms_per_mib))

    def __call__(self, weights: Mapping[str, Tensor]) -> Tensor:
        """The expected time in ms; ``weights`` as the method has them."""
        known = self._checked(weights)
        time, size = torch.stack([term.mean(known) for term in self.terms]).sum(dim=0)
        beyond = torch.relu(size - torch.from_numpy(CACHES_BYTES)) / 2**20
        return torch.clamp(time + self.call_ms + self.ms_per_mib @ beyond, min=self.least_ms)

    def _checked(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for c in self.space.choices:
            if c.name not in weights:
                near = nearest(c.name, weights)
                hint = f"\n  hint: is it '{near}'?" if near else ""
                raise ValueError(f"no weights of choice {c.name} of space {self.space.name} [missing-key]{hint}")
            given = torch.as_tensor(weights[c.name])
            if given.shape != (len(c.values),):
                what = f"weights of choice {c.name} must be ({len(c.values)},), not {tuple(given.shape)}"
                raise ValueError(f"{what}: values {list(c.values)} [wrong-shape]")
            shares = given.detach()
            if shares.min() < -_UNEVEN or abs(float(shares.sum()) - 1) > _UNEVEN:
                what = f"weights of choice {c.name} must be probabilities, but are {shares.tolist()}"
                raise ValueError(f"{what}, which sum to {float(shares.sum()):.4g} [not-probabilities]")
            found[c.name] = given.double()
        if unknown := sorted(set(weights) - set(found)):
            near = nearest(unknown[0], found)
            hint = f"\n  hint: is it '{near}'?" if near else ""
            raise ValueError(f"space {self.space.name} has no choice {unknown[0]} [unknown-choice]{hint}")
        return found


@dataclass
class _Tables:
    """Makes the terms of a model; counts the parts of its space that it looks into."""

    model: LatencyModel
    parts: int = 0

    def terms(self, dependence: Dependence, records: Sequence[int], given: Given = ()) -> list[Term]:
        """What these records add where choices have the values ``given``, all they have in this part of the space."""
        found, space = [], dependence.space
        for names, group in _together(dependence, records):
            path, split = space.outline.records[group[0]].path, _split(space, names)
            if combinations(space, names) <= _LARGE or split is None:
                found.append(self._tabulated(Grid(space, names, path), group, given))
                continue
            self.parts += len(split.values)
            if self.parts > _PARTS:
                what = f"{path}: its work depends on too many alternatives before or behind it"
                raise TooManyChoices(f"{what}, more than {_PARTS} parts of space {space.name} [too-many]")
            for place, value in enumerate(split.values):
                part = Space(space.name, narrowed(space.choices, partial(_only, split.name, value)), space.outline)
                found += self.terms(Dependence(part, dependence), group, (*given, (split.name, place)))
        return found

    def _tabulated(self, grid: Grid, records: Sequence[int], given: Given) -> Term:
        batches = [grid.batch[i : i + _CHUNK] for i in range(0, len(grid.batch), _CHUNK)]
        found = np.concatenate([np.stack(self.model.parts(batch, records), axis=1) for batch in batches])
        kept = grid.varying(found[:, 0]) | grid.varying(found[:, 1])
        at = tuple(slice(None) if name in kept else 0 for name in grid.names)
        values = found.reshape(*grid.shape, 2)[at]
        return Term(tuple(name for name in grid.names if name in kept), torch.from_numpy(values.copy()), given)


def _together(dependence: Dependence, records: Sequence[int]) -> list[tuple[Names, list[int]]]:
    """Choices, and the records whose work depends on these, or on some of them."""
    each = [(dependence.of(i), i) for i in records if dependence.works(dependence.records[i])]
    groups: list[tuple[Names, list[int]]] = []
    for names, i in sorted(each, key=lambda one: (-len(one[0]), one[1])):
        for known, group in groups:
            if names <= known:
                group.append(i)
                break
        else:
            groups.append((names, [i]))
    return groups


def _split(space: Space, names: Names) -> Choice | None:
    """The last choice among these that layers are there for: of each of its values fewer others matter."""
    deciding = {c.name for r in space.outline.records for c in r.exists_when}
    return next((c for c in reversed(space.choices) if c.name in names & deciding), None)


def _only(name: str, value: Value, choice: Choice) -> tuple[Value, ...]:
    return (value,) if choice.name == name else choice.values


def _joined(terms: Sequence[Term]) -> list[Term]:
    """Fewer terms of the same sum: a table is added to another that has its choices."""
    found: list[Term] = []
    for term in sorted(terms, key=lambda term: -len(term.names)):
        for i, large in enumerate(found):
            if term.given == large.given and set(term.names) <= set(large.names):
                shape = [
                    n if name in term.names else 1 for name, n in zip(large.names, large.values.shape, strict=False)
                ]
                found[i] = Term(large.names, large.values + term.values.reshape(*shape, 2), large.given)
                break
        else:
            found.append(term)
    return found
