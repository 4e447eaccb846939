"""Turning architectures into rows of the contract table: checked in the supernet, exported, timed, tested.

What was exported, measured and tested stands in the run's ledger. A resumed run asks the same questions in the same
order and is answered from there, so that nothing is measured twice and every decision is the one made before.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas import files
from nas.deliver import ProofFailed, deliver, facts, run_file
from nas.evaluate import Evaluator, Quality
from nas.evaluators.predictor import Predictions
from nas.experiment import Experiment
from nas.run import Run
from nas.strategies import Result
from nas.terminal import Progress
from nas.verify import Anchors, Measurements, Round, measured
from predictors.accuracy import AccuracyPredictor, signal
from spaces import Architecture

CHECKED = 40  # candidates of a search whose quality is checked in the supernet, where none were yet

Row = dict[str, Any]


@dataclass
class Verifier:
    """Makes rows; one per network, changed in place when it is timed again."""

    asked: Experiment
    run: Run
    evaluate: Evaluator
    predict: Predictions
    progress: Progress
    warn: Callable[[str], None]
    remeasure: bool = True
    _rows: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._exported = {r["key"]: r for r in self.run.ledger.of("export")}
        self._refusals = {r["key"]: str(r["reason"]) for r in self.run.ledger.of("refused")}
        self.refused: dict[str, str] = {}  # key -> reason, of those that were asked for since
        latency = self.predict.latency
        self._target = self.asked.device.target()
        self._anchors = Anchors.of(self.asked.space, latency.table, self._target)
        self._times = Measurements(self._anchors.guard)
        self._recorded = deque(self.run.ledger.of("measurement"))
        self._checks = {r["key"]: Quality(r["accuracy"], r["log_likelihood"]) for r in self.run.ledger.of("check")}
        self._known: dict[str, Quality] = {}  # what was asked for since: decisions are those of the run that stopped
        self._predictor = self.predict.accuracy
        self._predicted: dict[str, float] = {}  # by the predictor as it is now
        self._tested = {r["key"]: r for r in self.run.ledger.of("test")}

    def quality(self, architecture: Architecture) -> Quality:
        """Validation quality in the supernet."""
        key = architecture.key
        if key not in self._checks:
            found = self._checks[key] = self.evaluate(architecture)
            if math.isfinite(found.log_likelihood):  # no other number is written as JSON
                self.run.ledger.append("check", key=key, accuracy=found.accuracy, log_likelihood=found.log_likelihood)
        return self._known.setdefault(key, self._checks[key])

    def learn(self, architectures: Sequence[Architecture]) -> AccuracyPredictor:
        """A predictor that knows the quality of these too, by which scores are made from now on."""
        usable = [(a, q) for a in architectures if math.isfinite((q := self.quality(a)).log_likelihood)]
        if usable:
            networks, found = zip(*usable, strict=True)
            likelihood, accuracy = np.array([(q.log_likelihood, q.accuracy) for q in found]).T
            self._predictor = self._predictor.taught(list(networks), likelihood, accuracy)
            self._predicted.clear()
        return self._predictor

    def best(self, results: Sequence[Result], count: int) -> list[Result]:
        """The ``count`` best by :meth:`order`, best first, of those checked already and of the first others."""
        known = [r for r in results if r.architecture.key in self._known]
        others = [r for r in results if r.architecture.key not in self._known]
        checked = known + others[: max(0, CHECKED - len(known))]
        for done, result in enumerate(checked, 1):
            self.quality(result.architecture)
            self.progress("candidate", done, len(checked))
        usable = [r for r in checked if math.isfinite(self.quality(r.architecture).log_likelihood)]
        return sorted(usable, key=self.order, reverse=True)[:count]

    def order(self, result: Result) -> tuple[float, float, str]:
        """To compare candidates: the score, and among equals validation accuracy."""
        return self.score(result.architecture), self.quality(result.architecture).accuracy, result.architecture.key

    def score(self, architecture: Architecture) -> float:
        """The mean of the measured signal (minus the logarithm of the validation loss) and the predicted one.

        Good candidates differ by less in accuracy than the validation images can tell. Kendall's tau with the
        likelihood on test images was 0.50 on digits, of the measured signal alone 0.48, of validation accuracy 0.19. On
        CIFAR-10, among 40 candidates within a budget, it was 0.77 to 0.89 on 6,000 new images (four sets of
        candidates), of the measured signal alone 0.78 to 0.88.
        """
        key = architecture.key
        if key not in self._predicted:
            self._predicted[key] = float(self._predictor.predict([architecture])[0][0])
        return float(signal(np.array([self.quality(architecture).log_likelihood]))[0] + self._predicted[key]) / 2

    def accuracy(self, score: float) -> float:
        """The accuracy in percent that subnets of such a score, or signal, have on the validation images."""
        return float(self.predict.accuracy.accuracy(np.array([score]))[0])

    @property
    def guard(self) -> float:
        """How many times the session that counts the upper bound is (:meth:`nas.verify.Measurements.upper_ms`)."""
        return self._times.guard

    @property
    def slack(self) -> float:
        """A difference in quality that is none, in the unit of the task's metric."""
        return self.evaluate.dataset.task.slack

    def verify(self, architectures: Sequence[Architecture]) -> list[Row]:
        """Rows of these architectures: exported with their proof, and timed together.

        One whose proof fails is left out: it stands in ``refused`` with the reason.
        """
        for done, architecture in enumerate(architectures):
            self._export(architecture)
            self.progress("export", done, len(architectures))
        proven = [a for a in architectures if a.key in self._exported]
        untimed = [a.key for a in proven if a.key not in self._times]
        if untimed:
            self._measure(untimed)
        for architecture in proven:
            if architecture.key not in self._rows:
                self._rows[architecture.key] = self._row(architecture)
        return [self._rows[a.key] for a in proven]

    def _export(self, architecture: Architecture) -> None:
        key = architecture.key
        if key in self._refusals:
            self.refused[key] = self._refusals[key]
        if key in self._exported or key in self.refused:
            return
        try:
            made = deliver(self.asked, self.evaluate, architecture, self.run.folder / "exports")
        except ProofFailed as error:
            self.refused[key] = str(error)
            self.run.ledger.append("refused", key=key, reason=str(error))
            self.warn(f"network {key} is not delivered: {error}")
        else:
            self._exported[key] = self.run.ledger.append("export", **facts(made))

    def confirm(self, rows: Sequence[Row]) -> None:
        """Time all these networks once more, side by side, so that they can be compared and their bounds are firmer.

        Their scores are made anew too, by what was learned meanwhile.
        """
        self._measure(list(dict.fromkeys(row["key"] for row in rows)))
        for row in rows:
            row["latency_ms"] = self._latency(row["key"], row["latency_ms"]["predicted"])
            row["score"] = self.score(self.asked.searched.architecture(row["architecture"]))

    def _measure(self, keys: Sequence[str]) -> None:
        if not self.remeasure:
            return
        while self._recorded:  # what a run of an older version asked besides is passed over
            recorded = self._recorded.popleft()
            if set(recorded["sessions_ms"]) == set(keys):
                levels = recorded["levels"]  # runs of before kept no spreads
                self._times.add(Round(recorded["sessions_ms"], levels, recorded.get("spreads", [0.0] * len(levels))))
                return
        found = measured({key: self._model(key) for key in keys}, self._target, self._anchors)
        said = {"sessions_ms": found.sessions_ms, "levels": found.levels, "spreads": found.spreads}
        self.run.ledger.append("measurement", **said)
        self._times.add(found)

    def _latency(self, key: str, predicted: float) -> dict[str, float | None]:
        known = key in self._times
        return {
            "predicted": predicted,
            "measured": self._times.median_ms(key) if known else None,
            "measured_upper": self._times.upper_ms(key) if known else None,
            "raw": self._times.raw_ms(key) if known else None,
        }

    def test(self, row: Row) -> None:
        """Test the exported file on the test split, once."""
        key = row["key"]
        if key not in self._tested:
            split = self.evaluate.dataset.test
            outputs = run_file(self._model(key), split.images.numpy(), self._target)
            found = self.evaluate.dataset.task.quality(torch.from_numpy(outputs), split.labels)
            self._tested[key] = self.run.ledger.append("test", key=key, accuracy=found.accuracy)
        row["quality"]["exported"] = self._tested[key]["accuracy"]

    def _model(self, key: str) -> bytes:
        path = self.run.folder / self._file(key)
        data = path.read_bytes()
        if files.sha256(data) != self._exported[key]["sha256"]:
            raise ValueError(f"{path}: not the file that was exported (SHA-256 differs)")
        return data

    def _file(self, key: str) -> Path:
        """Where a network lies in the run."""
        return Path("exports") / key / self._target.runtime.FILE

    def _row(self, architecture: Architecture) -> Row:
        export = self._exported[architecture.key]
        values = self.predict([architecture])[0]
        return {
            "key": architecture.key,
            "architecture": dict(architecture),
            "quality": {
                "predicted": self.accuracy(values["quality"]),
                "supernet": export["accuracy"],
                "exported": None,
            },
            "log_likelihood": export["log_likelihood"],
            "score": self.score(architecture),
            "latency_ms": self._latency(architecture.key, values["latency_ms"]),
            "size_bytes": export["size_bytes"],
            "costs": {name: value for name, value in values.items() if name not in ("quality", "latency_ms")},
            "kernels": export["kernels"],
            "computing": export.get("computing", sorted(export["kernels"])),  # runs begun before it was kept
            "container": export["container"],
            "simulated": export["simulated"],
            "agreement": export["agreement"],
            "model": str(self._file(architecture.key)),
        }
