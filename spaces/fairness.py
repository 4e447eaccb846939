"""Draws in which every value of every choice comes equally often.

Source: Chu et al. 2021, "FairNAS", section 3.2 (strict fairness: each step trains every block of every layer once).
Differs: choices of different sizes are allowed, each value then comes as often as the others of its choice.
"""

from __future__ import annotations

import math

import numpy as np

from spaces.batch import Batch
from spaces.space import Space

MOST_DRAWS = 24


class NotFair(ValueError):
    """A space in which values cannot come equally often; the message names the choice."""


def draws_needed(space: Space) -> int:
    """How many architectures have every value of every choice equally often: the least common multiple of their sizes.

    Raises:
        NotFair: a choice that is not always there, or more than 24 draws.
    """
    for choice in space.choices:
        if choice.when:
            raise NotFair(f"choice {choice.name} is there only where {choice.when[0]}: its values cannot come equally")
    sizes = sorted({len(choice.values) for choice in space.choices})
    needed = math.lcm(*sizes)
    if needed > MOST_DRAWS:
        raise NotFair(f"choices of {sizes} values come equally often in {needed} networks, at most {MOST_DRAWS} train")
    return needed


def fair_draws(space: Space, rng: np.random.Generator) -> Batch:
    """As many architectures as are needed; a random order of its values for each choice. Raises :class:`NotFair`."""
    needed = draws_needed(space)
    columns = [rng.permuted(np.arange(needed) % len(choice.values)) for choice in space.choices]
    return Batch(space, np.array(columns, np.int16).reshape(len(columns), needed).T.copy())
