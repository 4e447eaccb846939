"""Latency keys of traced networks, and the models that are timed for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from predictors.latency import Table, Target, Timing
from predictors.latency.amounts import amounts
from predictors.latency.backends import onnxruntime as backend
from predictors.latency.called import work_of
from predictors.latency.key import CallKey
from predictors.latency.plan import distinct_keys, keys_of
from predictors.latency.probes import key_model
from predictors.latency.profile import whole_network
from predictors.latency.weights import WeightFormats
from spaces.call import Given
from spaces.randomness import generator
from supernets import Wrapped, wrap
from tests.supernets.wrapping.models import MODELS, made, parts_of_encoders

NAMES = WeightFormats(Target().menu)
TRIED = 24  # keys of each model


@pytest.fixture(autouse=True, scope="module")
def by_parts() -> Iterator[None]:
    """As other tests of wrapped models run."""
    with parts_of_encoders():
        yield


@pytest.fixture(scope="module", params=sorted(MODELS))
def net(request: pytest.FixtureRequest) -> Wrapped:
    """A small model, wrapped."""
    module, inputs = made(request.param)
    return wrap(module, inputs)


def test_the_model_of_every_key_runs_on_the_kernel_that_the_key_says(net: Wrapped) -> None:
    """Some keys of each operation; layers with integer weights on integer kernels, others not."""
    keys = sorted(keys_of(net.space.sample_many(60, generator(0, "test"), by_choice=True), Target()), key=str)
    by_call: dict[tuple[str, str], CallKey] = {}
    for key in keys:
        if isinstance(key, CallKey):
            by_call.setdefault((key.call, key.source), key)
    for key in [*by_call.values(), *keys[:: max(1, len(keys) // TRIED)]]:
        model = key_model(key)
        backend.prepared(model, 1)()
        if isinstance(key, CallKey) and key.op in ("conv", "linear"):
            audit = backend.audit(model, ["layer"])
            assert audit.unintended({"layer": key.source == "u8"}) == [], str(key)


def test_work_does_not_depend_on_the_batch_that_it_is_found_in(net: Wrapped) -> None:
    """Alone every network has the keys that it has among others, as often."""
    drawn = net.space.sample_many(12, generator(1, "test"), by_choice=True)
    together = work_of(drawn, NAMES, 2)
    for i, architecture in enumerate(drawn):
        alone = work_of(net.space.batch([architecture]), NAMES, 2)
        among = {str(key): int(np.sum(rows == i)) for key, rows in together.kernels if i in rows}
        assert {str(key): len(rows) for key, rows in alone.kernels} == among
        assert (alone.layers[0], alone.links[0]) == (together.layers[i], together.links[i])
        assert alone.blocks[0].tolist() == together.blocks[i].tolist() == [together.links[i], 0, 0]


def test_keys_are_texts_of_what_is_called_with_which_sizes() -> None:
    """Not of names: both blocks of a stage have the same."""
    module, inputs = made("resnet")
    space = wrap(module, inputs, {"width": [1], "depth": [1]}).space
    eight = {str(key): len(rows) for key, rows in work_of(space.batch([space.extreme(max, "w8a8")]), NAMES, 1).kernels}
    assert eight == {
        "aten.conv2d.default([1, 1], [1, 1], [1, 1], 1) w8c[8x3x3x3] u8[1x3x8x8] > u8 relu": 1,
        "aten.conv2d.default([1, 1], [1, 1], [1, 1], 1) w8c[8x8x3x3] u8[1x8x8x8] > u8 relu": 3,
        "aten.conv2d.default([1, 1], [1, 1], [1, 1], 1) w8c[8x8x3x3] u8[1x8x8x8] > u8": 3,
        "aten.add.Tensor(@0, @1) u8[1x8x8x8] u8[1x8x8x8] > u8 relu": 3,
        "aten.reshape.default(@0, [-1]) torch.float32[256] > u8": 1,
        "aten.linear.default() w8c[5x256] u8[1x256] > f32": 1,
    } | {key: count for key, count in eight.items() if "16" in key or "max_pool" in key}
    batched = {str(key) for key, _ in work_of(space.batch([space.largest]), NAMES, 4).kernels}
    assert "aten.conv2d.default([1, 1], [1, 1], [1, 1], 1) f32[8x3x3x3] torch.float32[4x3x8x8] > f32 relu" in batched


def test_the_mean_over_a_picture_is_timed_as_networks_run_it() -> None:
    """Alone the runtime would turn it to channels first and back."""
    key = CallKey("call", "aten.mean.dim", (Given(0), (2, 3), True), (), (("u8", (1, 16, 8, 8)),), (), "", "u8", "none")
    assert backend.audit(key_model(key), []).kernels == {"QLinearGlobalAveragePool": 1}


def test_every_key_of_a_small_space_is_found() -> None:
    """And a whole network with random weights runs."""
    module, inputs = made("resnet")
    space = wrap(module, inputs, {"width": [0.5, 1], "depth": [1], "precision": ["w8a8"]}).space
    assert set(distinct_keys(space, Target())) == keys_of(space.batch(list(space.enumerate())), Target())
    backend.prepared(whole_network(space, space.largest, Target(batch=2)), 1)()


def test_absent_rows_of_traced_networks_are_predicted(net: Wrapped) -> None:
    """From half of the keys, whatever they are of: every other has a finite time of the right size."""
    keys = distinct_keys(net.space, Target())
    ms = {str(key): 1e-9 * amounts(key).effort for key in keys}
    table = Table({}, 0.001, {str(key): Timing(ms[str(key)], ms[str(key)], 0.0, 15) for key in keys[::2]}, {})
    found = table.completed(keys)
    assert set(found.predicted) | set(found.rows) == set(ms)
    for name, predicted in found.predicted.items():
        assert 0.2 < (predicted + 0.001) / (ms[name] + 0.001) < 5, name
