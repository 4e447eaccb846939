"""Stage 5: a strategy proposes, the predictors answer, the ledger remembers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.ledger import Ledger
from nas.pareto import front
from nas.strategies import Result, Strategy, strategy
from nas.terminal import Progress
from predictors.accuracy import AccuracyPredictor
from predictors.latency import LatencyModel
from spaces import Architecture, Batch, Space

BATCH = 50


class ReplayError(RuntimeError):
    """A strategy, given the recorded events, did not propose what it proposed then."""


@dataclass(frozen=True)
class Predictions:
    """The evaluator of a search: objectives of architectures, from predictors and counting."""

    accuracy: AccuracyPredictor
    latency: LatencyModel

    def ahead(self, batch: Batch, names: Collection[str]) -> dict[str, np.ndarray]:
        """Those of the named costs (n,) that a budget may limit: counted ones, and the predicted latency."""
        own = self.latency.space.batch(batch)
        found: dict[str, np.ndarray] = {}
        if "latency_ms" in names:
            found["latency_ms"] = self.latency.predict(own)[0]
        if set(names) - {"latency_ms"}:
            found |= self.latency.space.cost(own)
        return found

    def __call__(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """Values by objective. ``quality`` is the predictor's signal: minus the logarithm of the loss in nats."""
        space = self.latency.space
        batch = space.batch(list(architectures))
        columns: dict[str, np.ndarray] = {**space.cost(batch)}
        columns["quality"], _ = self.accuracy.predict(batch)
        columns["latency_ms"], _ = self.latency.predict(batch)
        return [{name: column[i].item() for name, column in columns.items()} for i in range(len(batch))]


@dataclass(frozen=True)
class Plan:
    """One search of a run: ``label`` in the ledger, the space it draws from, strategy, trials, limits."""

    label: str
    space: Space
    strategy: str
    trials: int
    objectives: Sequence[str]
    budget: Mapping[str, float]
    seed: int


def search(plan: Plan, full: Space, evaluate: Predictions, ledger: Ledger, progress: Progress) -> list[Result]:
    """All results of a search, in the order of trials; goes on where the ledger ends.

    Architectures are recorded by their index in the ``full`` space. Raises :class:`ReplayError` if the replay differs
    from the record.
    """
    made = strategy(plan.strategy, plan.space, plan.objectives, plan.budget, plan.seed)
    results = _replayed(plan, full, made, ledger)
    while len(results) < plan.trials:
        count = min(BATCH, plan.trials - len(results))
        asked = made.ask(count)
        if not asked:
            break  # the space has no others
        values = evaluate(asked)
        new = [Result(len(results) + i, a, v) for i, (a, v) in enumerate(zip(asked, values, strict=True))]
        ledger.append("tell", search=plan.label, results=[_to_json(r, full) for r in new])
        made.tell(new)
        results += new
        progress(f"{plan.label} trial", len(results), plan.trials)
    return results


def _replayed(plan: Plan, full: Space, made: Strategy, ledger: Ledger) -> list[Result]:
    results: list[Result] = []
    for record in ledger.of("tell"):
        if record["search"] != plan.label:
            continue
        told = [
            Result(row["trial"], full.at(int(row["index"])), row["values"], row["status"], row["error"])
            for row in record["results"]
        ]
        asked = made.ask(len(told))
        if [a.key for a in asked] != [r.architecture.key for r in told]:
            raise ReplayError(
                f"search '{plan.label}': the replay of trial {told[0].trial} proposes other architectures than the "
                "ledger holds; was the run made with other versions of the packages?"
            )
        made.tell(told)
        results += told
    return results


def _to_json(result: Result, full: Space) -> dict[str, object]:
    index = str(full.index(result.architecture))  # text: an index may exceed what JSON readers keep exactly
    return {
        "trial": result.trial,
        "index": index,
        "values": dict(result.values),
        "status": result.status,
        "error": result.error,
    }


def distinct(results: Sequence[Result]) -> list[Result]:
    """Usable results in the order of trials, each architecture once, the first of equals."""
    found: dict[str, Result] = {}
    for result in results:
        if result.usable:
            found.setdefault(result.architecture.key, result)
    return list(found.values())


def within(results: Sequence[Result], limits: Mapping[str, float]) -> list[Result]:
    """Results whose values keep all limits, best quality first."""
    kept = [r for r in results if all(r.values[name] <= limit for name, limit in limits.items())]
    return sorted(kept, key=lambda r: (-r.values["quality"], r.architecture.key))


def pareto(results: Sequence[Result]) -> list[Result]:
    """Those that no other beats in quality and latency together, fastest first."""
    if not results:
        return []
    values = np.array([[-r.values["quality"], r.values["latency_ms"]] for r in results])
    return sorted((results[i] for i in front(values)), key=lambda r: r.values["latency_ms"])
