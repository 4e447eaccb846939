"""Budgets known ahead, and predictions of them that turn out wrong."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from nas.evaluators.base import results
from nas.strategies import Signals, strategy
from nas.strategies.limits import Limits
from nas.strategies.protocol import Result
from nas.testing.strategies import example
from spaces import Batch

SIZES = {a.key: i + 1.0 for i, a in enumerate(example().sample_many(50, np.random.default_rng(0)))}


def sizes(batch: Batch, names: Collection[str]) -> dict[str, np.ndarray]:
    """What is known ahead: a number per architecture."""
    return {"size_bytes": np.array([SIZES.get(a.key, 1e9) for a in batch])}


def batch() -> Batch:
    """Fifty architectures, of sizes 1 to 50."""
    return example().sample_many(50, np.random.default_rng(0))


def test_limits_on_what_is_known_are_kept_and_others_are_not_looked_at() -> None:
    """Whoever knows nothing keeps everything."""
    known = Limits({"size_bytes": 20, "quality": 1}, Signals(sizes)).keeps(batch())
    assert known.tolist() == [size <= 20 for size in SIZES.values()]
    assert Limits({"size_bytes": 20}, Signals()).keeps(batch()).all()
    assert Limits({}, Signals(sizes)).keeps(batch()).all()


def test_predictions_that_miss_leave_a_margin() -> None:
    """Real values are up to twice the predicted ones: 95 of 100 would keep the limit over the margin."""
    limits = Limits({"size_bytes": 20}, Signals(sizes))
    factors = np.linspace(0.5, 2, 50)
    told = [Result(i, a, {"size_bytes": factors[i] * SIZES[a.key]}) for i, a in enumerate(batch())]
    limits.learn(batch()[:9], told[:9])
    assert limits.keeps(batch()).sum() == 20  # too few to say
    limits.learn(batch()[9:], told[9:])
    assert limits.keeps(batch()).sum() == int(20 / np.quantile(factors, 0.95))


def test_predictions_that_are_too_high_leave_none() -> None:
    """The limit is never looser than asked for."""
    limits = Limits({"size_bytes": 20}, Signals(sizes))
    limits.learn(batch(), [Result(i, a, {"size_bytes": 0.1}) for i, a in enumerate(batch())])
    assert limits.keeps(batch()).sum() == 20


def test_a_search_by_wrong_predictions_stays_within_its_budget() -> None:
    """Predictions are a quarter too low, and noisy: at most one in twenty is outside once that is known."""
    space = example()
    real = lambda b: space.cost(b)["size_bytes"].astype(np.float64)  # noqa: E731

    def ahead(given: Batch, names: Collection[str]) -> dict[str, np.ndarray]:
        noise = np.array([int(a.key[:4], 16) / 65536 for a in given])
        return {"size_bytes": real(given) * (0.7 + 0.1 * noise)}

    limit = float(np.median(real(space.sample_many(500, np.random.default_rng(1)))))
    for name in ("random", "regularized_evolution", "predictor_guided"):
        made = strategy(name, space, ["quality"], {"size_bytes": limit}, 0, Signals(ahead))
        outside = []
        for trial in range(0, 200, 10):
            asked = made.ask(10)
            values = real(space.batch(asked))
            outside += (values > limit).tolist()
            answers = [{"quality": float(v), "size_bytes": float(v)} for v in values]
            made.tell(results(trial, asked, answers))
        assert np.mean(outside[20:]) <= 0.05
        assert len(outside) == 200
