"""Stage 6: finalists leave the supernet, are measured as files, and the best that keeps the budget is chosen.

Everything measured is recorded in the run's ledger and never measured again when the run is resumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas import files
from nas.deliver import MODEL, deliver, facts
from nas.evaluate import Evaluator, Quality, quality
from nas.experiment import Experiment
from nas.run import Run
from nas.stages.search import Predictions, pareto, within
from nas.strategies import Result
from nas.terminal import Progress
from nas.verify import measured
from spaces import Architecture

CHECKED = 40  # candidates whose quality is checked in the supernet before any is exported
ROUNDS = 3  # of finalists, while none keeps the budget
FLOAT_SLACK = 0.5  # points of accuracy that the best float-only network may lack

Row = dict[str, Any]


@dataclass
class Verifier:
    """Turns architectures into rows of the contract table. ``rows`` by key, in the order they were asked for."""

    asked: Experiment
    run: Run
    evaluate: Evaluator
    predict: Predictions
    progress: Progress
    remeasure: bool = True
    rows: dict[str, Row] = field(default_factory=dict)
    _known: dict[str, Quality] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._exported = {r["key"]: r for r in self.run.ledger.of("export")}
        self._measured = {r["key"]: r for r in self.run.ledger.of("measurement")}
        self._tested = {r["key"]: r for r in self.run.ledger.of("test")}

    def quality(self, architecture: Architecture) -> Quality:
        """Validation quality in the supernet."""
        if architecture.key not in self._known:
            self._known[architecture.key] = self.evaluate(architecture)
        return self._known[architecture.key]

    def best(self, results: Sequence[Result], count: int) -> list[Result]:
        """The ``count`` best of the first candidates by quality in the supernet, best first."""
        checked = []
        for done, result in enumerate(results[:CHECKED], 1):
            checked.append((self.quality(result.architecture).order, result))
            self.progress("candidate", done, min(len(results), CHECKED))
        checked.sort(key=lambda pair: (pair[0], pair[1].architecture.key), reverse=True)
        return [result for _, result in checked[:count]]

    def verify(self, architectures: Sequence[Architecture]) -> list[Row]:
        """Rows of these architectures: exported with their proof, and timed together."""
        for architecture in architectures:
            if architecture.key not in self._exported:
                made = facts(deliver(self.asked, self.evaluate, architecture, self.run.folder / "exports"))
                self._exported[architecture.key] = self.run.ledger.append("export", **made)
        untimed = [a.key for a in architectures if a.key not in self._measured]
        if self.remeasure and untimed:
            for key, found in measured({key: self._model(key) for key in untimed}, self.asked.device.target()).items():
                self._measured[key] = self.run.ledger.append(
                    "measurement", key=key, median_ms=found.median_ms, upper_ms=found.upper_ms
                )
        for architecture in architectures:
            self.rows[architecture.key] = self._row(architecture)
        return [self.rows[a.key] for a in architectures]

    def test(self, row: Row) -> None:
        """Test the exported file on the test split, once."""
        key = row["key"]
        if key not in self._tested:
            from nas.deliver import run_file

            split = self.evaluate.dataset.test
            outputs = run_file(self._model(key), split.images.numpy(), self.asked.device.threads)
            found = quality(_tensor(outputs), split.labels)
            self._tested[key] = self.run.ledger.append("test", key=key, accuracy=found.accuracy)
        row["quality"]["exported"] = self._tested[key]["accuracy"]

    def _model(self, key: str) -> bytes:
        data = (self.run.folder / "exports" / key / MODEL).read_bytes()
        if files.sha256(data) != self._exported[key]["sha256"]:
            raise ValueError(
                f"{self.run.folder / 'exports' / key / MODEL}: not the file that was exported (SHA-256 differs)"
            )
        return data

    def _row(self, architecture: Architecture) -> Row:
        export, time = self._exported[architecture.key], self._measured.get(architecture.key)
        values = self.predict([architecture])[0]
        predicted = float(self.predict.accuracy.accuracy(_array([values["quality"]]))[0])
        return {
            "key": architecture.key,
            "architecture": dict(architecture),
            "quality": {"predicted": predicted, "supernet": export["accuracy"], "exported": None},
            "log_likelihood": export["log_likelihood"],
            "latency_ms": {
                "predicted": values["latency_ms"],
                "measured": time["median_ms"] if time else None,
                "measured_upper": time["upper_ms"] if time else None,
            },
            "size_bytes": export["size_bytes"],
            "kernels": export["kernels"],
            "container": export["container"],
            "simulated": export["simulated"],
            "top1_agreement": export["top1_agreement"],
            "model": str(Path("exports") / architecture.key / MODEL),
        }


def latency_ms(row: Row) -> float:
    """The latency that a row is judged by: its measured upper bound, or what is predicted if nothing was measured."""
    return float(row["latency_ms"]["measured_upper"] or row["latency_ms"]["predicted"])


def holds(row: Row, budget: Mapping[str, float]) -> bool:
    """Whether a row keeps the budget: latency by :func:`latency_ms`."""
    values = {"latency_ms": latency_ms(row), "size_bytes": row["size_bytes"]}
    return all(values[name] <= limit for name, limit in budget.items())


def finalists(verifier: Verifier, results: Sequence[Result], budget: Mapping[str, float], count: int) -> list[Row]:
    """Verified rows of the best candidates; while none keeps the budget, of faster ones, in up to three rounds."""
    limits = dict(budget)
    tried: dict[str, Row] = {}
    for _ in range(ROUNDS):
        left = [r for r in within(results, limits) if r.architecture.key not in tried]
        if not left:
            break
        best = [r.architecture for r in verifier.best(left, count)]
        tried |= {row["key"]: row for row in verifier.verify(best)}
        if any(holds(row, budget) for row in tried.values()) or "latency_ms" not in budget:
            break
        over = min(row["latency_ms"]["measured_upper"] / row["latency_ms"]["predicted"] for row in tried.values())
        limits["latency_ms"] = min(limits["latency_ms"] * 0.97, budget["latency_ms"] / over)
    if not any(holds(row, budget) for row in tried.values()):
        # Nothing keeps the budget: show the nearest, which are the fastest.
        fastest = sorted(results, key=lambda r: (r.values["latency_ms"], r.architecture.key))[:2]
        tried |= {row["key"]: row for row in verifier.verify([r.architecture for r in fastest])}
    return list(tried.values())


def choose(rows: Sequence[Row], budget: Mapping[str, float]) -> Row | None:
    """The best by validation quality among the rows that keep the budget."""
    return max((row for row in rows if holds(row, budget)), key=order, default=None)


def order(row: Row) -> tuple[float, float, str]:
    """To compare rows by quality on the validation images: see :attr:`nas.evaluate.Quality.order`."""
    return row["quality"]["supernet"], row["log_likelihood"], row["key"]


def best_float(verifier: Verifier, results: Sequence[Result], accuracy: float) -> Row | None:
    """The fastest float-only network, as measured, with at most half a point of validation accuracy below ``accuracy``.

    The most accurate one if none is that good.
    """
    curve = verifier.predict.accuracy.accuracy
    near = [r for r in pareto(results) if curve(_array([r.values["quality"]]))[0] >= accuracy - 2 * FLOAT_SLACK]
    near = near[:CHECKED] or pareto(results)[-1:]
    good = [r for r in near if verifier.quality(r.architecture).accuracy >= accuracy - FLOAT_SLACK]
    if not good:  # none comes that near: the most accurate one then, whose accuracy the table shows
        good = [max(near, key=lambda r: verifier.quality(r.architecture).order)]
    rows = verifier.verify([r.architecture for r in good[:4]])
    return min(rows, key=lambda row: row["latency_ms"]["measured"] or row["latency_ms"]["predicted"], default=None)


def _array(values: Sequence[float]) -> Any:
    import numpy as np

    return np.array(values)


def _tensor(array: Any) -> Any:
    import torch

    return torch.from_numpy(array)
