"""The speed of spaces: drawing, encoding, keys, ranks, costs, reading; asked against measured, on one core.

    python tests/benchmarks/space_language.py [--files 20000]

Takes about two minutes. Each figure is the median of several repetitions.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import spaces
from spaces import from_text
from spaces.randomness import generator
from spaces.yaml import SpecError
from spaces.yaml.writer import dump

NAME = "ofa_mobilenetv3"


def seconds(work: Callable[[], Any], repetitions: int = 5) -> float:
    """Median time of one call."""
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def long_file(flow: bool) -> str:
    """A file of 200 lines, in block style or with a line of flow style per layer."""
    layer = {"conv": {"out": {"choice": [16, 32]}, "kernel": {"choice": [3, 5]}, "stride": 1}}
    if flow:
        lines = [
            "    - {conv: {out: {choice: [16, 32, 48]}, kernel: {choice: [3, 5, 7]}, stride: 1, groups: 1, bias: true}}"
        ]
        return "model:\n  family: graph\n  layers:\n" + "\n".join(lines * 196) + "\n    - linear: 10\n"
    text = dump({"model": {"family": "graph", "layers": [layer] * 20}})
    return text


def mutated(rng: random.Random, text: str) -> str:
    """The file with some characters and lines changed."""
    data = list(text)
    for _ in range(rng.randint(1, 2)):
        place = rng.randrange(len(data))
        change = rng.randrange(4)
        if change == 0:
            data[place] = rng.choice("{}[]:,-#&*!|>'\"%@`\t\n 019aé\x00")
        elif change == 1:
            del data[place : place + rng.randint(1, 9)]
        elif change == 2:
            data[place:place] = data[rng.randrange(len(data)) :][: rng.randint(1, 30)]
        else:
            data[place:place] = rng.choice(
                ["{choice: []}", "{range: [1, 9999999]}", "{tie: x}", "~", "1e999", "<<: *a"]
            )
        data = data or ["\n"]
    return "".join(data)


def fuzz(count: int) -> tuple[int, int, float]:
    """(files that gave a space, that gave our error, the longest time in seconds); anything else is raised."""
    rng = random.Random(0)
    texts = [
        spaces.load(name).to_yaml()
        for name in ("digits", "ofa_mobilenetv3", "nasbench201", "spaceevo_mobile", "gpt_tangle")
    ]
    good = wrong = 0
    longest = 0.0
    for _ in range(count):
        text = mutated(rng, rng.choice(texts))
        start = time.perf_counter()
        try:
            from_text(text)
            good += 1
        except SpecError:
            wrong += 1
        longest = max(longest, time.perf_counter() - start)
    return good, wrong, longest


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2_000, help="mutated files to read; 20000 for the full size")
    files = parser.parse_args().files
    space = spaces.load(NAME)
    n = 250_000

    def draw() -> None:
        batch = space.sample_many(n, generator(0, "benchmark"))
        list(batch)
        space.encode(batch)

    batch = space.sample_many(100_000, generator(1, "benchmark"))
    some = list(batch[:2_000])
    print(f"| {NAME} | asked | measured |\n|---|---|---|")
    print(f"| drawn, as objects, encoded | >= 250,000/s | {n / seconds(draw):,.0f}/s |")
    print(f"| keys | >= 100,000/s | {len(batch) / seconds(lambda: [a.key for a in batch], 3):,.0f}/s |")
    few = batch[:5_000]
    print(f"| counted costs | >= 50,000/s | {len(few) / seconds(lambda: space.cost(few), 3):,.0f}/s |")
    ms = 1e3 * seconds(lambda: [space.index(a) for a in some[:200]]) / 200
    print(f"| index | <= 1 ms | {ms:.2f} ms |")
    many = seconds(lambda: list(islice(space.enumerate(), 100_000)), 1) * 10
    print(f"| 10^6 architectures enumerated | <= 10 s | {many:.1f} s |")
    print("\n| every space of the zoo | asked | slowest |\n|---|---|---|")
    loaded = {name: spaces.load(name) for name in spaces.zoo()}
    for what, asked, work in (
        ("size, counted anew", "<= 5 ms", lambda s: spaces.Space(s.name, s.choices, s.outline).size),
        ("index", "<= 1 ms", lambda s: s.index(s.largest)),
        ("at", "<= 1 ms", lambda s: s.at(s.size * 2 // 3)),
    ):
        worst = max((1e3 * seconds(lambda s=s, work=work: work(s), 7), name) for name, s in loaded.items())  # type: ignore[misc]
        print(f"| {what} | {asked} | {worst[0]:.2f} ms ({worst[1]}) |")
    print("\n| reading a file of 200 lines | asked | measured |\n|---|---|---|")
    for style, asked in (("block", "<= 50 ms"), ("dense flow", "<= 150 ms")):
        text = long_file(style != "block")
        ms = 1e3 * seconds(lambda text=text: from_text(text))  # type: ignore[misc]
        print(f"| {style}, {len(text.splitlines())} lines | {asked} | {ms:.0f} ms |")
    good, wrong, longest = fuzz(files)
    said = f"{good} spaces, {wrong} refused with our error, nothing else"
    print(f"\n{files} mutated files: {said}; longest {longest:.2f} s (asked: 2 s)")


if __name__ == "__main__":
    main()
