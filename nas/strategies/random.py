"""``random``: uniform over the architectures of the space. The baseline of every other strategy."""

from __future__ import annotations

import numpy as np

from nas.strategies.base import Searcher
from spaces.architecture import Codes


class Random(Searcher):
    """Draws; learns nothing."""

    name = "random"
    multi = True
    whole = True

    def candidates(self, rng: np.random.Generator) -> Codes:
        """Independent uniform draws."""
        return self.space.sample_many(64, rng).codes
