"""The command line. Heavy packages load inside commands, so that ``nas --help`` is quick.

Exit status: 0 done; 2 wrong input, nothing written; 3 done, but nothing keeps the budget; 74 no room on the disk;
130 interrupted, resumable.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from nas import bench_commands, device_commands, interrupt, space_commands
from nas.start import main
from nas.terms import NO_NETWORK, WRONG_INPUT, Json, checked, fail, say

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(space_commands.app, name="space")
app.add_typer(bench_commands.app, name="bench")
app.command()(device_commands.profile)
app.command()(device_commands.devices)

Runs = Annotated[Path, typer.Option("--runs", help="Folder of runs and of the store.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
LatencyMs = Annotated[float | None, typer.Option("--latency-ms", help="Latency budget in milliseconds.", min=1e-6)]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="Package of your own whose code the space may name; may be repeated."),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, as `nas runs` lists it, or its folder.")]
DEFAULT_RUNS = Path("runs")


@app.callback()
def nas(context: typer.Context) -> None:
    """From a space.yaml to a quantized ONNX network that keeps its latency budget, measured."""
    if context.invoked_subcommand != "search":  # which writes nothing before its run, and knows when that is there
        interrupt.current().advice = ""


@app.command()
def search(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="A space.yaml, or the name of a space in the zoo.")],
    latency_ms: LatencyMs = None,
    latency_share: Annotated[
        float | None,
        typer.Option(help="Latency budget as a share of the largest float network's, e.g. 0.15.", min=1e-6, max=2),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0, max=2**63 - 1)] = 0,
    table: Annotated[Path | None, typer.Option(help="Answer latencies from this recorded table.")] = None,
    remeasure: Annotated[
        bool,
        typer.Option("--remeasure/--no-remeasure", help="Time the finalists; without, --table answers for them too."),
    ] = True,
    plugin: Plugins = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search for the best network within a latency budget, and export it."""
    from nas import api

    asked = checked(lambda: api.prepare(space, latency_ms, latency_share, seed, table, remeasure, plugin or ()))
    ctrl_c = interrupt.current()
    with ctrl_c.held():
        run = checked(lambda: asked.start(runs), writes=("--runs", runs))
        ctrl_c.advice = f"go on with: {_resume(run)}"
    _finish(run, as_json, quiet)


@app.command()
def resume(
    run: RunName, plugin: Plugins = None, runs: Runs = DEFAULT_RUNS, as_json: Json = False, quiet: Quiet = False
) -> None:
    """Go on with a run that was stopped; a finished one is shown again."""
    _finish(_opened(run, runs, plugin), as_json, quiet)


@app.command(name="runs")
def list_runs(runs: Runs = DEFAULT_RUNS, as_json: Json = False) -> None:
    """List runs, what they were asked for and what they found."""
    from nas.report.tables import runs_table
    from nas.run import list_runs

    found = [_summary(folder) for folder in checked(lambda: list_runs(runs))]
    say(found, as_json, lambda: runs_table(found, runs))


@app.command()
def show(run: RunName, runs: Runs = DEFAULT_RUNS, as_json: Json = False) -> None:
    """Show the contract table of a run."""
    from nas.report.tables import result_table

    result = _result(_opened(run, runs))
    say(result, as_json, lambda: result_table(result))


@app.command()
def export(
    run: RunName,
    out: Annotated[Path, typer.Option("--out", help="Folder to write the files to.")],
    latency_ms: LatencyMs = None,
    any_batch: Annotated[
        bool, typer.Option("--any-batch", help="Also write model_any_batch.onnx, for any number of examples per call.")
    ] = False,
    runs: Runs = DEFAULT_RUNS,
    as_json: Json = False,
) -> None:
    """Write out the best finalist of a run within a latency: model, weights, architecture, card."""
    from nas.api import Nothing, Search

    opened = _opened(run, runs)
    result = _result(opened)
    try:
        row = checked(lambda: Search(opened, result).export(out, latency_ms, any_batch), writes=("--out", out))
    except Nothing as error:
        fail(str(error), NO_NETWORK)
    bound = row["latency_ms"]["measured_upper"]
    time = "not measured" if bound is None else f"at most {bound:.4f} ms"
    quality = f"{row['quality']['exported']:.2f} {result['metric']['unit']}"
    say({**row, "out": str(out)}, as_json, lambda: f"{out}: {row['key']}, {time}, {quality}")


@app.command()
def evaluate(
    run: RunName,
    architecture: Annotated[
        str, typer.Argument(metavar="ARCHITECTURE", help="Key of a network of the run, JSON, or a file of it.")
    ],
    plugin: Plugins = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: Json = False,
) -> None:
    """Quality, predicted latency and counted costs of any architecture, from the run's supernet and predictors."""
    from nas.inspect import evaluated
    from nas.report.tables import evaluation_table
    from nas.terminal import Terminal

    opened = _opened(run, runs, plugin)
    found = checked(lambda: evaluated(opened, architecture, Terminal(quiet=as_json)))
    say(found, as_json, lambda: evaluation_table(found))


# -- shared


def _finish(run: Any, as_json: bool, quiet: bool) -> None:
    interrupt.current().advice = f"go on with: {_resume(run)}"
    from nas.pipeline import execute
    from nas.report.tables import result_table
    from nas.terminal import Terminal

    terminal = Terminal(quiet or as_json)
    result = checked(lambda: execute(run, terminal))
    say(result, as_json, lambda: result_table(result))
    if not as_json:
        terminal.say(f"\nreport: {run.folder / 'report.html'}")
    if not result["budget_met"]:
        raise typer.Exit(NO_NETWORK)


def _resume(run: Any) -> str:
    """The command that goes on with a run, as it can be pasted."""
    where = [] if run.folder.parent == DEFAULT_RUNS else ["--runs", str(run.folder.parent)]
    allowed = [part for package in run.plugins for part in ("--plugin", package)]
    return shlex.join(["nas", "resume", run.name, *where, *allowed])


def _opened(name: str, runs: Path, plugins: list[str] | None = None) -> Any:
    from nas.run import Run

    return checked(lambda: Run.open(runs, name, plugins or ()))


def _result(run: Any) -> dict[str, Any]:
    result = checked(run.result)
    if result is None:
        fail(f"run '{run.name}' is not finished [unfinished-run]\n  hint: go on with: {_resume(run)}", WRONG_INPUT)
    return dict(result)


def _summary(folder: Path) -> dict[str, Any]:
    from nas.run import Run

    try:
        run = Run(folder)
        result, start = run.result(), run.ledger.last("start")
    except ValueError as error:  # one damaged run must not hide the others
        unknown = dict.fromkeys(("seed", "chosen", "quality", "unit", "latency_ms"))
        return {"run": folder.name, "state": "damaged", "budget": {}, **unknown, "error": str(error)}
    row = result and next((r for r in result["finalists"] if r["key"] == result["chosen"]), None)
    return {
        "run": run.name,
        "state": "done" if result else "stopped" if start else "empty",
        "seed": start["seed"] if start else None,
        "budget": (result["budget"] if result else start["budget"]) if start else {},
        "chosen": row and row["key"],
        "quality": row and row["quality"]["exported"],
        "unit": result and result["metric"]["unit"],
        "latency_ms": row and row["latency_ms"]["measured_upper"],
    }


if __name__ == "__main__":
    main()
