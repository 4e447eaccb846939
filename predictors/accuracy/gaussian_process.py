"""Quality of subnets from few evaluated ones, by a Gaussian process.

Features: the encoding of the space, and the logarithms of counted costs (how large a network is explains much of how
good it is); features of a kind (widths, kernels, precisions, costs) have a length scale together. Target: minus the
logarithm of the loss, in which differences among good networks are as visible as those among bad ones.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces import Architecture, Batch, Space

Floats = NDArray[np.float64]
_COSTS = ("macs", "parameters", "bit_operations")
_KIND = re.compile(r"(precision(?:\.[a-z]+)*|[a-z_]+)(?:\.\d+)*$")  # what follows the place in a choice's name


@dataclass(frozen=True)
class AccuracyPredictor:
    """Learned from evaluated subnets of a space; see :func:`fit`. ``known``: their features (n, d), signals (n,) and
    accuracies in percent (n,)."""

    space: Space
    known: tuple[Floats, Floats, Floats]
    process: Any
    center: Floats
    spread: Floats
    knots: Floats  # (k,) ascending signals
    accuracies: Floats  # (k,) accuracy at each knot, never falling

    def predict(self, networks: Batch | list[Architecture]) -> tuple[Floats, Floats]:
        """(mean (n,), std (n,)) of the signal: minus the logarithm of the validation loss in nats; higher is better."""
        x = (features(self.space, networks) - self.center) / self.spread
        mean, std = self.process.predict(x, return_std=True)
        return mean, std

    def accuracy(self, signal: Floats) -> Floats:
        """Accuracy in percent (n,) that subnets of such a signal had: a monotone curve, so the order stays."""
        return np.interp(signal, self.knots, self.accuracies)

    def taught(
        self, networks: Batch | list[Architecture], log_likelihood: Floats, accuracy: Floats
    ) -> AccuracyPredictor:
        """One that knows these subnets too, as :func:`fit` takes them."""
        new = features(self.space, networks), signal(log_likelihood), accuracy
        x, y, accuracies = (np.concatenate(pair) for pair in zip(self.known, new, strict=True))
        return _fitted(self.space, x, y, accuracies)


def signal(log_likelihood: Floats) -> Floats:
    """What is learned: minus the logarithm of the mean loss (n,), from mean log-likelihoods in nats."""
    return -np.log(np.maximum(-log_likelihood, 1e-9))


def features(space: Space, networks: Batch | list[Architecture]) -> Floats:
    """(n, d) encoding and logarithms of counted costs."""
    batch = space.batch(networks)
    costs = space.cost(batch)
    columns = [np.log1p(costs[name].astype(np.float64))[:, None] for name in _COSTS]
    return np.concatenate([space.encode(batch).astype(np.float64), *columns], axis=1)


def groups(space: Space) -> NDArray[np.int64]:
    """(d,) the number of the kind of choice that each of :func:`features` tells about; counted costs are one more."""
    names = [re.split("[= ]", name, maxsplit=1)[0] for name in space.feature_names]
    kinds = [found[1] if (found := _KIND.search(name)) else name for name in names]
    return np.unique([*kinds, *["costs"] * len(_COSTS)], return_inverse=True)[1].astype(np.int64)


def fit(
    space: Space, networks: Batch | list[Architecture], log_likelihood: Floats, accuracy: Floats
) -> AccuracyPredictor:
    """Fit to evaluated subnets: mean log-likelihood in nats (n,) and accuracy in percent (n,). Deterministic."""
    return _fitted(space, features(space, networks), signal(log_likelihood), accuracy)


def _fitted(space: Space, x: Floats, y: Floats, accuracy: Floats) -> AccuracyPredictor:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
    from sklearn.isotonic import IsotonicRegression

    from predictors.accuracy.grouped import GroupedRBF  # scikit-learn takes a second to import

    center, spread = x.mean(axis=0), np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    numbers = groups(space)
    scales = np.full(numbers.max() + 1, np.sqrt(numbers.max() + 1.0))
    kernel = ConstantKernel(1.0) * GroupedRBF(numbers, scales) + WhiteKernel(0.1)
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is an answer too
        process.fit((x - center) / spread, y)
    curve = IsotonicRegression().fit(y, accuracy)
    return AccuracyPredictor(space, (x, y, accuracy), process, center, spread, curve.X_thresholds_, curve.y_thresholds_)
