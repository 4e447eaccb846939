"""The figures of the main job: `nas search digits`, asked against measured, mean of several seeds.

    python tests/benchmarks/main_job.py [--seeds 3] [--runs runs/benchmarks/main_job]

Takes about ten minutes on two cores. Every search is a process of its own, so that its time and memory are those a
user sees. A search that is done is not repeated: delete the folder for fresh figures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAS = [sys.executable, "-m", "nas.cli"]


def search(runs: Path, name: str, *options: str) -> dict[str, Any]:
    """Result of one search in its own process, with ``wall_s`` and ``peak_bytes``; remembered in ``name``.json."""
    known = runs / f"{name}.json"
    if known.exists():
        return dict(json.loads(known.read_text(encoding="utf-8")))
    print(f"running {name}: nas search digits {' '.join(options)}", file=sys.stderr, flush=True)
    start = time.monotonic()
    child = subprocess.Popen(
        [*NAS, "search", "digits", "--runs", str(runs), "--json", *options], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise SystemExit(f"{name}: nas search ended with status {code}")
    result = {**json.loads(output), "wall_s": time.monotonic() - start, "peak_bytes": used.ru_maxrss * 1024}
    runs.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps(result), encoding="utf-8")
    return dict(result)


def figures(result: dict[str, Any]) -> dict[str, float]:
    """What the issue asks of one search, as plain numbers."""
    chosen = next(f for f in result["finalists"] if f["key"] == result["chosen"])
    base = {b["name"]: b for b in result["baselines"]}
    mine = chosen["latency_ms"]["measured"]

    def share(name: str) -> float:
        return 100 * mine / base[name]["latency_ms"]["measured"] if name in base else float("nan")

    return {
        "accuracy": chosen["quality"]["exported"],
        "below_largest": base["largest float"]["quality"]["exported"] - chosen["quality"]["exported"],
        "of_float": share("largest float"),
        "of_8bit": share("largest 8-bit"),
        "of_best_float": share("best float-only"),
        "slack": 100 * (1 - chosen["latency_ms"]["measured_upper"] / result["budget"]["latency_ms"]),
        "points_over_random": chosen["quality"]["exported"] - base["best of random search"]["quality"]["exported"],
        "mape": result["latency_model"]["mape"],
        "latency_tau": result["latency_model"]["tau"],
        "accuracy_tau": result["accuracy_predictor"]["tau"],
        "ceiling": result["accuracy_predictor"]["split_half_tau"],
        "agreement": 100 * min(f["agreement"]["value"] for f in result["finalists"]),
        "wall_s": result["wall_s"],
        "peak_mb": result["peak_bytes"] / 1e6,
    }


def help_s() -> float:
    """Median wall time of ``nas --help``."""
    times = []
    for _ in range(7):
        start = time.monotonic()
        subprocess.run([*NAS, "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.monotonic() - start)
    return statistics.median(times)


def trained_digest(runs: Path, result: dict[str, Any]) -> str:
    """SHA-256 of the trained weights that a search used."""
    ledger = (runs / result["run"] / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    digest = next(r["digests"]["train"] for r in map(json.loads, ledger) if r["kind"] == "artefacts")
    manifest = json.loads((runs / "store" / "train" / digest / "manifest.json").read_text(encoding="utf-8"))
    return str(manifest["files"]["weights.safetensors"]["sha256"])


def table_file(runs: Path, result: dict[str, Any]) -> Path:
    """The latency table that a search measured."""
    ledger = (runs / result["run"] / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    digest = next(r["digests"]["profile"] for r in map(json.loads, ledger) if r["kind"] == "artefacts")
    return runs / "store" / "profile" / digest / "table.json"


def report(found: Sequence[dict[str, float]], rows: Sequence[tuple[str, str, str]]) -> None:
    """Print the table of figures."""

    def mean(name: str) -> float:
        return statistics.fmean(f[name] for f in found)

    def line(what: str, asked: str, name: str, digits: int, unit: str) -> None:
        each = ", ".join(f"{f[name]:.{digits}f}" for f in found)
        print(f"| {what} | {asked} | {mean(name):.{digits}f}{unit} | {each} |")

    print(f"| figure | asked | mean of {len(found)} seeds | each |\n|---|---|---|---|")
    line("test accuracy of the exported file", ">= 98 %", "accuracy", 2, " %")
    line("points below the largest float network", "<= 1", "below_largest", 2, "")
    line("latency, of the largest float network's", "<= 20 %", "of_float", 1, " %")
    line("latency, of the largest 8-bit network's", "<= 60 %", "of_8bit", 1, " %")
    line("latency, of the best float-only network's", "<= 70 %", "of_best_float", 1, " %")
    line("upper bound below the budget by", "> 0", "slack", 1, " %")
    line("points over the best of random search", "-", "points_over_random", 2, "")
    line("latency model, MAPE on unseen networks", "<= 8 %", "mape", 1, " %")
    line("latency model, Kendall tau", ">= 0.9", "latency_tau", 2, "")
    line("accuracy predictor, Kendall tau on 60 held out", ">= 0.6", "accuracy_tau", 2, "")
    line("(agreement of two halves of the validation images)", "-", "ceiling", 2, "")
    line("top-1 agreement of the three forms, worst finalist", ">= 99.5 %", "agreement", 2, " %")
    line("nas search digits, seconds", "<= 180", "wall_s", 0, " s")
    line("peak memory", "<= 1000 MB", "peak_mb", 0, " MB")
    for row in rows:
        print(f"| {row[0]} | {row[1]} | {row[2]} | |")


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/main_job"))
    options = parser.parse_args()
    first = [search(options.runs, f"seed-{s}", "--seed", str(s)) for s in range(options.seeds)]
    other = search(options.runs, "other-budget", "--seed", "0", "--latency-share", "0.25")
    table = ["--seed", "0", "--table", str(table_file(options.runs, first[0])), "--no-remeasure"]
    recorded = [search(options.runs, f"recorded-{i}", *table) for i in (1, 2)]
    again = search(options.runs / "again", "again", *table)
    same = trained_digest(options.runs, first[0]) == trained_digest(options.runs / "again", again)
    keys = {r["chosen"] for r in (*recorded, again)}
    rows = [
        ("another budget on the trained supernet", "<= 45 s", f"{other['wall_s']:.0f} s"),
        ("same seed, trained again: same weights", "yes", "yes" if same else "no"),
        ("recorded table, three times: same chosen key", "yes", "yes" if len(keys) == 1 else f"no: {keys}"),
        ("`nas --help`", "<= 0.3 s", f"{help_s():.2f} s"),
    ]
    report([figures(r) for r in first], rows)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
