"""``nas space``: looking at a space before anything is trained."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from nas.terms import Json, checked, say

app = typer.Typer(no_args_is_help=True, help="Look at a space: check, describe, count, sample, schema.")

Plugins = Annotated[
    list[str] | None, typer.Option("--plugin", help="Package of your own that makes the model; may be repeated.")
]
_SHOWN = 12  # layers that are listed
Source = Annotated[str, typer.Argument(metavar="SPACE", help="A space.yaml, or the name of a space in the zoo.")]


@app.command()
def check(space: Source, plugin: Plugins = None, as_json: Json = False) -> None:
    """Read the whole file; list every problem with its place, or say that there is none."""
    from nas.experiment import load

    found = checked(lambda: load(space, plugin)).space
    said = {"name": found.name, "size": found.size, "choices": len(found.choices), "layers": len(found.outline.records)}
    say(said, as_json, lambda: f"{space}: no problems; {found.size:,} architectures of {len(found.choices)} choices")


@app.command()
def describe(
    space: Source,
    limit: Annotated[
        list[str] | None, typer.Option("--limit", help="Budget on a counted cost, like macs=3e8; may be repeated.")
    ] = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """The tree of choices, the size, and what architectures cost; with a limit, whether it can be kept."""
    from nas.experiment import load
    from nas.report.tables import space_table
    from predictors.latency.rounding import uneven
    from spaces import describe as words

    asked = checked(lambda: load(space, plugin))
    kept = {"size_bytes": asked.search.budget["size_bytes"]} if "size_bytes" in asked.search.budget else {}
    limits = {**kept, **checked(lambda: _limits(limit or []))}
    found = asked.space
    costs = checked(lambda: words.costs(found, limits))
    said = {
        "name": found.name,
        "size": found.size,
        "size_as_power": words.power(found.size),
        "choices": [
            {"name": c.name, "values": list(c.values), "when": [str(w) for w in c.when]} for c in found.choices
        ],
        "costs": costs,
    }
    report = "" if asked.own is None else asked.own.report
    if report:
        said["kept"] = report.splitlines()
    slow = [str(layer) for layer in uneven(found, asked.device.backend)]
    said["uneven"] = slow
    parts = [space_table(said, words.lines(found)), *([report] if report else []), *_slow(slow, asked.device.backend)]
    say(said, as_json, lambda: "\n\n".join(parts))


@app.command()
def count(space: Source, plugin: Plugins = None, as_json: Json = False) -> None:
    """The exact number of distinct architectures."""
    from nas.own_model import load_space
    from spaces.describe import power

    size = checked(lambda: load_space(space, plugin)).size
    say({"size": size, "size_as_power": power(size)}, as_json, lambda: f"{size}")


@app.command()
def sample(
    space: Source,
    n: Annotated[int, typer.Option("-n", "--number", help="How many.", min=1, max=1_000_000)] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    limit: Annotated[list[str] | None, typer.Option("--limit", help="Keep a counted cost, like macs=3e8.")] = None,
    published: Annotated[bool, typer.Option("--published", help="In the space's published notation.")] = False,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Architectures, uniform over all of them, one JSON object per line."""
    from nas.own_model import load_space
    from spaces.randomness import generator

    found = checked(lambda: load_space(space, plugin))
    limits = checked(lambda: _limits(limit or []))
    rng = generator(seed, "space.sample")
    batch = checked(lambda: found.sample_within(n, limits, rng) if limits else found.sample_many(n, rng))
    texts = checked(lambda: [found.format(a) if published else a.to_json() for a in batch])
    values: list[Any] = texts if published else [json.loads(text) for text in texts]
    say(values, as_json, lambda: "\n".join(texts))


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead.")] = None,
) -> None:
    """A JSON schema of space.yaml, for editors that complete and check while one writes."""
    from nas import files
    from nas.experiment import schema as made

    text = json.dumps(made(), indent=2)
    if out is None:
        print(text)
    else:
        checked(lambda: files.write_atomic(out, f"{text}\n".encode()), writes=("--out", out))


def _slow(layers: list[str], backend: str) -> list[str]:
    """A paragraph on channels that integer kernels run slowly, if there are any."""
    if not layers:
        return []
    more = [f"and {len(layers) - _SHOWN} more"] if len(layers) > _SHOWN else []
    head = f"channels that the 8-bit kernels of {backend} run slowly:"
    return ["\n".join([head, *(f"  {line}" for line in (*layers[:_SHOWN], *more))])]


def _limits(written: list[str]) -> dict[str, float]:
    found = {}
    for text in written:
        name, _, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise ValueError(f"--limit {text}: write NAME=NUMBER, like macs=3e8 [syntax]") from None
        if not 0 < found[name] < math.inf:
            raise ValueError(f"--limit {text}: a limit is a finite number above 0 [out-of-range]")
    return found
