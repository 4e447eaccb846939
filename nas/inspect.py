"""Looking at single architectures with what a run has trained and measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nas.evaluate import Evaluator
from nas.evaluators.predictor import Predictions
from nas.run import Run
from nas.stages.fit import fitted
from nas.stages.profile import profiled, table_entry
from nas.stages.train import dataset_of, entry_of, trained
from nas.terminal import Progress, Terminal
from spaces import Architecture, Space
from supernets import threads


class NotAnArchitecture(ValueError):
    """Text that names no architecture of the run."""


def evaluated(run: Run, text: str, terminal: Terminal) -> dict[str, Any]:
    """Predicted and supernet quality, predicted latency and counted costs of one architecture.

    ``text``: key of a network the run knows, JSON, or a file of JSON. Raises :class:`NotAnArchitecture`, also for one
    that the device's menu leaves out: nothing of it was measured.
    """
    asked, start = run.experiment(), run.start
    architecture = find(run, asked.space, text)
    try:
        asked.searched.architecture(architecture)
    except ValueError as error:
        raise NotAnArchitecture(f"not on the menu of the device: {error} [wrong-architecture]") from error
    store, seed, progress = run.store, int(start["seed"]), Progress(terminal, "evaluate")
    with threads(1):
        dataset, batches = dataset_of(asked, seed)
        if not entry_of(asked, seed, store, batches.digest).complete:
            progress.warn(f"{store.root} has lost the supernet of the run: it is trained again")
        net, entry = trained(asked, seed, store, batches, progress)
        evaluate = Evaluator(net, dataset, batches)
        table = run.table
        used = run.artefact("profile")
        if table is None and not table_entry(asked, seed, store, used).complete:
            progress.warn(
                "no such latency table of this device is in the store: it is measured, and may tell other times"
            )
        latency, _, _ = profiled(asked, seed, store, table, progress, used)
        accuracy, _ = fitted(asked, seed, store, entry, evaluate, progress)
        quality = evaluate(architecture)
    values = Predictions(accuracy, latency)([architecture])[0]
    mean, deviation = latency.predict([architecture])
    return {
        "key": architecture.key,
        "architecture": dict(architecture),
        "quality": {
            "predicted": float(accuracy.accuracy(np.array([values["quality"]]))[0]),
            "supernet": quality.accuracy,
            "log_likelihood": quality.log_likelihood,
            "name": dataset.task.metric["name"],
            "unit": dataset.task.metric["unit"],
        },
        "latency_ms": {"predicted": float(mean[0]), "std": float(deviation[0])},
        "counted": {name: int(column[0]) for name, column in asked.space.cost([architecture]).items()},
    }


def find(run: Run, space: Space, text: str) -> Architecture:
    """The architecture that ``text`` names. Raises :class:`NotAnArchitecture`."""
    hint = f"\n  hint: nas show {run.name} lists keys"
    if len(text) == 16 and all(c in "0123456789abcdef" for c in text):
        for record in run.ledger.of("export"):
            if record["key"] == text:
                return space.architecture(record["architecture"])
        for record in run.ledger.of("tell"):
            for row in record["results"]:
                architecture = space.at(int(row["index"]))
                if architecture.key == text:
                    return architecture
        raise NotAnArchitecture(f"run '{run.name}' knows no network of key {text} [unknown-architecture]{hint}")
    path = Path(text)
    try:
        source = path.read_text(encoding="utf-8") if not text.lstrip().startswith("{") else text
        exported = json.loads(source)  # an export's architecture.json says more than the architecture
        inner = exported.get("architecture") if isinstance(exported, dict) else None
        return space.architecture(Architecture.from_json(source if inner is None else json.dumps(inner)))
    except OSError as error:
        raise NotAnArchitecture(
            f"{text}: no key (16 hex digits), no JSON object, and no file to read [unknown-architecture]{hint}"
        ) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise NotAnArchitecture(f"{text[:80]}: not JSON: {error} [syntax]") from error
    except ValueError as error:
        raise NotAnArchitecture(f"{error} [wrong-architecture]") from error
