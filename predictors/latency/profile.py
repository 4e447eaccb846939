"""Measuring a space's latency table on this device."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from predictors.latency.backends import onnxruntime as backend
from predictors.latency.called import work_of
from predictors.latency.key import Key
from predictors.latency.model import weight_names
from predictors.latency.probe import Partial, Progress, Timing, measure
from predictors.latency.probes import empty_model, key_model, network_model
from predictors.latency.table import Table
from spaces import Architecture, Batch, Space
from spaces.randomness import generator

_COVER, _MOST_TURNS = 4_000, 50
ANCHORS, SESSIONS = 8, 3


@dataclass(frozen=True)
class Target:
    """Where and how networks will run: backend, threads, images per call."""

    backend: str = backend.NAME
    threads: int = 1
    batch: int = 1

    @property
    def menu(self) -> dict[str, str]:
        """Precision -> precision whose kernel runs it."""
        return {name: kernel.executed_as for name, kernel in backend.MENU.items()}

    def fingerprint(self) -> dict[str, Any]:
        """What a measurement depends on besides the network."""
        return {
            "backend": self.backend,
            "threads": self.threads,
            "batch": self.batch,
            "machine": platform.machine(),
            "processor": _processor(),
            "onnxruntime": version("onnxruntime"),
            "disabled_optimizers": "WeightBiasQuantization",
        }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def distinct_keys(space: Space, target: Target) -> list[Key]:
    """Every distinct kernel and conversion of the extreme architectures, and of ever more drawn ones until none is new.

    Half of them is drawn uniformly, half uniformly per choice: of plain draws hardly any has a shallow stage, where a
    search goes at once. Sorted.
    """
    extremes = [space.extreme(pick, name) for pick in (min, max) for name in target.menu]
    keys = keys_of(space.batch(extremes), target)
    for turn in range(_MOST_TURNS):
        rng = generator(0, "profile.cover", turn)
        drawn = [keys_of(space.sample_many(_COVER, rng, by_choice=by_choice), target) for by_choice in (False, True)]
        new = set().union(*drawn) - keys
        if not new:
            break
        keys |= new
    return sorted(keys, key=str)


def keys_of(batch: Batch, target: Target) -> set[Key]:
    """The kernels and conversions of these architectures."""
    todo = work_of(batch, weight_names(target.menu), target.batch)
    return {key for key, _ in todo.kernels} | {key for key, _ in todo.boundaries}


def networks_to_time(space: Space, seed: int, mixed: int, uniform: int) -> list[Architecture]:
    """The largest float network, ``mixed`` drawn uniformly, ``uniform`` each with all layers in 8 bits and in float.

    The last matter because a search ends among them, and a plain draw hardly ever hits them.
    """
    names = [c.name for c in space.choices if c.name in space.outline.precision_choices]
    drawn = [space.largest, *space.sample_many(mixed, generator(seed, "profile.mixed"))]
    for precision in ("w8a8", "float"):
        if space.uniform(precision):
            drawn += [
                space.complete(dict.fromkeys(names, precision), generator(seed, f"profile.{precision}", i))
                for i in range(uniform)
            ]
    return list(dict.fromkeys(drawn))


def anchors_of(space: Space, networks: Sequence[Architecture]) -> list[Architecture]:
    """Some of these networks, from the smallest to the largest by multiplications."""
    if not networks:
        return []
    macs = space.cost(space.batch(list(networks)))["macs"]
    order = sorted(range(len(networks)), key=lambda i: (int(macs[i]), networks[i].key))
    places = {round(i * (len(order) - 1) / (ANCHORS - 1)) for i in range(ANCHORS)}
    return [networks[order[place]] for place in sorted(places)]


def profile(
    space: Space,
    target: Target,
    networks: Sequence[Architecture],
    partial: Partial | None = None,
    progress: Progress | None = None,
) -> Table:
    """Time every distinct key of the space and these whole networks, interleaved; goes on from ``partial``.

    Some of the networks are timed in sessions of their own besides, as anchors.
    """
    keys = distinct_keys(space, target)
    models: list[Callable[[], bytes]] = [empty_model]
    models += [lambda key=key: key_model(key, target.batch) for key in keys]  # type: ignore[misc]
    models += [lambda a=a: whole_network(space, a, target) for a in networks]  # type: ignore[misc]
    sessions = [a for a in anchors_of(space, networks) for _ in range(SESSIONS)]
    models += [lambda a=a: whole_network(space, a, target) for a in sessions]  # type: ignore[misc]
    drift = [space.extreme(max, "w8a8"), space.extreme(min, "float")]
    timings = measure(
        [lambda make=make: backend.prepared(make(), target.threads) for make in models],  # type: ignore[misc]
        [lambda a=a: backend.prepared(whole_network(space, a, target), target.threads) for a in drift],  # type: ignore[misc]
        progress,
        partial,
    )
    call = timings[0]
    rows = {str(key): _less(timing, call) for key, timing in zip(keys, timings[1:], strict=False)}
    timings = timings[1 + len(keys) :]
    whole = {a.to_json(): t for a, t in zip(networks, timings, strict=False)}
    anchors: dict[str, tuple[float, ...]] = {}
    for a, timing in zip(sessions, timings[len(networks) :], strict=True):
        anchors[a.to_json()] = (*anchors.get(a.to_json(), ()), timing.median_ms)
    return Table(target.fingerprint(), call.median_ms, rows, whole, anchors)


def whole_network(space: Space, architecture: Architecture, target: Target) -> bytes:
    """The model of an architecture with random weights."""
    outline = space.outline
    return network_model(outline.layers(architecture), outline.input_shape, target.batch, outline.takes)


def _less(timing: Timing, call: Timing) -> Timing:
    own = max(0.0, timing.median_ms - call.median_ms)
    return Timing(own, max(0.0, timing.p20_ms - call.p20_ms), timing.spread, timing.rounds)
