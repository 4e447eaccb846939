"""Files with slips in them: each gives a space or our error, soon, and never anything else."""

from __future__ import annotations

import random
import time

import spaces
from spaces import from_text
from spaces.yaml import SpecError

GRAPH = """\
model:
  family: graph
  layers:
    - conv: {out: {choice: [8, 16]}, kernel: {choice: [3, 5]}}
    - {name: body, repeat: {choice: [0, 2]}, of: [residual: [{conv: {out: {tie: layers.0.out}}}]]}
    - one_of: {a: [conv: 8], b: [depthwise, {conv: {out: 8, groups: 2, when: {layers.body: 2}}}]}
    - pool
    - linear: 10
precision: {choice: [float, w8a8], per: block, except: {layers.4: float}}
"""
CHOICES = """\
model:
  family: choices
  choices:
    a: {choice: [1, 1.0, true, x]}
    b: {repeat: {range: [0, 2]}, tied: true, of: {c: {choice: [1, 2], when: {a: x}, else: 1}}}
    d: {optional: {one_of: {e: {f: {range: [1, 9, 2]}}, g: {tie: a}}}}
"""
PIECES = [
    "{choice: []}",
    "{range: [1, 99999999]}",
    "{tie: x}",
    "~",
    "1e999",
    "<<: *a",
    "&a [*a]",
    "!!python/x {}",
    "- ",
    "''",
]


def mutated(rng: random.Random, text: str) -> str:
    """One to four characters, words or lines changed, lost, doubled, or foreign."""
    data = list(text)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[place : place + 1] = rng.choice("{}[]:,-#&*!|>'\"%@`?\t\n 019aé\x00\x85")
        elif kind == 1:
            del data[place : place + rng.randint(1, 12)]
        elif kind == 2:
            data[place:place] = data[rng.randrange(len(data) + 1) :][: rng.randint(1, 40)]
        elif kind == 3:
            data[place:place] = rng.choice(PIECES)
        else:
            lines = "".join(data).splitlines(keepends=True)
            rng.shuffle(lines)
            data = list("".join(lines)) if rng.random() < 0.2 else data
    return "".join(data)


LONGEST_S = 8  # of the processor, as on a machine that is four times too slow; the benchmark asks for two seconds


def test_two_thousand_files_give_a_space_or_our_error_within_two_seconds() -> None:
    """And of both some; a space that was read can be used."""
    rng = random.Random(3)
    texts = [GRAPH, CHOICES, spaces.load("digits").to_yaml(), spaces.load("gpt_tangle").to_yaml()]
    read = 0
    for _ in range(2_000):
        text = mutated(rng, rng.choice(texts))
        start = time.process_time()
        try:
            space = from_text(text)
        except SpecError as error:
            assert str(error).endswith("nothing was written")  # noqa: PT017 - that nothing else is raised is the test
        else:
            read += 1
            assert space.architecture(space.at(space.size - 1)).key
        assert time.process_time() - start < LONGEST_S, text
    assert 20 < read < 1_900
