"""One architecture as a space of its own, so that a supernet of it alone is trained by the same code and recipe."""

from __future__ import annotations

from dataclasses import replace

from nas.data import Dataset, Shuffled
from nas.evaluate import Evaluator, Quality
from spaces import Architecture, Space
from spaces.randomness import seed_for
from supernets import Recipe, build, train
from tests.benchmarks.common import Nowhere


def single(space: Space, architecture: Architecture) -> Space:
    """The space of this architecture alone: every choice has one value, and layers that it lacks are gone."""
    layers = {layer.path: layer for layer in space.outline.layers(architecture)}
    present = [r for r in space.outline.records if r.path in layers]
    records = tuple(replace(r, inputs=layers[r.path].inputs, exists_when=()) for r in present)
    kept = [c for c in space.choices if c.name in architecture]
    choices = tuple(replace(c, values=(architecture[c.name],), when=()) for c in kept)
    return Space(space.name, choices, replace(space.outline, records=records))


def trained_alone(
    space: Space, architecture: Architecture, recipe: Recipe, dataset: Dataset, batches: Shuffled, seed: int
) -> Quality:
    """Quality on the validation split of a network of this architecture, trained by ``recipe`` by the labels alone."""
    own = single(space, architecture)
    net = build(own, seed_for(seed, "train.weights"))
    plain = replace(recipe, scheme="uniform", options={"smoothing": recipe.options.get("smoothing", 0.05)})
    train(net, batches, plain, Nowhere(), seed_for(seed, "train"))
    return Evaluator(net, dataset, batches)(own.largest)
