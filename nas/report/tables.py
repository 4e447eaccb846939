"""Results as text for the terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.report import words

Row = Mapping[str, Any]


def result_table(result: Mapping[str, Any]) -> str:
    """The contract table: asked, predicted, measured, for finalists and baselines, and what it means."""
    budget = result["budget"].get("latency_ms")
    rows = [_network("* " if f["key"] == result["chosen"] else "  ", f["key"], f) for f in result["finalists"]]
    rows += [_network("  ", b["name"], b) for b in result["baselines"]]
    title = f"{result['run']}: {result['metric']['name']}"
    unit = result["metric"]["unit"]
    heads = [
        "network",
        "asked\nms",
        "predicted\nms",
        "measured\nms",
        "upper bound\nms",
        f"predicted\n{unit}",
        f"supernet\nvalidation {unit}",
        f"exported\ntest {unit}",
        "size\nKB",
        "executed\nkernels",
    ]
    asked = "-" if budget is None else f"{budget:.4f}"
    body = [[r[0], asked if i < len(result["finalists"]) else "-", *r[1:]] for i, r in enumerate(rows)]
    lines = [table(title, heads, body), words.SPLITS, *_sentences(result)]
    if not result["verified"]:
        lines.append(words.unverified(result))
    return "\n".join(lines)


def _network(mark: str, name: str, row: Row) -> list[str]:
    latency, quality = row["latency_ms"], row["quality"]
    kernels = words.kernels(row)
    if row.get("container"):
        kernels += f"; container: {', '.join(row['container'])}"
    times = [words.ms(latency[form]) for form in ("predicted", "measured", "measured_upper")]
    shares = [words.points(quality[form]) for form in ("predicted", "supernet", "exported")]
    return [mark + name, *times, *shares, words.kb(row["size_bytes"]), kernels]


def _sentences(result: Mapping[str, Any]) -> list[str]:
    latency, accuracy = result["latency_model"], result["accuracy_predictor"]
    judged = f"{latency['networks']} {latency.get('of', 'networks')}"  # results of before name none
    lines = [
        f"latency model: {latency['mape']:.1f} % mean error, tau {latency['tau']:.2f} on {judged} it had not "
        f"seen; accuracy predictor: tau {accuracy['tau']:.2f} on {accuracy['held_out']} held out "
        f"(two halves of the validation images: {accuracy['split_half_tau']:.2f})"
    ]
    lines += [f"not delivered: {words.refusal(refused)}" for refused in result["refused"]]
    if words.chosen(result) is None:
        return [*lines, words.no_network(result)]
    return [*lines, *words.harm(result), *words.comparisons(result)]


def runs_table(found: Sequence[Row], runs: Path) -> str:
    """One line per run."""
    if not found:
        return f"no runs in {runs}"
    heads = ["run", "state", "seed", "budget", "chosen", "quality", "at most ms"]
    body = [_run(r) for r in found]
    return table(None, heads, body)


def space_table(said: Row, tree: Sequence[str]) -> str:
    """The tree of choices, the size, and what architectures cost."""
    lines = [*tree, "", f"{said['size']:,} architectures, about {said['size_as_power']}"]
    rows = [
        [name, *(f"{cost[k]:,}" for k in ("smallest", "median", "largest")), _kept(cost)]
        for name, cost in said["costs"].items()
    ]
    if rows:
        lines += [
            "",
            table("counted costs of drawn architectures", ["", "smallest", "median", "largest", "limit"], rows),
        ]
    return "\n".join(lines)


def _kept(cost: Row) -> str:
    if "limit" not in cost:
        return ""
    known = f"kept by {100 * cost['share']:.3g} %" if cost["reachable"] else "NOT kept by any of them"
    return f"{cost['limit']:,.0f}: {known}"


def _run(row: Row) -> list[str]:
    budget = ", ".join(f"{name} {limit:.4g}" for name, limit in row["budget"].items())
    seed = "-" if row["seed"] is None else str(row["seed"])
    quality = "-" if row["quality"] is None else f"{row['quality']:.2f} {row['unit']}"
    reached = [row["chosen"] or "-", quality, words.ms(row["latency_ms"])]
    return [row["run"], row["state"], seed, budget, *reached]


def evaluation_table(found: Row) -> str:
    """One architecture."""
    body = [[name, str(value)] for name, value in found["architecture"].items()]
    quality, latency = found["quality"], found["latency_ms"]
    facts = [
        [f"{quality['name']}, supernet (validation)", f"{quality['supernet']:.2f} {quality['unit']}"],
        [f"{quality['name']}, predicted", f"{quality['predicted']:.2f} {quality['unit']}"],
        ["latency, predicted", f"{latency['predicted']:.4f} +- {latency['std']:.4f} ms"],
        *([name, f"{value:,}"] for name, value in found["counted"].items()),
    ]
    return table(f"architecture {found['key']}", ["", ""], body + facts)


def table(title: str | None, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for the terminal; columns of numbers stand right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=any(heads))
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i == 0 or head.endswith("kernels") else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=160, highlight=False, markup=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).rstrip()


def imported_table(header: dict[str, Any], out: Path) -> str:
    """What ``nas profile --import`` found: the error of its predictors on networks that they have not seen."""
    errors = {name: (header["predictor"]["method"], found) for name, found in header["predictor"]["errors"].items()}
    if "transfer" in header:
        moved = header["transfer"]
        errors[f"{moved['device']} predicted"] = (f"transfer, {len(moved['rows'])} samples", moved["errors"])
    rows = [
        [name, how, f"{e['mape']:.1f}", f"{100 * e['within_10']:.0f}", f"{e['tau']:.3f}"]
        for name, (how, e) in errors.items()
    ]
    title = f"{header['networks']} networks of {header['space']}"
    heads = ["device", "predictor", "MAPE %", "within 10 %", "tau"]
    return f"{table(title, heads, rows)}\nwritten: {out / 'table.csv'}"


def kernels_table(header: Mapping[str, Any], left_out: Mapping[str, int], out: Path) -> str:
    """What ``nas profile --import`` found in kernels: the error of kriging on those that it has not seen."""
    judged, rows = header["predictor"]["errors"], []
    for kind, count in header["kernels"].items():
        of = judged.get(kind)
        shown = [f"{of['mape']:.1f}", f"{100 * of['within_10']:.0f}", f"{of['tau']:.3f}"] if of else ["-"] * 3
        rows.append([kind, str(count), str(of["networks"] if of else 0), *shown])
    heads = ["kind", "kernels", "of them unseen", "MAPE %", "within 10 %", "tau"]
    lines = [table(f"{sum(header['kernels'].values())} kernels", heads, rows)]
    if left_out:
        lines.append(f"left out, no layer is one: {', '.join(f'{n} {name}' for name, n in sorted(left_out.items()))}")
    if header["untimed"]:
        lines.append(f"left out, without a time: {header['untimed']}")
    return "\n".join([*lines, f"written: {out / 'table.csv'}, {out / 'table.json'}"])


def profile_table(facts: dict[str, Any], out: Path | None) -> str:
    """What ``nas profile`` measured, and how good the latency model is that it makes."""
    rows, unseen = facts["rows"], facts["unseen"]
    body = [
        *([f"rows {origin}", str(count)] for origin, count in rows.items() if any(rows.values())),
        ["networks timed", str(facts["networks"])],
        [f"error (MAPE) on {unseen['networks']} unseen networks", f"{unseen['mape']:.1f} %"],
        ["of them within 5 %", f"{100 * unseen['within_5']:.0f} %"],
        ["of them within 10 %", f"{100 * unseen['within_10']:.0f} %"],
        ["Kendall's tau", f"{unseen['tau']:.3f}"],
        ["sessions differ by", f"{100 * facts['session_spread']:.1f} %"],
    ]
    more = ["predicted rows become measured ones: repeat the command"] if rows["predicted"] else []
    written = [] if out is None else [f"written: {out / 'table.csv'}, {out / 'table.json'}"]
    return "\n".join([table(f"latency table of {facts['space']}", ["", ""], body), *more, *written])


def devices_table(found: dict[str, Any], out: Path | None) -> str:
    """What ``nas devices`` tried."""
    body = [
        [f"{c['operator']}, {c['precision']}", c["form"], c["kernel"] or "-", _tried(c["speed"], ".2f"),
         _tried(c["error"], ".1e"), c["reason"]]
        for c in found["menu"]
    ]  # fmt: skip
    device = found["device"]
    title = f"{words.runtime(device)}, {device['processor']}, {device['threads']} threads"
    heads = ["operator, precision", "form", "kernels", "x float's speed", "error", "why"]
    return table(title, heads, body) + ("" if out is None else f"\nwritten: {out}")


def _tried(value: float, form: str) -> str:
    return format(value, form) if value else "-"
