"""Stage 6: which networks are finalists, which of them keep the budget, which one is chosen, and against what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from nas.deliver import ProofFailed
from nas.report.words import bound_ms, order
from nas.stages.search import pareto
from nas.stages.verifier import Row, Verifier
from nas.strategies import Result

ROUNDS = 4  # of finalists, while too few keep the budget or much of it is left
ENOUGH = 2  # finalists that keep it: the last measurement may still refute one
ROOM = 1.02  # limits that measurements would raise by less are left as they are
FLOAT_LAYERS, FLOAT_TIMED = 3, 4  # fronts of float-only networks looked through, and how many good ones are timed
Candidates = Callable[[Mapping[str, float]], Sequence[Result]]
"""From limits of predicted costs to results that keep them."""


def holds(row: Row, budget: Mapping[str, float]) -> bool:
    """Whether a row keeps the budget: latency by :func:`nas.report.words.bound_ms`."""
    values = {**row.get("costs", {}), "latency_ms": bound_ms(row), "size_bytes": row["size_bytes"]}
    return all(values[name] <= limit for name, limit in budget.items())


def finalists(
    verifier: Verifier, candidates: Candidates, results: Sequence[Result], budget: Mapping[str, float],
    aimed: Mapping[str, float], count: int,
) -> list[Row]:  # fmt: skip
    """Verified rows of the best of the ``candidates`` within some limits: at first those ``aimed`` at, then others.

    While too few keep the budget, ones predicted to be smaller; where all that was measured leaves some of it, larger
    ones. Every finalist is timed twice. Raises :class:`ProofFailed` if none of the networks could be delivered.
    """
    limits = dict(aimed)
    tried: dict[str, Row] = {}
    offered: list[Result] = []
    kept: list[Result] = []
    for _ in range(ROUNDS):
        enough = len(kept) >= min(ENOUGH, count)
        known = tried.keys() | verifier.refused.keys()
        left = [r for r in candidates(limits) if r.architecture.key not in known]
        best = verifier.best(left, count) if left else []
        if enough:  # larger ones are of use only if they are better
            best = [r for r in best if verifier.order(r) > max(map(verifier.order, kept))]
        if not best:
            break
        tried |= {row["key"]: row for row in verifier.verify([r.architecture for r in best])}
        verifier.confirm(list(tried.values()))
        offered = [*offered, *best]
        kept = [r for r in offered if (row := tried.get(r.architecture.key)) and holds(row, budget)]
        trusted = {name: limit * _trust(name, tried.values()) for name, limit in budget.items()}
        if len(kept) < min(ENOUGH, count):
            limits = {name: min(limits[name] * 0.97, limit) for name, limit in trusted.items()}
        elif verifier.remeasure and any(limit > limits[name] * ROOM for name, limit in trusted.items()):
            limits = {name: max(limits[name], limit) for name, limit in trusted.items()}
        else:
            break
    if not any(holds(row, budget) for row in tried.values()):
        # Nothing keeps the budget: show the nearest, which are the fastest.
        fastest = sorted(results, key=lambda r: (r.values["latency_ms"], r.architecture.key))[:2]
        tried |= {row["key"]: row for row in verifier.verify([r.architecture for r in fastest])}
    if not tried:
        raise ProofFailed("no network could be delivered; " + "; ".join(sorted(set(verifier.refused.values()))[:3]))
    return list(tried.values())


def _trust(name: str, rows: Collection[Row]) -> float:
    """Median of predicted over real, of what a budget limits: where to aim so that half of the next ones keep it."""
    if not rows:
        return 1.0
    if name == "latency_ms":
        return float(np.median([row["latency_ms"]["predicted"] / bound_ms(row) for row in rows]))
    if name == "size_bytes":
        return float(np.median([row["costs"]["size_bytes"] / row["size_bytes"] for row in rows]))
    return 1.0  # counted: what is predicted is what is


def choose(rows: Sequence[Row], budget: Mapping[str, float]) -> Row | None:
    """The best by :func:`order` among the rows that keep the budget."""
    return max((row for row in rows if holds(row, budget)), key=order, default=None)


def best_float(verifier: Verifier, results: Sequence[Result], accuracy: float) -> Row | None:
    """The fastest float-only network, as measured, of a validation quality as good as ``accuracy`` but for the slack.

    The best one if none is that good.
    """
    needed = accuracy - verifier.slack
    promising = [r for r in results if verifier.accuracy(r.values["quality"]) >= needed - verifier.slack] or list(
        results
    )
    near = _layers(promising, FLOAT_LAYERS)
    good: list[Result] = []
    for result in near:
        if verifier.quality(result.architecture).accuracy >= needed:
            good.append(result)
        if len(good) == FLOAT_TIMED:
            break
    rows = verifier.verify([r.architecture for r in good or [max(near, key=verifier.order)]])
    return min(rows, key=bound_ms, default=None)


def _layers(results: Sequence[Result], count: int) -> list[Result]:
    """The first ``count`` fronts of quality and latency, one below the other, fastest first."""
    found: list[Result] = []
    left = list(results)
    for _ in range(count):
        layer = pareto(left)
        found += layer
        left = [r for r in left if r not in layer]
    return sorted(found, key=lambda r: r.values["latency_ms"])
