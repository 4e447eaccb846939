"""Profiling a space: every key is covered, and the networks to time are what the fit needs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from predictors.latency import Table, Target, Timing, networks_to_time
from predictors.latency.amounts import amounts
from predictors.latency.key import Key
from predictors.latency.plan import anchors_of, counted_keys, distinct_keys, in_order, tasks, woven
from predictors.latency.profile import whole_network
from predictors.latency.weights import WeightFormats
from predictors.latency.work import work
from spaces import Batch, Space
from spaces.randomness import generator
from tests.examples import space_of
from tests.predictors.networks import CHAIN, RESIDUAL, WIDE

module = importlib.import_module("predictors.latency.profile")  # the package has a function of its name
TARGET = Target()


def keys_of(batch: Batch) -> set[Key]:
    """Every key that these networks need."""
    done = work(batch.space.outline.table(batch), WeightFormats(TARGET.menu), 1)
    return {key for key, _ in done.kernels} | {key for key, _ in done.boundaries}


STAGE = "{width: {choice: [8, 16]}, expand: 2, depth: {choice: [1, 2]}, activation: ACTIVATION}"
ACTIVATIONS = (
    f"model: {{family: mobilenet, input: [3, 12, 12], classes: 4, stages: [{STAGE}]}}\n"
    "precision: {choice: [float, w8a8], per: layer}\n"
).replace("ACTIVATION", "{choice: [relu, hard_swish, relu6], per: block}")


def test_keys_go_by_chosen_activation_functions() -> None:
    """Also those of the next layer: a kernel that takes a ReLU along writes 8 bits, others do not."""
    space = space_of(ACTIVATIONS)
    assert set(distinct_keys(space, TARGET)) == keys_of(space.batch(list(space.enumerate())))


def test_every_key_of_a_small_space_is_covered() -> None:
    """Compared with all of its architectures, one by one: none is missing, none is spare."""
    space = space_of(CHAIN.replace("[1, 2]", "[1]"))
    assert set(distinct_keys(space, TARGET)) == keys_of(space.batch(list(space.enumerate())))


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL, WIDE], ids=["chain", "residual", "wide"])
def test_no_drawn_architecture_needs_another_key(text: str) -> None:
    """Uniform ones, shallow ones, ones in a single precision, and their neighbours: what searches come to."""
    space = space_of(text)
    known = set(distinct_keys(space, TARGET))
    for seed in range(3):
        for by_choice in (False, True):
            assert keys_of(space.sample_many(4_000, generator(seed, "test"), by_choice=by_choice)) <= known
    precisions = sorted(space.outline.precision_choices)
    depths = [c.name for c in space.choices if c.name.endswith("depth")]
    for i, name in enumerate(("w8a8", "w4a8", "float") * 30):
        rng = generator(i, "test.uniform")
        shallow = space.complete({**dict.fromkeys(precisions, name), **dict.fromkeys(depths, 1)}, rng)
        assert keys_of(space.batch([shallow, *(space.mutate(shallow, rng) for _ in range(5))])) <= known


def test_keys_are_the_same_on_every_run_and_sorted() -> None:
    """A measurement that is resumed numbers its calls by them."""
    keys = distinct_keys(space_of(RESIDUAL), TARGET)
    assert keys == distinct_keys(space_of(RESIDUAL), TARGET)
    assert list(map(str, keys)) == sorted(set(map(str, keys)))


def test_a_space_of_one_network_has_its_keys() -> None:
    """Nothing to draw is not an error."""
    space = space_of("model: {family: convnet, stages: [{width: 4}]}\n")
    assert sorted(map(str, distinct_keys(space, TARGET))) == [
        "conv k3 s1 g1 1x4@8x8 b1 f32/f32>f32 relu",
        "linear k1 s1 g1 4x10@1x1 b1 f32/f32>f32 none",
        "pool k1 s1 g1 4x4@8x8 b1 f32/f32>f32 none",
    ]


# --- Networks to time -------------------------------------------------------------------------------------------------


def precisions_of(space: Space, architecture: Any) -> set[str]:
    """The precisions that one architecture mixes."""
    return {str(v) for name, v in architecture.items() if name in space.outline.precision_choices}


def test_networks_to_time_are_the_largest_mixed_and_uniform_ones() -> None:
    """All different, the largest float network first, ``uniform`` each in 8 bits and in float at most."""
    space = space_of(RESIDUAL)
    networks = networks_to_time(space, 0, 10, 6)
    assert networks[0] == space.largest
    assert len(set(networks)) == len(networks)
    plain = [precisions_of(space, a) for a in networks[11:]]
    assert plain.count({"w8a8"}) == 6
    assert plain.count({"float"}) == len(plain) - 6 <= 6
    assert networks == networks_to_time(space, 0, 10, 6)
    assert networks != networks_to_time(space, 1, 10, 6)


def test_a_space_without_a_precision_has_no_uniform_networks_of_it() -> None:
    """All layers in float are not in the space, so none is timed."""
    space = space_of(CHAIN.replace("[float, w8a8, w4a8]", "[w8a8, w4a8]"))
    networks = networks_to_time(space, 0, 4, 3)
    assert all(a in set(space.batch(networks)) for a in networks)
    assert not any("float" in precisions_of(space, a) for a in networks)


# --- The table --------------------------------------------------------------------------------------------------------


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], list[int]]:
    """Replaces the measurement by given times, of the first calls; returns how many it was asked for, and anchors."""

    def replace(times: list[float]) -> list[int]:
        asked: list[int] = []

        def measure(makes: Any, anchors: Any, progress: Any, partial: Any, clock: Any, left: Any) -> list[Timing]:
            asked.extend([len(makes), len(anchors)])
            for make in (makes[0], makes[-1], *anchors):
                make()()  # they can be built and called
            return [Timing(2 * ms, ms, 0.01, 15) for ms in times[: len(makes)]]

        monkeypatch.setattr(module, "measure", measure)
        return asked

    return replace


def test_a_profile_times_every_key_and_network_and_takes_the_call_off_the_keys(timed: Any) -> None:
    """A key's row is its own time; a network's is that of the whole call, which a user pays too."""
    space = space_of(CHAIN)
    keys, networks = distinct_keys(space, TARGET), networks_to_time(space, 0, 3, 2)
    anchors = anchors_of(space, networks)
    todo = tasks(space, TARGET, networks)
    times = [0.25, *np.linspace(0.5, 1.5, len(todo) - 1).tolist()]
    asked = timed(times)
    table = module.profile(space, TARGET, networks)
    assert asked == [1 + len(keys) + len(networks) + 3 * len(anchors), 4]
    assert {a: list(ms) for a, ms in table.anchors.items()} == {
        a.to_json(): [ms for task, ms in zip(todo, times, strict=True) if task.session and task.network == a]
        for a in anchors
    }
    assert table.call_ms == 0.25
    assert list(table.rows) == list(map(str, keys))
    own = {task.key: ms - 0.25 for task, ms in zip(todo, times, strict=True) if task.key is not None}
    assert {key: table.ms(key) for key in keys} == pytest.approx(own)
    assert list(table.networks) == [a.to_json() for a in networks]
    assert {name: t.ms for name, t in table.networks.items()} == pytest.approx(
        {t.network.to_json(): ms for t, ms in zip(todo, times, strict=True) if t.network and not t.session}
    )
    assert not table.predicted
    assert Table.from_json(table.to_json(), "t.json") == table


def test_what_a_limit_left_out_is_predicted_and_marked(timed: Any) -> None:
    """A third of the calls was timed: their keys have rows, the others predictions, and no network a made-up time."""
    space = space_of(CHAIN)
    networks = networks_to_time(space, 0, 3, 2)
    todo = tasks(space, TARGET, networks)
    reached = todo[: len(todo) // 3]
    timed([0.25 + 0.01 * i for i in range(len(reached))])
    table = module.profile(space, TARGET, networks)
    keys = set(map(str, distinct_keys(space, TARGET)))
    assert set(table.rows) == {str(task.key) for task in reached if task.key is not None}
    assert set(table.predicted) == keys - set(table.rows)
    assert all(ms >= 0 for ms in table.predicted.values())
    assert set(table.networks) == {t.network.to_json() for t in reached if t.network and not t.session}
    assert Table.from_json(table.to_json(), "t.json") == table


def test_tasks_begin_with_every_kind_and_end_with_keys() -> None:
    """A call first, then keys of each kind, the largest network as the first of all; every network among the keys."""
    space = space_of(RESIDUAL)
    networks = networks_to_time(space, 0, 10, 6)
    todo = tasks(space, TARGET, networks)
    keys = [task.key for task in todo if task.key is not None]
    first, _ = in_order(dict.fromkeys(keys, 1))
    assert str(todo[0]) == "call"
    assert {amounts(key).kind for key in first} == {amounts(key).kind for key in keys}
    assert {task.key for task in todo[1 : 1 + len(first)]} == set(in_order(counted_keys(space, TARGET))[0])
    assert sorted(map(str, keys)) == list(map(str, distinct_keys(space, TARGET)))
    assert next(task.network for task in todo if task.network is not None) == space.largest
    assert {task.network for task in todo if task.network is not None} == set(networks)
    assert todo == tasks(space, TARGET, networks)


def test_what_is_woven_keeps_its_order_and_its_share() -> None:
    """One of the few after each so many of the many."""
    assert woven("ab", "123456") == list("1a234b56")
    assert woven("", "12") == ["1", "2"]


def test_a_key_faster_than_a_call_takes_no_time(timed: Any) -> None:
    """Rather than a negative one, which no table holds."""
    timed([0.5] * 1000)
    table = module.profile(space_of(CHAIN), TARGET, [])
    assert {t.ms for t in table.rows.values()} == {0.0}
    assert Table.from_json(table.to_json(), "t.json") == table


def test_a_fingerprint_tells_what_a_measurement_depends_on() -> None:
    """Threads, batch, processor, version and options: another value is another table."""
    found = Target(threads=2, batch=4).fingerprint()
    assert {k: found[k] for k in ("backend", "threads", "batch")} == {
        "backend": "onnxruntime",
        "threads": 2,
        "batch": 4,
    }
    assert all(found[k] for k in ("machine", "processor", "onnxruntime"))
    assert found["disabled_optimizers"] == "WeightBiasQuantization"
    assert found != Target().fingerprint()


def test_the_batch_size_is_that_of_the_model() -> None:
    """Whole networks take ``batch`` images a call."""
    from predictors.latency.backends import onnxruntime as backend

    space = space_of(CHAIN)
    assert backend.shape_of(whole_network(space, space.largest, Target(batch=5)))[0] == 5


def test_a_network_is_timed_in_its_own_resolution() -> None:
    """Where that is a choice, and not in the largest."""
    from predictors.latency.backends import onnxruntime as backend

    space = space_of(
        "model: {family: mobilenet, input: [3, 32, 32], resolution: {choice: [16, 32]}, stem: {width: 8},"
        " stages: [{width: 8}], head: [{width: 8}]}\n"
    )
    shapes = {a["resolution"]: backend.shape_of(whole_network(space, a, TARGET)) for a in space.enumerate()}
    assert shapes == {16: (1, 3, 16, 16), 32: (1, 3, 32, 32)}
