"""The latency model of two spaces on this device: error on networks it has not seen, and how long profiling takes.

    python -m tests.benchmarks.latency [--spaces mobilenet,vit,resnet,own:resnet18] [--minutes 3] [--unseen 20]
                                       [--seed 0] [--backend onnxruntime] [--floats f32]

``--spaces`` takes names of the zoo too, of spaces that can be exported, and ``own:NAME`` for models of timm, wrapped,
on pictures of 64x64. After ``--minutes`` the rows that were not timed
are predicted. Unseen networks are drawn uniformly, of mixed precisions; each is timed twice, in fresh sessions, to know
how far the truth repeats itself.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np

from nas.stages.profile import FITTED, MEASURING
from predictors.latency import Target, fit, fit_whole, networks_to_time, profile
from predictors.latency.menu import menu_of
from predictors.latency.probe import measure
from predictors.latency.profile import whole_network
from predictors.metrics import mape, tau, within
from spaces import Space
from spaces.load import from_text, load
from spaces.randomness import generator

SPACES = {
    "mobilenet": """
model:
  family: mobilenet
  input: [3, 64, 64]
  classes: 100
  stem: {width: 16, activation: relu}
  stages:
    - {width: 16}
    - {depth: {choice: [1, 2, 3]}, width: {choice: [16, 24, 32]}, stride: 2, kernel: {choice: [3, 5], per: block},
       expand: {choice: [2, 4, 6], per: block}}
    - {depth: {choice: [1, 2, 3]}, width: {choice: [32, 48, 64]}, stride: 2, kernel: {choice: [3, 5], per: block},
       expand: {choice: [2, 4, 6], per: block}}
  head: [{width: 256}]
precision: {choice: [float, w8a8], per: layer}
""",
    "vit": """
model:
  family: vit
  input: [3, 64, 64]
  classes: 100
  patch: 8
  head_dim: 32
  embed: {choice: [128, 192, 256]}
  depth: {choice: [2, 3, 4]}
  heads: {choice: [3, 4, 6], per: block}
  mlp_ratio: {choice: [2, 3, 4], per: block}
precision: {choice: [float, w8a8], per: layer}
""",
    "resnet": """
model:
  family: resnet
  input: [3, 32, 32]
  classes: 10
  stem: {width: 32, kernel: 3, stride: 1}
  stem_pool: false
  stages:
    - {depth: {choice: [1, 2]}, width: {choice: [16, 32, 48]}}
    - {depth: {choice: [1, 2]}, width: {choice: [32, 64, 96]}, stride: 2}
    - {depth: {choice: [1, 2]}, width: {choice: [64, 96, 128]}, stride: 2}
precision: {choice: [float, w8a8], per: layer}
""",
}
SIDE = 64  # of the pictures of wrapped models


def space_of(name: str) -> Space:
    """A space of this file, of a wrapped model, or of the zoo."""
    if name.startswith("own:"):
        from supernets import wrap
        from tests.timm_models import made

        return wrap(*made(name.removeprefix("own:"), SIDE), {"precision": ["float", "w8a8"]}).space
    return from_text(f"name: {name}{SPACES[name]}") if name in SPACES else load(name)


def line(name: str, space: Space, target: Target, minutes: float, unseen: int, seed: int) -> str:
    """One line of the table."""
    start = time.monotonic()
    runtime = target.runtime
    fitted = networks_to_time(space, seed, *FITTED[runtime.ADDITIVE])
    table = profile(space, target, fitted, left=lambda: start + 60 * MEASURING * minutes - time.monotonic())
    fitted = [a for a in fitted if a.to_json() in table.networks]
    model = (fit if runtime.ADDITIVE else fit_whole)(space, table, target.menu, target.batch, fitted)
    seconds = time.monotonic() - start
    drawn = [a for a in space.sample_many(2 * unseen, generator(seed, "benchmark")) if a not in fitted][:unseen]
    made = [whole_network(space, a, target) for a in drawn] + [whole_network(space, a, target) for a in fitted[:8]]
    found = []
    for _ in range(2):
        makes = [partial(runtime.prepared, model, 1) for model in made]
        times = np.array([t.ms for t in measure(makes, [], clock=runtime.clock(1))])
        known = np.array([table.networks[a.to_json()].ms for a in fitted[:8]])
        found.append(times[:unseen] / np.exp(np.log(times[unseen:] / known).mean()))
    truth, predicted = np.mean(found, axis=0), model.predict(drawn)[0]
    repeats = 100 * float(np.median(np.abs(found[0] / found[1] - 1)))
    near = " | ".join(f"{100 * within(predicted, truth, share):.0f} %" for share in (0.05, 0.1))
    judged = f"{mape(predicted, truth):.1f} % | {near} | {tau(predicted, truth):.2f} | {repeats:.1f} %"
    rows = f"{len(table.rows)}, {len(table.predicted)}"
    size = f"{space.size:.1e} | {rows} | {seconds:.0f} s | {truth.min():.3f} to {truth.max():.3f}"
    return f"| {name} | {size} | {judged} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", default=",".join(SPACES))
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--unseen", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--floats", default="f32")
    given = parser.parse_args()
    target = Target(given.backend, floats=given.floats)
    near = "within 5 % | within 10 %"
    print(f"| space | size | rows measured, predicted | profiling | unseen, ms | MAPE | {near} | tau | truth repeats |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in given.spaces.split(","):
        space = space_of(name).restrict(menu_of(target).keeping(size=True, simulated=False))
        print(line(name, space, target, given.minutes, given.unseen, given.seed), flush=True)


if __name__ == "__main__":
    main()
