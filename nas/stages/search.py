"""Stage 5: a strategy proposes, the predictors answer, the ledger remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.evaluators import Evaluator, results
from nas.ledger import Ledger
from nas.pareto import front
from nas.strategies import Result, Signals, Strategy, strategy
from nas.terminal import Progress
from spaces import Space

BATCH = 50


class ReplayError(RuntimeError):
    """A strategy, given the recorded events, did not propose what it proposed then."""


@dataclass(frozen=True)
class Plan:
    """One search of a run: ``label`` in the ledger, the space it draws from, strategy, trials, limits.

    ``signals``: what the strategy may know ahead of an evaluation; ``plugins``: packages whose code it may be.
    """

    label: str
    space: Space
    strategy: str
    trials: int
    objectives: Sequence[str]
    budget: Mapping[str, float]
    seed: int
    signals: Signals | None = None
    plugins: Sequence[str] = ()


def search(plan: Plan, full: Space, evaluate: Evaluator, ledger: Ledger, progress: Progress) -> list[Result]:
    """All results of a search, in the order of trials; goes on where the ledger ends.

    Architectures are recorded by their index in the ``full`` space. Raises :class:`ReplayError` if the replay differs
    from the record.
    """
    made = strategy(plan.strategy, plan.space, plan.objectives, plan.budget, plan.seed, plan.signals, plan.plugins)
    found = _replayed(plan, full, made, ledger)
    while len(found) < plan.trials:
        count = min(BATCH, plan.trials - len(found))
        asked = made.ask(count)
        if not asked:
            break  # the space has no others
        new = results(len(found), asked, evaluate(asked))
        ledger.append("tell", search=plan.label, results=[_to_json(r, full) for r in new])
        made.tell(new)
        found += new
        progress(f"{plan.label} trial", len(found), plan.trials)
    return found


def _replayed(plan: Plan, full: Space, made: Strategy, ledger: Ledger) -> list[Result]:
    found: list[Result] = []
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
        found += told
    return found


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


def wasted(results: Sequence[Result], limits: Mapping[str, float]) -> float:
    """Share of evaluations that failed, or answered outside the budget."""
    kept = sum(r.usable and all(r.values[name] <= limit for name, limit in limits.items()) for r in results)
    return 1 - kept / len(results) if results else 0.0


def pareto(results: Sequence[Result]) -> list[Result]:
    """Those that no other beats in quality and latency together, fastest first."""
    if not results:
        return []
    values = np.array([[-r.values["quality"], r.values["latency_ms"]] for r in results])
    return sorted((results[i] for i in front(values)), key=lambda r: r.values["latency_ms"])
