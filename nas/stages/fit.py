"""Stage 4: some subnets evaluated, and an accuracy predictor fitted to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from nas import files
from nas.evaluate import Evaluator
from nas.experiment import Experiment
from nas.store import Entry, Store
from nas.terminal import Progress
from predictors.accuracy import AccuracyPredictor, fit, signal
from predictors.metrics import tau
from spaces import Architecture
from spaces.randomness import generator
from supernets import TrainingDiverged

HELD_OUT = 60
EVALUATIONS = "evaluations.json"
_SAVE_EVERY = 10

Row = dict[str, Any]


def subnets(asked: Experiment, seed: int) -> tuple[list[Architecture], list[Architecture]]:
    """(subnets to learn from, held-out ones drawn by ``space.sample``), all different.

    Of the first, two fifths are uniform over architectures, two uniform per choice, so that small networks are known,
    and one in a single precision throughout, where searches end. At most a quarter of a small space is held out.
    """
    space, count = asked.searched, asked.search.evaluations
    most = min(HELD_OUT, max(1, space.size // 4))
    held = list(dict.fromkeys(space.sample_many(2 * HELD_OUT, generator(seed, "fit.held out"))))[:most]
    names = sorted(space.outline.precision_choices)
    shared = [precision for precision in ("w8a8", "float") if space.uniform(precision)]
    learned: list[Architecture] = []
    for i in range(5 * count):
        rng = generator(seed, "fit.learned", i)
        drawn = space.sample_many(1, rng, by_choice=i % 5 > 1)[0]
        if i % 5 == 4 and shared:
            drawn = space.complete({**drawn, **dict.fromkeys(names, shared[i // 5 % len(shared)])}, rng)
        learned.append(drawn)
    unknown = [a for a in dict.fromkeys(learned) if a not in held]
    return unknown[:count] or held, held  # a space of one network is what it is


def fitted(
    asked: Experiment, seed: int, store: Store, trained: Entry, evaluate: Evaluator, progress: Progress
) -> tuple[AccuracyPredictor, dict[str, Any]]:
    """(the predictor, its rank correlation on held-out subnets); evaluations come from the store if they are there."""
    learned, held = subnets(asked, seed)
    subnets_digest = files.sha256("".join(a.key for a in (*learned, *held)).encode())[:16]
    inputs = {"train": trained.digest, "subnets": subnets_digest, "calibration": evaluate.calibration_images}
    entry = store.entry("fit", inputs)
    with entry.lock():
        if not entry.complete:
            rows = _evaluated([*learned, *held], evaluate, entry, lambda done, total: progress("subnet", done, total))
            entry.write(EVALUATIONS, files.canonical_json(rows))
            entry.finish(subnets=len(rows))
    rows = entry.read_json(EVALUATIONS)
    likelihood = np.array([row["log_likelihood"] for row in rows])
    accuracy = np.array([row["accuracy"] for row in rows])
    n = len(learned)
    predictor = fit(asked.searched, learned, likelihood[:n], accuracy[:n])
    facts = _judged(predictor, held, rows[n:])
    progress.outcome = (
        f"{n} subnets evaluated; tau on {len(held)} held out: {facts['tau']:.2f} "
        f"(two halves of the validation images agree to {facts['split_half_tau']:.2f})"
    )
    return predictor, facts


def _evaluated(
    networks: Sequence[Architecture], evaluate: Evaluator, entry: Entry, progress: Callable[[int, int], None]
) -> list[Row]:
    found = entry.latest_checkpoint()
    rows: list[Row] = [] if found is None else files.parse_json(found[0])
    for architecture in networks[len(rows) :]:
        rows.append(_row(architecture, evaluate))
        progress(len(rows), len(networks))
        if len(rows) % _SAVE_EVERY == 0:
            entry.checkpoint(files.canonical_json(rows), {})
    return rows


def _row(architecture: Architecture, evaluate: Evaluator) -> Row:
    split = evaluate.dataset.validation
    with torch.no_grad():
        logits = evaluate.logits(architecture, split, evaluate.calibrate(architecture))
    quality = evaluate.dataset.task.quality
    whole = quality(logits, split.labels)
    if not math.isfinite(whole.log_likelihood):
        raise TrainingDiverged(f"subnet {architecture.key}: its loss is not finite after the training")
    halves = [quality(logits[i::2], split.labels[i::2]).log_likelihood for i in (0, 1)]
    return {
        "architecture": dict(architecture),
        "accuracy": whole.accuracy,
        "log_likelihood": whole.log_likelihood,
        "halves": halves,
    }


def _judged(predictor: AccuracyPredictor, held: Sequence[Architecture], rows: Sequence[Row]) -> dict[str, Any]:
    predicted, _ = predictor.predict(list(held))
    measured = signal(np.array([row["log_likelihood"] for row in rows]))
    halves = np.array([row["halves"] for row in rows])
    return {
        "held_out": len(held),
        "tau": tau(predicted, measured),
        "split_half_tau": tau(halves[:, 0], halves[:, 1]),
        "predicted": predictor.accuracy(predicted).tolist(),
        "measured": [row["accuracy"] for row in rows],
    }
