"""The expected latency: predictions at one-hot weights, their mean over draws elsewhere, and its gradient."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from predictors.latency import LatencyModel, Table, TableError, Target
from predictors.latency.dependence import TooManyChoices
from predictors.latency.key import Key
from spaces import Architecture, Choice, Chosen, Condition, Outline, Record, Space
from spaces.load import load
from spaces.randomness import generator
from supernets import wrap
from tests.examples import RESIDUAL, convnets, space_of
from tests.predictors.networks import WIDE
from tests.small import elastic_in_precision
from tests.supernets.wrapping.models import made

FACTORS = np.array([1.1, 0.9, 1.2, 0.8, -0.5, -0.4, -0.3, 0.8, 0.5, 1.3])
GRAPHS = ["graph_joined", "graph_pictures", "graph_tokens", "gpt_tangle", "bert_mos", "autoformer_tiny", "tangle_conv"]


class Deviations(dict[str, float]):
    """Numbers that look random, of every kind there can be."""

    def get(self, kind: str, default: float = 0.0) -> float:  # type: ignore[override]
        return 0.4 * int(hashlib.sha256(kind.encode()).hexdigest()[:6], 16) / 16**6 - 0.2


class Drawn(Table):
    """Times that look random, of every key there can be."""

    def ms(self, key: Key) -> float:
        return 0.002 + 0.05 * int(hashlib.sha256(str(key).encode()).hexdigest()[:6], 16) / 16**6


def model_of(space: Space, weights: float = 0.0) -> LatencyModel:
    """Factors of all kinds; ``weights``: ms for each MiB beyond the cache."""
    factors = np.append(FACTORS, [weights, 0.3 * weights])
    return LatencyModel(space, Drawn({}, 0.003, {}, {}), Target().menu, 1, factors, 0.0, Deviations())


def one_hot(space: Space, architecture: Architecture, absent: int = 0) -> dict[str, Tensor]:
    """All probability on the architecture; absent choices, which mean nothing, at any value."""
    codes = {c.name: c.code(architecture[c.name]) if c.name in architecture else absent for c in space.choices}
    return {c.name: torch.eye(len(c.values), dtype=torch.float64)[codes[c.name] % len(c.values)] for c in space.choices}


def relaxed(space: Space, seed: int) -> dict[str, Tensor]:
    """Random probabilities of every choice."""
    rng = generator(seed, "test.weights")
    return {c.name: torch.from_numpy(rng.dirichlet(np.ones(len(c.values)))) for c in space.choices}


def drawn(space: Space, weights: Mapping[str, Tensor], n: int, seed: int) -> list[Architecture]:
    """Each choice drawn by itself, then those left out whose conditions do not hold."""
    rng = generator(seed, "test.draws")
    places = {c.name: rng.choice(len(c.values), n, p=weights[c.name].numpy()) for c in space.choices}
    found = []
    for row in range(n):
        values: dict[str, object] = {}
        for c in space.choices:
            if c.present(values):  # type: ignore[arg-type]
                values[c.name] = c.values[places[c.name][row]]
        found.append(Architecture(values))  # type: ignore[arg-type]
    return found


def check_one_hot(space: Space, seed: int) -> None:
    """Of architectures drawn in both ways."""
    model = model_of(space, weights=0.1)
    for by_choice in (False, True):
        batch = space.sample_many(6, generator(seed, "test"), by_choice=by_choice)
        for i, (architecture, ms) in enumerate(zip(batch, model.predict(batch)[0], strict=True)):
            assert float(model.expected(one_hot(space, architecture, absent=i))) == pytest.approx(ms, rel=1e-12)


@settings(deadline=None, max_examples=40)
@given(convnets(), st.integers(0, 2**32))
def test_at_one_hot_weights_it_is_the_prediction(space: Space, seed: int) -> None:
    """Depths, widths and kernels that are shared or not, residuals, precisions of every scope."""
    check_one_hot(space, seed)


@pytest.mark.parametrize("name", GRAPHS)
def test_at_one_hot_weights_it_is_the_prediction_of_other_families(name: str) -> None:
    """Concatenations, branches, alternatives, optional layers, chosen inputs and resolutions, tokens."""
    check_one_hot(elastic_in_precision(name), 0)


@pytest.mark.parametrize("name", ["resnet", "vit", "densenet", "words"])
def test_at_one_hot_weights_it_is_the_prediction_of_a_wrapped_model(name: str) -> None:
    module, inputs = made(name)
    check_one_hot(wrap(module, inputs).space, 0)


def test_who_made_floats_matters_though_none_is_stored_in_8_bits() -> None:
    """Of two convolutions with functions of their own either may run on integers; only floats come in blocks."""
    first = Choice("first", ("float", "w8a8"))
    second, d = Choice("second", ("float", "w8a8")), Choice("d", (0, 1))
    kernel, width = Choice("kernel", (1, 3)), Choice("width", (16, 24))

    def conv(path: str, source: str, precision: str | Chosen, **fields: Any) -> Record:
        given: dict[str, Any] = {"out": 16, "kernel": 3, "activation": "hswish", **fields}
        return Record(path, "conv", (source,), precision=precision, **given)

    end = (Record("pool", "pool", ("last",)), Record("classifier", "linear", ("pool",), 10))
    one, two = conv("one", "input", Chosen("first")), conv("two", "input", Chosen("second"))
    chosen = (one, two, Record("s", "select", ("one", "two"), rows=Chosen("d")), conv("last", "s", "float"), *end)
    check_one_hot(Space("chosen", (first, second, d), Outline((1, 8, 8), 10, chosen)), 0)
    other = conv("other", "one", "float", out=Chosen("width"), kernel=Chosen("kernel"))
    optional = conv("two", "one", "float", exists_when=(Condition("d", (1,)),))
    joined = (one, other, optional, conv("three", "two", "float"), Record("last", "concat", ("three", "other")), *end)
    check_one_hot(Space("optional", (first, d, kernel, width), Outline((1, 8, 8), 10, joined)), 0)


def test_at_one_hot_weights_it_is_the_prediction_of_weights_in_blocks() -> None:
    """A format per layer, which neighbours do not see: they hand on floats."""
    block = "w4-group16/a8-symmetric-group16"
    space = space_of(
        "model: {family: vit, input: [3, 8, 8], classes: 4, patch: 4, head_dim: 16, embed: {choice: [16, 32]}, depth: "
        "{choice: [1, 2]}, heads: {choice: [1, 2], per: block}, mlp_ratio: {choice: [1, 2], per: block}}\n"
        f"precision: {{choice: [float, w8a8, {block}], per: layer, except: {{patches: float}}}}\n"
    )
    check_one_hot(space, 0)


def test_precisions_in_parts_of_layers_that_alternatives_leave_out() -> None:
    """Where a part of the space has no such layer, the choices of its bits are not there either."""
    space = space_of(
        "model: {family: mobilenet, input: [1, 8, 8], classes: 10, stages: [{depth: {choice: [1, 2]}, width: {choice: "
        "[8, 16]}, expand: {choice: [1, 2], per: block}, block: {choice: [inverted, fused, dense], per: block}, "
        "squeeze: {choice: [true, false]}}]}\n"
        "precision: {split: true, weights: {bits: {choice: [4, 8]}}, inputs: {bits: 8}}\n"
    )
    check_one_hot(space, 0)


@pytest.mark.parametrize("space", [space_of(RESIDUAL), elastic_in_precision("graph_tokens")], ids=["residual", "graph"])
def test_the_gradient_is_that_of_finite_differences(space: Space) -> None:
    """In every weight, also off the simplex: it is a polynomial."""
    model, weights = model_of(space), relaxed(space, 3)
    names = list(weights)
    values = tuple(weights[name].requires_grad_() for name in names)
    assert torch.autograd.gradcheck(lambda *given: model.expected(dict(zip(names, given, strict=True))), values)


@pytest.mark.parametrize(("text", "seed"), [(RESIDUAL, 0), (RESIDUAL, 1), (WIDE, 0)])
def test_it_is_the_mean_over_architectures_drawn_choice_by_choice(text: str, seed: int) -> None:
    """Within four standard errors of 4,000 draws."""
    space = space_of(text)
    model, weights = model_of(space), relaxed(space, seed)
    times = model.predict(drawn(space, weights, 4_000, seed))[0]
    assert float(model.expected(weights)) == pytest.approx(times.mean(), abs=4 * times.std() / len(times) ** 0.5)


def test_it_is_exactly_the_mean_over_all_of_a_small_space() -> None:
    """Each architecture by its probability, the product of those of the choices that it has."""
    space = space_of(RESIDUAL.replace("[1, 2]", "[1]").replace(", w4a8]", "]").replace("[1, 3, 5]", "[1, 5]"))
    model, weights = model_of(space), relaxed(space, 0)
    batch = list(space.enumerate())
    chances = [
        np.prod([float(weights[c.name][c.code(a[c.name])]) for c in space.choices if c.name in a]) for a in batch
    ]
    assert sum(chances) == pytest.approx(1)
    assert float(model.expected(weights)) == pytest.approx(
        float(model.predict(batch)[0] @ np.array(chances)), rel=1e-12
    )


def test_weights_beyond_the_caches_are_those_of_the_mean_network() -> None:
    """Terms that are no sums: too low where some networks fit a cache, exact where all do as much, or none."""
    text = "model: {family: convnet, input: [3, 8, 8], stages: [{width: %s}, {width: %s}]}\n"
    for few, many, exact in ((32, 512, False), (384, 448, True), (512, 640, True)):
        space = space_of(text % ((f"{{choice: [{few}, {many}]}}",) * 2))
        model, weights = model_of(space, weights=0.5), relaxed(space, 1)
        times = model.predict(list(space.enumerate()))[0]
        a, b = (weights[c.name].numpy() for c in space.choices)
        mean, found = float(times @ np.outer(a, b).ravel()), float(model.expected(weights))
        assert found == pytest.approx(mean, rel=1e-12) if exact else found < mean * 0.99


def test_single_precision_weights_and_their_gradient_will_do() -> None:
    """As softmax gives them: the gradient arrives at the logits, and is negative where a faster value would help."""
    space = space_of(RESIDUAL)
    model = model_of(space)
    logits = {c.name: torch.zeros(len(c.values), requires_grad=True) for c in space.choices}
    model.expected({name: torch.softmax(x, 0) for name, x in logits.items()}).backward()
    depth = logits["stages.0.depth"].grad
    assert depth is not None
    assert depth[0] < 0 < depth[1]


def test_tables_are_small_however_large_the_space() -> None:
    """Of 5 x 10^20 architectures; resolution, depth, kernels and expansions of neighbours decide."""
    model = model_of(load("ofa_mobilenetv3"))
    assert sum(term.values.numel() for term in model._expectation.terms) < 100_000
    check_one_hot(model.space, 1)


def test_what_depends_on_too_many_choices_is_refused_by_name() -> None:
    """Readers of one tensor that each may want it in 8 bits: nothing in it is a product of few."""
    branches = ", ".join(f"b{i}: [conv: 4]" for i in range(12))
    space = space_of(
        f"model: {{family: graph, input: [3, 8, 8], classes: 4, layers: [conv: 4, split: {{merge: add, branches: "
        f"{{{branches}}}}}, pool, linear: 4]}}\nprecision: {{choice: [float, w8a8, w4a8], per: layer}}\n"
    )
    message = (
        "layers.0: its work depends on 13 choices at once, which have 1,594,323 combinations, "
        "more than 262,144 [too-many]"
    )
    with pytest.raises(TooManyChoices, match=rf"\A{re.escape(message)}\Z"):
        model_of(space).expected(relaxed(space, 0))


def test_wrong_weights_and_absent_rows_are_refused() -> None:
    space = space_of(RESIDUAL)
    weights = relaxed(space, 0)
    model = model_of(space)
    renamed = {name.replace("stages.0.width", "stages.0.widths"): w for name, w in weights.items()}
    with pytest.raises(
        ValueError,
        match=r"\Ano weights of choice stages\.0\.width of space example \[missing-key\]\n"
        r"  hint: is it 'stages\.0\.widths'\?\Z",
    ):
        model.expected(renamed)
    with pytest.raises(
        ValueError,
        match=r"\Aweights of choice stages\.0\.width must be \(3,\), not \(2,\): values \[3, 4, 6\] \[wrong-shape\]\Z",
    ):
        model.expected({**weights, "stages.0.width": torch.ones(2) / 2})
    for wrong in ([0.9, 0.9, 0.9], [1.5, -0.5, 0.0]):
        message = (
            f"weights of choice stages.0.width must be probabilities, but are {wrong}, which sum to {sum(wrong):.4g}"
        )
        with pytest.raises(ValueError, match=rf"\A{re.escape(message)} \[not-probabilities\]\Z"):
            model.expected({**weights, "stages.0.width": torch.tensor(wrong, dtype=torch.float64)})
    with pytest.raises(
        ValueError, match=r"\Aspace example has no choice stages\.0\.wide \[unknown-choice\]\n  hint: is it"
    ):
        model.expected({**weights, "stages.0.wide": torch.ones(1)})
    empty = LatencyModel(space, Table({}, 0.003, {}, {}), Target().menu, 1, np.append(FACTORS, [0.0, 0.0]), 0.0)
    with pytest.raises(TableError, match=r"^the latency table has no row "):
        empty.expected(weights)
