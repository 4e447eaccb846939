"""Stage 6: what the chosen network is compared with, in the same table and under the same clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nas.report.words import bound_ms
from nas.stages.contract import best_float, choose
from nas.stages.search import Plan, distinct, within
from nas.stages.verifier import Row, Verifier
from nas.strategies import Result

RANDOM, FLOAT = "random", "float"


def plans(main: Plan) -> list[Plan]:
    """The searches that baselines need: random search with as many trials, and the same search among float networks."""
    made = [replace(main, label=RANDOM, strategy="random")]
    if main.space.uniform("float"):
        made.append(replace(main, label=FLOAT, space=main.space.restrict({"float"}), budget={}))
    return made


def baselines(
    verifier: Verifier, found: Mapping[str, Sequence[Result]], budget: Mapping[str, float],
    aimed: Mapping[str, float], chosen: Row,
) -> list[dict[str, Any]]:  # fmt: skip
    """``{"name", "row"}`` of each baseline that the space has and that could be exported."""
    space = verifier.asked.searched
    named = {"largest float" if space.uniform("float") else "largest": space.largest}
    if space.uniform("w8a8"):
        named["largest 8-bit"] = space.extreme(max, "w8a8")
    verifier.verify(list(named.values()))
    made: list[tuple[str, Row | None]] = [(name, row) for name, a in named.items() for row in verifier.verify([a])]
    if FLOAT in found:
        in_float = best_float(verifier, distinct(found[FLOAT]), chosen["quality"]["supernet"])
        made.append(("best float-only", in_float))
    best = verifier.best(within(distinct(found[RANDOM]), aimed), verifier.asked.search.finalists)
    rows = verifier.verify([result.architecture for result in best])
    nearest = min(rows, key=bound_ms, default=None)  # where none keeps the budget: the table shows it
    made.append(("best of random search", choose(rows, budget) or nearest))
    return [{"name": name, "row": row} for name, row in made if row is not None]
