"""The seven stages of a search in order; each goes on where a stopped run left it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas import files
from nas.evaluate import METRIC, Evaluator
from nas.report import card, html
from nas.run import REPORT, RESULT, Run
from nas.stages import contract
from nas.stages.fit import fitted
from nas.stages.profile import profiled
from nas.stages.search import Plan, Predictions, distinct, pareto, search, within
from nas.stages.train import dataset_of, trained
from nas.stages.verifier import Row, Verifier
from nas.store import Store
from nas.strategies import Result
from nas.terminal import Terminal
from predictors.latency import LatencyModel
from spaces.randomness import seed_for
from supernets import threads

STORE, CARD = "store", "card.md"
# Predictions err by a few percent and the contract's bound lies above the median: aiming a little below the budget
# wastes fewer finalists. What is measured decides in any case.
AIM = 0.96


def execute(run: Run, runs: Path, terminal: Terminal) -> dict[str, Any]:
    """Bring a run to its end and return its result; a finished run returns what it has.

    Raises what the stages raise: ``DataError``, ``TableError``, ``TrainingDiverged``, ``ProofFailed`` and others, each
    with a message for the user.
    """
    done = run.result()
    if done is not None and run.ledger.last("done"):
        return done
    with run.lock(), threads(1):
        terminal.log = run.log
        result = _Pipeline(run, Store(runs / STORE), terminal).run()
    for row in result["finalists"]:
        files.write_atomic((run.folder / row["model"]).with_name(CARD), card(row, result).encode())
    files.write_json(run.folder / RESULT, result, indent=2)
    files.write_atomic(run.folder / REPORT, html(result).encode())
    run.ledger.append("done", chosen=result["chosen"], budget_met=result["budget_met"])
    return result


class _Pipeline:
    def __init__(self, run: Run, store: Store, terminal: Terminal) -> None:
        start = run.start
        self.run_ = run
        self.store = store
        self.terminal = terminal
        self.asked = run.experiment()
        self.seed = int(start["seed"])
        self.table = Path(start["table"]) if start["table"] else None
        self.remeasure = bool(start["remeasure"])
        self.seconds: dict[str, float] = {}
        for record in run.ledger.of("stage"):
            self.seconds[record["stage"]] = self.seconds.get(record["stage"], 0.0) + float(record["seconds"])

    def run(self) -> dict[str, Any]:
        evaluate, predict, facts = self._prepare()
        budget = self._budget(predict.latency)
        aimed = {name: limit * (AIM if name == "latency_ms" else 1) for name, limit in budget.items()}
        with self._stage(5, "search", f"{self.asked.search.strategy}, {_words(budget)}") as progress:
            found = {plan.label: self._search(plan, predict, progress) for plan in self._plans(aimed)}
            kept = within(distinct(found["main"]), aimed)
            progress.outcome = f"{len(distinct(found['main']))} networks, {len(kept)} within the budget by prediction"
        with self._stage(6, "verify", "finalists as files, on the device") as progress:
            verifier = Verifier(self.asked, self.run_, evaluate, predict, progress, self.remeasure)
            rows = contract.finalists(verifier, distinct(found["main"]), budget, self.asked.search.finalists)
            chosen = contract.choose(rows, budget)
            baselines = self._baselines(verifier, found, budget, aimed, chosen or rows[0])
            table = list({id(row): row for row in [*rows, *(b["row"] for b in baselines)]}.values())
            verifier.confirm(table)
            # Whoever found it, the best network that keeps the budget is what the user gets.
            chosen = contract.choose(table, budget)
            if chosen is not None and chosen not in rows:
                rows.append(chosen)
            for row in table:
                verifier.test(row)
            progress.outcome = f"{len(rows)} finalists, {sum(contract.holds(r, budget) for r in rows)} keep the budget"
        return self._result(budget, rows, chosen, baselines, distinct(found["main"]), predict, facts)

    def _prepare(self) -> tuple[Evaluator, Predictions, dict[str, Any]]:
        asked, seed = self.asked, self.seed
        dataset, batches = dataset_of(asked, seed)
        self.terminal.say(
            f"{self.run_.name}: space {asked.space.name} of {asked.space.size:,} networks, "
            f"{len(dataset.train)} training, {len(dataset.validation)} validation and {len(dataset.test)} test images"
        )
        with self._stage(2, "train", f"supernet, {asked.train.epochs} epochs") as progress:
            net, entry = trained(asked, seed, self.store, batches, progress)
        with self._stage(3, "profile", "latency table on this device") as progress:
            latency, latency_facts, table = profiled(asked, seed, self.store, self.table, progress)
        evaluate = Evaluator(net, dataset, batches)
        with self._stage(4, "fit", "accuracy predictor") as progress:
            accuracy, accuracy_facts = fitted(asked, seed, self.store, entry, evaluate, progress)
        self._note_artefacts({"train": entry.digest, "profile": table.digest if table else str(self.table)})
        return (
            evaluate,
            Predictions(accuracy, latency),
            {"latency_model": latency_facts, "accuracy_predictor": accuracy_facts},
        )

    def _note_artefacts(self, digests: Mapping[str, str]) -> None:
        last = self.run_.ledger.last("artefacts")
        if last is None or last["digests"] != dict(digests):
            self.run_.ledger.append("artefacts", digests=dict(digests))

    def _stage(self, number: int, name: str, title: str) -> Any:
        return _Timed(self, number, name, title)

    def _budget(self, latency: LatencyModel) -> dict[str, float]:
        """The limits in absolute units; a share of the largest float network's latency becomes milliseconds, once."""
        recorded = self.run_.ledger.last("budget")
        if recorded is not None:
            return dict(recorded["limits"])
        limits = dict(self.asked.search.budget)
        share = limits.pop("latency_share", None)
        if share is not None:
            largest = latency.table.networks[self.asked.space.largest.to_json()].median_ms
            limits["latency_ms"] = share * largest
            self.terminal.say(
                f"  budget: {100 * share:.0f} % of the largest float network's {largest:.4f} ms "
                f"= {limits['latency_ms']:.4f} ms"
            )
        self.run_.ledger.append("budget", limits=limits)
        return limits

    def _plans(self, aimed: Mapping[str, float]) -> list[Plan]:
        asked = self.asked
        seed = seed_for(self.seed, "search")
        main = Plan(
            "main", asked.space, asked.search.strategy, asked.search.trials, asked.search.objectives, aimed, seed
        )
        plans = [main, replace(main, label="random", strategy="random")]
        floats = asked.space.restrict({"float"}) if _has_float(asked.space) else None
        if floats is not None:
            plans.append(replace(main, label="float", space=floats, budget={}))
        return plans

    def _search(self, plan: Plan, predict: Predictions, progress: Any) -> list[Result]:
        return search(plan, self.asked.space, predict, self.run_.ledger, progress)

    def _baselines(
        self, verifier: Verifier, found: Mapping[str, Sequence[Result]], budget: Mapping[str, float],
        aimed: Mapping[str, float], chosen: Row,
    ) -> list[dict[str, Any]]:  # fmt: skip
        space = self.asked.space
        named = {"largest float": space.largest, "largest 8-bit": space.extreme(max, "w8a8")}
        made = [
            {"name": name, "row": row} for name, row in zip(named, verifier.verify(list(named.values())), strict=True)
        ]
        if "float" in found:
            row = contract.best_float(verifier, distinct(found["float"]), chosen["quality"]["supernet"])
            if row is not None:
                made.append({"name": "best float-only", "row": row})
        best = verifier.best(within(distinct(found["random"]), aimed), self.asked.search.finalists)
        rows = verifier.verify([r.architecture for r in best])
        row = contract.choose(rows, budget)
        if row is not None:
            made.append({"name": "best of random search", "row": row})
        return made

    def _result(
        self, budget: Mapping[str, float], rows: Sequence[Row], chosen: Row | None, baselines: Sequence[dict[str, Any]],
        results: Sequence[Result], predict: Predictions, facts: dict[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        asked = self.asked
        curve = predict.accuracy.accuracy
        import numpy as np

        def point(r: Result) -> dict[str, Any]:
            quality = float(curve(np.array([r.values["quality"]]))[0])
            return {
                "key": r.architecture.key,
                "quality": quality,
                "latency_ms": r.values["latency_ms"],
                "size_bytes": r.values["size_bytes"],
            }

        return {
            "run": self.run_.name,
            "space": {"name": asked.space.name, "size": asked.space.size},
            "metric": METRIC,
            "budget": dict(budget),
            "budget_met": chosen is not None,
            "chosen": None if chosen is None else chosen["key"],
            "verified": self.remeasure,
            "seconds": {name: round(s, 2) for name, s in self.seconds.items()},
            "device": asked.device.target().fingerprint(),
            "seed": self.seed,
            "settings": asked.to_json(),
            "finalists": sorted(rows, key=contract.order, reverse=True),
            "baselines": [{"name": b["name"], **_baseline(b["row"])} for b in baselines],
            "front": [point(r) for r in pareto(results)],
            "trials": [point(r) for r in results],
            **facts,
        }


class _Timed:
    """A stage on the terminal whose seconds are added up over resumptions, and recorded."""

    def __init__(self, pipeline: _Pipeline, number: int, name: str, title: str) -> None:
        self._pipeline, self._name = pipeline, name
        self._stage = pipeline.terminal.stage(number, f"{name} ({title})")

    def __enter__(self) -> Any:
        self._start = time.monotonic()
        return self._stage.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._stage.__exit__(*error)
        if error[0] is None:
            seconds = time.monotonic() - self._start
            self._pipeline.seconds[self._name] = self._pipeline.seconds.get(self._name, 0.0) + seconds
            self._pipeline.run_.ledger.append("stage", stage=self._name, seconds=seconds)


def _baseline(row: Row) -> dict[str, Any]:
    kept = ("key", "architecture", "quality", "latency_ms", "size_bytes", "kernels", "container", "simulated", "model")
    return {name: row[name] for name in kept}


def _has_float(space: Any) -> bool:
    chosen = [c for c in space.choices if c.name in space.outline.precision_choices]
    return bool(chosen) and all("float" in c.values for c in chosen)


def _words(budget: Mapping[str, float]) -> str:
    parts = [f"{name} <= {limit:.4g}" for name, limit in budget.items()]
    return "budget " + ", ".join(parts) if parts else "no budget"
