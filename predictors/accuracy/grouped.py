"""A kernel with one length scale for all features of a kind, so that it is learned which kinds of choices matter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel, NormalizedKernelMixin, StationaryKernelMixin

Floats = NDArray[np.float64]
BOUNDS = (1e-1, 1e2)


class GroupedRBF(StationaryKernelMixin, NormalizedKernelMixin, Kernel):  # type: ignore[misc]
    """``exp(-sum over groups of d_g^2 / (2 l_g^2))``; d_g^2 is the mean squared difference in the features of group g.

    ``groups`` (d,) are the numbers of the features' groups, ``length_scale`` (g,). Between a length scale per feature,
    which a hundred examples cannot tell, and one for all, to which a kernel's size counts as much as the width.
    Source: automatic relevance determination, Rasmussen & Williams 2006, section 5.1.
    """

    def __init__(self, groups: NDArray[np.int64], length_scale: Floats) -> None:
        self.groups, self.length_scale = groups, length_scale

    @property
    def hyperparameter_length_scale(self) -> Hyperparameter:
        """As scikit-learn asks for it."""
        return Hyperparameter("length_scale", "numeric", BOUNDS, int(self.groups.max()) + 1)

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> Any:
        """(n, m) similarities; with ``eval_gradient`` also (n, n, g), by the logarithms of the length scales."""
        sizes = np.bincount(self.groups)
        units = (np.atleast_1d(self.length_scale) * np.sqrt(sizes))[self.groups]  # scikit-learn makes one a number
        near = X / units
        other = near if Y is None else Y / units
        similar = np.exp(-0.5 * _apart(near, other))
        if not eval_gradient:
            return similar
        parts = [_apart(near[:, self.groups == g], near[:, self.groups == g]) for g in range(len(sizes))]
        return similar, similar[..., None] * np.stack(parts, axis=-1)


def _apart(a: Floats, b: Floats) -> Floats:
    """(n, m) squared distances."""
    return np.asarray(cdist(a, b, "sqeuclidean"))
