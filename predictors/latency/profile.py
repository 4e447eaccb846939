"""Measuring a space's latency table on this device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from predictors.latency.called_probe import random_network
from predictors.latency.key import Key
from predictors.latency.plan import Task, tasks
from predictors.latency.probe import Left, Partial, Progress, Timing, measure
from predictors.latency.probes import empty_model, key_model
from predictors.latency.table import Table
from predictors.latency.target import Target
from spaces import INPUT, Architecture, Space


def profile(
    space: Space,
    target: Target,
    networks: Sequence[Architecture],
    partial: Partial | None = None,
    progress: Progress | None = None,
    left: Left | None = None,
) -> Table:
    """Time every distinct key of the space and these whole networks, interleaved; goes on from ``partial``.

    Some of the networks are timed in sessions of their own besides, as anchors. ``left``: seconds until it has to end;
    keys that were not reached are predicted then, and networks that were not are missing.
    """
    todo, runtime = tasks(space, target, networks), target.runtime

    @lru_cache(maxsize=1)  # sessions of one network follow each other
    def written(network: Architecture) -> bytes:
        return whole_network(space, network, target)

    def make(task: Task) -> Callable[[], None]:
        if task.network is not None:
            model = written(task.network)
        else:
            model = empty_model() if task.key is None else key_model(task.key, target.batch)
        return runtime.prepared(model, target.threads)

    drift = [Task(network=space.extreme(pick, name)) for pick in (max, min) for name in ("w8a8", "float")]
    timings = measure(
        [lambda task=task: make(task) for task in todo],  # type: ignore[misc]
        [lambda task=task: make(task) for task in drift],  # type: ignore[misc]
        progress,
        partial,
        runtime.clock(target.threads),
        left,
    )
    return _table(target, networks, todo, timings)


def _table(target: Target, networks: Sequence[Architecture], todo: Sequence[Task], timings: Sequence[Timing]) -> Table:
    """What was timed, in order; the keys among ``todo`` that were not are predicted."""
    call = timings[0] if timings and target.runtime.ADDITIVE else Timing(0.0, 0.0, 0.0, 0)
    keys: dict[Key, Timing] = {}
    whole: dict[Architecture, Timing] = {}
    anchors: dict[str, tuple[float, ...]] = {}
    for task, timing in zip(todo, timings, strict=False):
        if task.key is not None:
            keys[task.key] = _less(timing, call)
        elif task.network is not None and task.session:
            name = task.network.to_json()
            anchors[name] = (*anchors.get(name, ()), timing.ms)
        elif task.network is not None:
            whole[task.network] = timing
    rows = {str(key): keys[key] for key in sorted(keys, key=str)}
    times = {a.to_json(): whole[a] for a in networks if a in whole}
    table = Table(target.fingerprint(), call.ms, rows, times, anchors)
    wanted = [task.key for task in todo if task.key is not None]
    return table.completed(wanted) if keys and len(keys) < len(wanted) else table


def whole_network(space: Space, architecture: Architecture, target: Target) -> bytes:
    """The model of an architecture with random weights."""
    outline = space.outline
    layers, shape = outline.layers(architecture), outline.input_shape
    if outline.resolution is not None:
        first = next(y for y in layers if INPUT in y.inputs)
        shape = shape[0], first.h, first.w
    return target.runtime.exported(random_network(layers, outline.takes, shape), target.batch)


def _less(timing: Timing, call: Timing) -> Timing:
    own = max(0.0, timing.median_ms - call.median_ms)
    return Timing(own, max(0.0, timing.p20_ms - call.p20_ms), timing.spread, timing.rounds)
