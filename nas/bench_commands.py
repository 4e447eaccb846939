"""``nas bench``: comparing strategies where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas.terms import Json, checked, say

app = typer.Typer(no_args_is_help=True, help="Compare methods where the truth is known: strategies.")

DEFAULT = "regularized_evolution,local_search,nsga2,predictor_guided,mcts"


@app.callback()
def bench() -> None:
    """Compare methods where the truth is known."""


@app.command()
def strategies(
    space: Annotated[str, typer.Option("--space", help="A space.yaml or zoo space with a notation.")],
    table: Annotated[Path, typer.Option("--table", help="CSV with a column arch, in the space's notation or as JSON.")],
    objective: Annotated[str, typer.Option("--objective", help="Column that strategies see.")],
    score: Annotated[str | None, typer.Option("--score", help="Column of the truth; default: the objective.")] = None,
    second: Annotated[str | None, typer.Option("--second", help="Column of a second objective, minimised.")] = None,
    limit: Annotated[float | None, typer.Option("--limit", help="Budget on --second.")] = None,
    ahead: Annotated[
        str | None, typer.Option("--ahead", help="Column that strategies know of --second before an evaluation.")
    ] = None,
    sense: Annotated[str, typer.Option("--sense", help="max or min of objective and score.")] = "max",
    evaluations: Annotated[int, typer.Option("--evaluations", help="Per search.", min=1, max=1_000_000)] = 150,
    seeds: Annotated[int, typer.Option("--seeds", help="Searches per strategy.", min=1, max=10_000)] = 20,
    names: Annotated[str, typer.Option("--strategies", help="Names, with commas.")] = DEFAULT,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for result.json, table.csv and curves.html.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Strategies side by side on a table, at equal numbers of evaluations; random search is always among them."""
    from nas import files
    from nas.protocol.compare import Task, compare
    from nas.terminal import Progress, Terminal
    from spaces.load import load

    known = checked(lambda: _known(names, sense))
    if second is None and (limit is not None or ahead is not None):
        checked(lambda: _refuse("--limit and --ahead are about the column of --second: give it [missing-key]"))
    from nas.evaluators.tabular import whole_table

    data = checked(lambda: whole_table(table, load(space)))
    if out is not None:
        checked(lambda: files.make_folder(out), writes=("--out", out))  # now, and not after all the work
    task = Task(data, objective, score or objective, second, evaluations, sense, limit, ahead)
    progress = Progress(Terminal(as_json), "bench")
    found = checked(lambda: compare(task, known, seeds, lambda name, done: progress(f"{name} seed", done, seeds)))
    if out is not None:
        checked(lambda: _write(found, out), writes=("--out", out))
    say(found, as_json, lambda: _text(found))


def _refuse(message: str) -> None:
    raise ValueError(message)


def _known(names: str, sense: str) -> list[str]:
    from nas.experiment import STRATEGIES
    from spaces.yaml import nearest

    if sense not in ("max", "min"):
        raise ValueError(f"--sense {sense}: write max or min [unknown-name]")
    asked = [name.strip() for name in names.split(",") if name.strip()]
    for name in asked:
        if name not in STRATEGIES:
            near = nearest(name, STRATEGIES)
            hint = f"did you mean '{near}'?" if near else f"known: {', '.join(STRATEGIES)}"
            raise ValueError(f"unknown strategy '{name}' [unknown-name]\n  hint: {hint}")
    return asked


def _write(found: dict[str, Any], out: Path) -> None:
    from nas import files
    from nas.protocol.page import as_csv, as_html

    files.write_json(out / "result.json", found, indent=2)
    files.write_atomic(out / "table.csv", as_csv(found).encode())
    files.write_atomic(out / "curves.html", as_html(found).encode())


def _text(found: dict[str, Any]) -> str:
    from nas.protocol.page import as_rows
    from nas.report.tables import table

    heads = ["strategy", "median regret", "mean regret", "p < random", "RI %", "hypervolume", "wasted", "ms/proposal"]
    title = f"{found['evaluations']} evaluations, {found['seeds']} seeds, regret in {found['score']}"
    return "\n".join([table(title, heads, as_rows(found)), *(f"warning: {w}" for w in found["warnings"])])
