"""Whole networks on every backend that is installed: milliseconds in float, bf16 and 8 bits.

    python -m tests.benchmarks.backends [--only mobilenet,resnet,vit] [--backends onnxruntime,openvino,torch,inductor]

The largest network of each space, random weights, one thread, one image; all forms of a network take turns. The audit
of each is read before it is timed: what runs otherwise than it is meant to is marked, and how many layers are in 8 bits
if not all. Inductor compiles for minutes.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from functools import partial

from predictors.latency import Target, measure
from predictors.latency.backends import BACKENDS, NoBackend
from predictors.latency.menu import menu_of
from predictors.latency.profile import whole_network
from spaces import Space
from spaces.layers import WEIGHTED
from spaces.load import from_text
from tests.benchmarks.latency import SPACES

FORMS = (("float", "f32"), ("float", "bf16"), ("w8a8", "f32"))


def forms(names: list[str]) -> Iterator[tuple[str, Target]]:
    """(precision, target) of all that is installed and has kernels."""
    for name in names:
        for precision, floats in FORMS:
            target = Target(name, floats=floats)
            try:
                if precision in target.menu:
                    yield precision, target
            except NoBackend as error:
                if floats == "f32":
                    print(str(error).splitlines()[0])


def timed(space: Space, names: list[str]) -> dict[tuple[str, str], str]:
    """(backend, form) -> milliseconds, with what of the layers runs otherwise than meant."""
    found, makes, clocks = {}, [], []
    for precision, target in forms(names):
        runtime, left = target.runtime, space.restrict(menu_of(target))
        architecture = left.extreme(max, precision)
        layers, model = left.outline.layers(architecture), whole_network(left, architecture, target)
        _, wrong = runtime.audited(model, layers)
        form = "int8" if precision == "w8a8" else target.floats
        eights = [y.runs8 for y in layers if y.kind in WEIGHTED]
        found[target.backend, form] = f" ({len(wrong)} not as meant)" if wrong else ""
        found[target.backend, form] += f" ({sum(eights)} of {len(eights)} layers)" if len(set(eights)) == 2 else ""
        makes.append(partial(runtime.prepared, model, target.threads))
        clocks.append(runtime.clock(target.threads))
    assert len(set(clocks)) <= 1
    timings = measure(makes, [], clock=clocks[0])
    return {place: f"{t.ms:.3f}{wrong}" for (place, wrong), t in zip(found.items(), timings, strict=True)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SPACES))
    parser.add_argument("--backends", default=",".join(BACKENDS))
    given = parser.parse_args()
    print("| network | backend | f32 | bf16 | int8 |\n|---|---|---|---|---|")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in given.only.split(","):
            names = given.backends.split(",")
            times = timed(from_text(SPACES[name], name), names)
            for backend in dict.fromkeys(backend for backend, _ in times):
                row = [times.get((backend, form), "-") for form in ("f32", "bf16", "int8")]
                print(f"| {name} | {backend} | {' | '.join(row)} |", flush=True)
