"""``nas devices`` and ``nas profile``: what a device can, and latencies, measured here or those of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas import interrupt
from nas.terms import WRONG_INPUT, Json, checked, fail, say


def profile(
    space: Annotated[
        str | None, typer.Argument(metavar="[SPACE]", help="Measure it here: a space.yaml, or a name of the zoo.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--import", help="CSV of latencies that others measured; or nn-Meter's JSON of kernels, or a folder of it."
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="Time to measure for; what is not reached is predicted.", min=0, max=10_000)
    ] = 3.0,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for table.csv and its header table.json.")] = None,
    plugin: Annotated[
        list[str] | None, typer.Option("--plugin", help="Package of your own that makes the model; may be repeated.")
    ] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Folder of runs and of the store.")] = Path("runs"),
    unit: Annotated[str | None, typer.Option("--unit", help="Of the file's times: ns, us, ms or s.")] = None,
    of: Annotated[str | None, typer.Option("--space", help="Of a file with a column arch.")] = None,
    names: Annotated[
        Path | None, typer.Option("--names", help="CSV of index and arch_str or arch, for a file with an index only.")
    ] = None,
    device: Annotated[list[str] | None, typer.Option("--device", help="Column to take; may be repeated.")] = None,
    predictor: Annotated[
        str | None, typer.Option("--predictor", help="lookup, linear (unless given), varying, trees or mlp.")
    ] = None,
    transfer: Annotated[str | None, typer.Option("--transfer", help="Device to predict from the others.")] = None,
    samples: Annotated[int, typer.Option("--samples", help="Networks of it that --transfer may read.", min=2)] = 10,
    threads: Annotated[int | None, typer.Option("--threads", help="That the file's header must name.", min=1)] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of what is measured, judged and chosen.")] = 0,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Measure the latency table of SPACE on this device, for searches; or with --import take over one of others.

    Repeated, a measurement goes on where its time was over. A table of others is checked, and turned into milliseconds:
    of networks as ``nas bench strategies --table`` reads it, of kernels as ``nas search --table`` does.
    """
    if (space is None) == (file is None):
        problem = "SPACE, to measure here, or --import FILE"
        fail(f"nas profile takes {problem}{', not both' if space else ''} [ambiguous]", WRONG_INPUT)
    if space is not None:
        for option, given in (("--unit", unit), ("--space", of), ("--names", names), ("--transfer", transfer)):
            if given is not None:
                fail(f"{option} belongs to --import, not to a measurement [unknown-key]", WRONG_INPUT)
        _measure(space, minutes, out, seed, plugin or [], runs, as_json, quiet)
        return
    if file is None or unit is None or out is None:
        fail(f"--import needs {'--unit' if unit is None else '--out'} [missing-value]", WRONG_INPUT)
    from nas import imported, imported_kernels
    from nas.report.tables import imported_table

    if imported_kernels.is_kernels(file):
        others = {"--space": of, "--names": names, "--device": device, "--predictor": predictor, "--transfer": transfer}
        _import_kernels(
            file, unit, out, [name for name, given in others.items() if given is not None], threads, seed, as_json
        )
        return
    found, header = checked(
        lambda: imported.import_table(file, unit, of, device or (), predictor or "linear", threads, names, seed)
    )
    predicted = {}
    if transfer is not None:
        predicted[transfer], header["transfer"] = checked(lambda: imported.transferred(found, transfer, samples, seed))
    checked(lambda: imported.write(out, found, header, predicted), writes=("--out", out))
    say(header, as_json, lambda: imported_table(header, out))


def devices(
    out: Annotated[Path | None, typer.Option("--out", help="JSON file for the menu of precisions.")] = None,
    threads: Annotated[int, typer.Option("--threads", help="Of the runtime.", min=1, max=1024)] = 1,
    backend: Annotated[str, typer.Option("--backend", help="The runtime.")] = "onnxruntime",
    floats: Annotated[str, typer.Option("--floats", help="What float layers compute in: f32 or bf16.")] = "f32",
    as_json: Json = False,
) -> None:
    """Try every operator in every precision on this device: which have kernels, how exact and how fast they are."""
    from dataclasses import asdict

    from nas import files
    from nas.report.tables import devices_table
    from predictors.latency import Target
    from predictors.latency.capability import capabilities
    from spaces.menu import SCHEMA

    target = Target(backend, threads, floats=floats)
    found = checked(lambda: capabilities(target))
    menu = {"schema": SCHEMA, "device": target.fingerprint(), "menu": [asdict(c) for c in found]}
    if out is not None:
        checked(lambda: files.write_json(out, menu, indent=2), writes=("--out", out))
    say(menu, as_json, lambda: devices_table(menu, out))


def _import_kernels(
    file: Path, unit: str, out: Path, foreign: list[str], threads: int | None, seed: int, as_json: bool
) -> None:
    from nas import imported_kernels
    from nas.report.tables import kernels_table

    if foreign:
        fail(f"{foreign[0]} belongs to tables of networks; {file} has kernels [unknown-key]", WRONG_INPUT)
    found, header = checked(lambda: imported_kernels.import_kernels(file, unit, threads, seed))
    checked(lambda: imported_kernels.write(out, found, header, file), writes=("--out", out))
    say({**header, "left_out": dict(found.left_out)}, as_json, lambda: kernels_table(header, found.left_out, out))


def _measure(
    space: str, minutes: float, out: Path | None, seed: int, plugins: list[str], runs: Path, as_json: bool, quiet: bool
) -> None:
    interrupt.current().advice = "what was timed is kept; the same command goes on"
    from nas import profiling
    from nas.report.tables import profile_table
    from nas.terminal import Terminal

    terminal = Terminal(quiet or as_json)
    table, facts = checked(lambda: profiling.profile(space, minutes, seed, runs, plugins, terminal))
    if out is not None:
        checked(lambda: profiling.write(out, table, facts), writes=("--out", out))
    say(facts, as_json, lambda: profile_table(facts, out))
