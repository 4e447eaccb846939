"""The stages of a search in order; each goes on where a stopped run left it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from nas import files
from nas.evaluate import Evaluator
from nas.evaluators.predictor import Predictions
from nas.evaluators.supernet import Subnets
from nas.report import card, html
from nas.report.words import networks
from nas.result import Verified, result
from nas.run import REPORT, RESULT, Run
from nas.stages import contract, harmless
from nas.stages.around import Around
from nas.stages.baselines import baselines, plans
from nas.stages.fit import fitted
from nas.stages.profile import profiled
from nas.stages.search import Plan, distinct, search, wasted, within
from nas.stages.train import dataset_of, trained
from nas.stages.verifier import Verifier
from nas.strategies import Result, Signals
from nas.terminal import Terminal
from nas.verify import guard_of
from predictors.latency import LatencyModel
from spaces.randomness import seed_for
from supernets import threads

CARD = "card.md"
# The slowest of the sessions that the contract's bound is made of lies about so much above their median: aiming below
# the budget by that and by the guard wastes fewer finalists. What is measured decides in any case.
SLOWEST = 1.01


def execute(run: Run, terminal: Terminal) -> dict[str, Any]:
    """Bring a run to its end and return its result; a finished run returns what it has.

    Raises what the stages raise: ``DataError``, ``TableError``, ``TrainingDiverged``, ``ProofFailed`` and others, each
    with a message for the user.
    """
    done = run.result()
    if done is not None and run.ledger.last("done"):
        return done
    with run.lock(), threads(1):
        terminal.log = run.log
        found = _Pipeline(run, terminal).run()
        for row in networks(found):
            files.write_atomic((run.folder / row["model"]).with_name(CARD), card(row, found).encode())
        files.write_json(run.folder / RESULT, found, indent=2)
        files.write_atomic(run.folder / REPORT, html(found).encode())
        run.ledger.append("done", chosen=found["chosen"], budget_met=found["budget_met"])
        return found


class _Pipeline:
    def __init__(self, run: Run, terminal: Terminal) -> None:
        start = run.start
        self.run_ = run
        self.terminal = terminal
        self.asked = run.experiment()
        self.seed = int(start["seed"])
        self.table = run.table
        self.remeasure = bool(start["remeasure"])
        self.seconds: dict[str, float] = {}
        for record in run.ledger.of("stage"):
            self.seconds[record["stage"]] = self.seconds.get(record["stage"], 0.0) + float(record["seconds"])

    def run(self) -> dict[str, Any]:
        evaluate, predict, facts = self._prepare()
        budget = self._budget(predict.latency)
        aim = 1 / (SLOWEST * guard_of(predict.latency.table))
        aimed = {name: limit * (aim if name == "latency_ms" else 1) for name, limit in budget.items()}
        found = self._search(evaluate, predict, budget, aimed)
        verified = self._verify(evaluate, predict, found, budget, aimed)
        about = {
            "run": self.run_.name,
            "seed": self.seed,
            "verified": self.remeasure,
            "seconds": {name: round(s, 2) for name, s in self.seconds.items()},
            "wasted": {label: round(wasted(results, aimed), 4) for label, results in found.items()},
            **facts,
        }
        return result(self.asked, about, verified, distinct(found["main"]), predict)

    def _prepare(self) -> tuple[Evaluator, Predictions, dict[str, Any]]:
        asked, seed, store = self.asked, self.seed, self.run_.store
        with self._stage(1, "build", "data and supernet") as progress:
            dataset, batches = dataset_of(asked, seed)
            searched = "" if asked.searched is asked.space else f", {asked.searched.size:,} on the menu of the device"
            progress.outcome = (
                f"space {asked.space.name} of {asked.space.size:,} networks{searched}, {len(dataset.train)} training, "
                f"{len(dataset.validation)} validation and {len(dataset.test)} test images"
            )
        with self._stage(2, "train", f"supernet, {asked.train.epochs} epochs") as progress:
            net, entry = trained(asked, seed, store, batches, progress)
        with self._stage(3, "profile", "latency table on this device") as progress:
            latency, latency_facts, table = profiled(
                asked, seed, store, self.table, progress, self.run_.artefact("profile")
            )
        evaluate = Evaluator(net, dataset, batches)
        with self._stage(4, "fit", "accuracy predictor") as progress:
            accuracy, accuracy_facts = fitted(asked, seed, store, entry, evaluate, progress)
        self._note_artefacts({"train": entry.digest, "profile": table.digest if table else str(self.table)})
        facts = {"latency_model": latency_facts, "accuracy_predictor": accuracy_facts}
        facts["interface"] = dataset.interface(asked.device.batch)
        facts["metric"] = dict(dataset.task.metric)
        return evaluate, Predictions(accuracy, latency), facts

    def _note_artefacts(self, digests: Mapping[str, str]) -> None:
        last = self.run_.ledger.last("artefacts")
        if last is None or last["digests"] != dict(digests):
            self.run_.ledger.append("artefacts", digests=dict(digests))

    def _largest_ms(self, latency: LatencyModel) -> float:
        """As it was timed; where none was, on a device that is not here, as predicted."""
        largest = self.asked.searched.largest
        timed = latency.table.networks.get(largest.to_json())
        return timed.ms if timed else float(latency.predict([largest])[0][0])

    def _budget(self, latency: LatencyModel) -> dict[str, float]:
        """The limits in absolute units; a share of the largest float network's latency becomes milliseconds, once."""
        recorded = self.run_.ledger.last("budget")
        if recorded is not None:
            return dict(recorded["limits"])
        limits = dict(self.asked.search.budget)
        share = limits.pop("latency_share", None)
        if share is not None:
            largest = self._largest_ms(latency)
            limits["latency_ms"] = share * largest
            said = f"{100 * share:.4g} % of the largest network's {largest:.4f} ms = {limits['latency_ms']:.4f} ms"
            self.terminal.say(f"  budget: {said}")
        self.run_.ledger.append("budget", limits=limits)
        return limits

    def _search(
        self, evaluate: Evaluator, predict: Predictions, budget: Mapping[str, float], aimed: Mapping[str, float]
    ) -> dict[str, list[Result]]:
        asked, space = self.asked.search, self.asked.space
        seed, signals = seed_for(self.seed, "search"), Signals(predict.ahead)
        answers = predict if asked.evaluator == "predictor" else Subnets(evaluate, predict)
        main = Plan(
            "main", self.asked.searched, asked.strategy, asked.trials, asked.objectives, aimed, seed, signals,
            self.asked.plugins,
        )  # fmt: skip
        with self._stage(5, "search", f"{asked.strategy}, {_words(budget)}") as progress:
            every = [main, *(plans(main) if asked.baselines else ())]
            found = {plan.label: search(plan, space, answers, self.run_.ledger, progress) for plan in every}
            different = distinct(found["main"])
            progress.outcome = (
                f"{len(different)} networks, {len(within(different, aimed))} within the budget by prediction"
            )
        return found

    def _verify(
        self, evaluate: Evaluator, predict: Predictions, found: Mapping[str, list[Result]],
        budget: Mapping[str, float], aimed: Mapping[str, float],
    ) -> Verified:  # fmt: skip
        with self._stage(6, "verify", "finalists as files, on the device") as progress:
            verifier = Verifier(self.asked, self.run_, evaluate, predict, progress, self.terminal.warn, self.remeasure)
            different = distinct(found["main"])
            around = Around(verifier, different, seed_for(self.seed, "around"))
            rows = contract.finalists(verifier, around, different, budget, aimed, self.asked.search.finalists)
            best = contract.choose(rows, budget) or rows[0]
            compared = baselines(verifier, found, budget, aimed, best) if self.asked.search.baselines else []
            table = list({row["key"]: row for row in [*rows, *(b["row"] for b in compared)]}.values())
            verifier.confirm(table)
            # Whoever found it, the best network that keeps the budget is what the user gets.
            chosen, harm = harmless.delivered(verifier, table, budget)
            rows += [] if chosen is None or chosen in rows else [chosen]
            for row in {row["key"]: row for row in [*table, *rows]}.values():
                verifier.test(row)
            progress.outcome = f"{len(rows)} finalists, {sum(contract.holds(r, budget) for r in rows)} keep the budget"
        return Verified(budget, rows, chosen, compared, verifier.refused, verifier.guard, harm)

    def _stage(self, number: int, name: str, title: str) -> Any:
        return _Timed(self, number, name, title)


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


def _words(budget: Mapping[str, float]) -> str:
    parts = [f"{name} <= {limit:.4g}" for name, limit in budget.items()]
    return "budget " + ", ".join(parts) if parts else "no budget"
