"""Commands on finished and stopped runs: lists, results, evaluation, export, recorded tables, help."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from nas import files
from nas.any_batch import any_batch
from nas.stages import contract
from predictors.latency.backends import onnxruntime as backend
from tests.nas.commands import chosen_or_first, nas
from tests.nas.tiny import TINY, Finished


def test_runs_are_listed(finished: Finished, tmp_path: Path) -> None:
    """As a table and as JSON."""
    (row,) = json.loads(nas("runs", "--runs", finished.runs, "--json").stdout)
    result = finished.search.result()
    assert (row["run"], row["state"], row["seed"]) == ("tiny-1", "done", 0)
    assert row["budget"] == result["budget"]
    assert row["chosen"] == result["chosen"]
    assert "tiny-1" in nas("runs", "--runs", finished.runs).stdout
    assert nas("runs", "--runs", tmp_path / "none").stdout == f"no runs in {tmp_path / 'none'}\n"
    assert json.loads(nas("runs", "--runs", tmp_path / "none", "--json").stdout) == []


def test_a_stopped_and_an_empty_run_are_listed_as_such(runs: Path) -> None:
    """What was asked for is known of the first only."""
    files.remove(runs / "tiny-1" / "result.json")
    files.write_atomic(runs / "tiny-2" / "ledger.jsonl", b"")
    rows = json.loads(nas("runs", "--runs", runs, "--json").stdout)
    assert [(r["run"], r["state"], r["chosen"]) for r in rows] == [
        ("tiny-1", "stopped", None),
        ("tiny-2", "empty", None),
    ]
    assert nas("runs", "--runs", runs).exit_code == 0


def test_a_result_is_shown_as_table_and_as_json(finished: Finished) -> None:
    """JSON is result.json; the table has a row for every finalist and baseline."""
    done = nas("show", "tiny-1", "--runs", finished.runs, "--json")
    assert json.loads(done.stdout) == files.read_json(finished.folder / "result.json")
    table = nas("show", "tiny-1", "--runs", finished.runs).stdout
    result = finished.search.result()
    for name in [r["key"] for r in result["finalists"]] + [r["name"] for r in result["baselines"]]:
        assert name in table
    assert "not verified here" not in table


def test_a_run_is_found_by_its_folder_too(finished: Finished) -> None:
    """From anywhere."""
    assert json.loads(nas("show", finished.folder, "--json").stdout)["run"] == "tiny-1"


def test_a_finished_run_is_resumed_by_showing_it(runs: Path) -> None:
    """Nothing is appended to its ledger; the exit status is that of the search."""
    before = (runs / "tiny-1" / "ledger.jsonl").read_bytes()
    done = nas("resume", "tiny-1", "--runs", runs, "--json")
    result = json.loads(done.stdout)
    assert result["run"] == "tiny-1"
    assert done.exit_code == (0 if result["budget_met"] else 3)
    assert (runs / "tiny-1" / "ledger.jsonl").read_bytes() == before


# --- Evaluating -------------------------------------------------------------------------------------------------------


def test_an_architecture_is_evaluated_by_key_json_and_file(finished: Finished, tmp_path: Path) -> None:
    """Three names, one answer, the numbers of the table."""
    row = chosen_or_first(finished)
    text = json.dumps(row["architecture"])
    path = tmp_path / "architecture.json"
    path.write_text(text, encoding="utf-8")
    exported = finished.folder / "exports" / row["key"] / "architecture.json"
    names = (row["key"], text, path, exported)
    found = [json.loads(nas("evaluate", "tiny-1", n, "--runs", finished.runs, "--json").stdout) for n in names]
    assert found[0] == found[1] == found[2] == found[3]
    assert (found[0]["key"], found[0]["architecture"]) == (row["key"], row["architecture"])
    assert found[0]["quality"]["supernet"] == row["quality"]["supernet"]
    assert found[0]["latency_ms"]["predicted"] == pytest.approx(row["latency_ms"]["predicted"])
    assert found[0]["latency_ms"]["std"] > 0
    assert found[0]["counted"]["macs"] > 0
    assert row["key"] in nas("evaluate", "tiny-1", row["key"], "--runs", finished.runs).stdout


def test_any_trial_of_the_search_is_known_by_its_key(finished: Finished) -> None:
    """Not only what was exported."""
    exported = {r["key"] for r in finished.search.result()["finalists"]}
    key = next(t["key"] for t in finished.search.result()["trials"] if t["key"] not in exported)
    assert json.loads(nas("evaluate", "tiny-1", key, "--runs", finished.runs, "--json").stdout)["key"] == key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0123456789abcdef",
            "run 'tiny-1' knows no network of key 0123456789abcdef [unknown-architecture]\n  hint: nas show tiny-1",
        ),
        (
            "nothing.json",
            "nothing.json: no key (16 hex digits), no JSON object, and no file to read [unknown-architecture]",
        ),
        ("{", "{: not JSON: Expecting property name enclosed in double quotes"),
        (
            '{"a": 1}',
            "not an architecture of space tiny: unknown choice 'a'; choice stages.0.depth is missing; values: [1, 2]",
        ),
        (
            '{"a": [1]}',
            "an architecture is a JSON object from choice names to numbers, strings or booleans [wrong-arch",
        ),
        ('{"a":' * 100_000, '{"a":{"a":'),
    ],
    ids=["key", "file", "syntax", "choice", "type", "deep"],
)
def test_what_names_no_architecture_is_refused(finished: Finished, text: str, message: str) -> None:
    """Each mistake by its own message."""
    done = nas("evaluate", "tiny-1", text, "--runs", finished.runs)
    assert done.exit_code == 2
    assert done.stderr.startswith(message)


def test_a_value_of_another_type_is_refused(finished: Finished) -> None:
    """8.0 is not 8: keys are typed."""
    architecture = {**chosen_or_first(finished)["architecture"], "stages.1.width": 8.0}
    done = nas("evaluate", "tiny-1", json.dumps(architecture), "--runs", finished.runs)
    assert done.exit_code == 2
    assert "stages.1.width: 8.0 is not a value of this choice; values: [4, 8]" in done.stderr


# --- Exporting --------------------------------------------------------------------------------------------------------


def test_the_best_finalist_within_a_latency_is_exported(finished: Finished, tmp_path: Path) -> None:
    """Its files, byte for byte, and its row; a generous limit gives the best of all by quality."""
    result = finished.search.result()
    rows = result["finalists"]
    limit = max(r["latency_ms"]["measured_upper"] for r in rows)
    arguments: list[str | Path] = ["export", "tiny-1", "--latency-ms", str(limit), "--runs", finished.runs, "--out"]
    done = nas(*arguments, tmp_path / "out", "--json")
    row = json.loads(done.stdout)
    assert row["out"] == str(tmp_path / "out")
    fast = [r for r in [*rows, *result["baselines"]] if r["latency_ms"]["measured_upper"] <= limit]
    assert row["key"] == max(fast, key=contract.order)["key"]
    source = (finished.folder / row["model"]).parent
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == {
        p.name: p.read_bytes() for p in source.iterdir()
    }
    assert backend.evaluate(
        (tmp_path / "out" / "model.onnx").read_bytes(), np.zeros((1, 1, 8, 8), np.float32)
    ).shape == (1, 10)
    assert row["key"] in nas(*arguments, tmp_path / "out").stdout  # again, over the same files


def test_a_file_for_any_number_of_examples_is_written_beside_it(finished: Finished, tmp_path: Path) -> None:
    """It gives what the timed one does, for one and for five; the others are the same files."""
    arguments = ("export", "tiny-1", "--latency-ms", "1000", "--runs", finished.runs, "--out")
    nas(*arguments, tmp_path / "plain")
    nas(*arguments, tmp_path / "both", "--any-batch")
    plain, both = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("plain", "both"))
    free = both.pop("model_any_batch.onnx")
    assert both == plain
    images = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    for given in (images, images[:1]):
        assert np.allclose(backend.evaluate(free, given), backend.evaluate(plain["model.onnx"], given), atol=1e-5)
    props = {p.key: p.value for p in onnx.load_from_string(free).metadata_props}
    assert json.loads(props["input_shape"]) == ["batch", 1, 8, 8]


def test_a_program_of_torch_has_no_such_file(tmp_path: Path) -> None:
    """Its number of examples is fixed when it is made."""
    said = r"model\.pt2: a program of torch is for a fixed number of examples \[not-exportable\]\Z"
    with pytest.raises(ValueError, match=said):
        any_batch(tmp_path, "model.pt2")


def test_a_latency_that_no_finalist_keeps_is_status_3_and_writes_nothing(finished: Finished, tmp_path: Path) -> None:
    """The fastest of all is named with its bound."""
    done = nas("export", "tiny-1", "--latency-ms", "0.00001", "--runs", finished.runs, "--out", tmp_path / "out")
    result = finished.search.result()
    every = [*result["finalists"], *result["baselines"]]
    fastest = min(every, key=lambda r: r["latency_ms"]["measured_upper"])
    assert done.exit_code == 3
    assert done.stdout == ""
    assert f"the nearest is {fastest['key']}" in done.stderr
    assert f": at most {fastest['latency_ms']['measured_upper']:.4f} ms" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_export_whose_model_was_changed_is_refused(runs: Path, tmp_path: Path) -> None:
    """What is delivered is what was proved."""
    result = files.read_json(runs / "tiny-1" / "result.json")
    for row in [*result["finalists"], *result["baselines"]]:
        model = runs / "tiny-1" / row["model"]
        files.write_atomic(model, model.read_bytes() + b"\0")
    done = nas("export", "tiny-1", "--latency-ms", "1000", "--runs", runs, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.endswith("model.onnx: not the file that was exported, its SHA-256 differs [changed-file]\n")
    assert not (tmp_path / "out").exists()


def test_what_a_kill_left_behind_is_not_exported(runs: Path, tmp_path: Path) -> None:
    """Temporary files beside the real ones stay where they are."""
    for folder in (runs / "tiny-1" / "exports").iterdir():
        (folder / ".tmp-1-abcd").write_bytes(b"half")
    nas("export", "tiny-1", "--latency-ms", "1000", "--runs", runs, "--out", tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "model.onnx", "architecture.json", "outline.json", "weights.safetensors", "data.json", "card.md",
    }  # fmt: skip


# --- Searching --------------------------------------------------------------------------------------------------------


def test_an_impossible_budget_is_status_3_and_shows_the_fastest(finished: Finished, runs: Path) -> None:
    """Done, all stages recorded, nothing chosen; in JSON too."""
    done = nas("search", finished.source, "--latency-ms", "0.0001", "--runs", runs, "--json")
    assert done.exit_code == 3
    result = json.loads(done.stdout)
    assert (result["budget"], result["budget_met"], result["chosen"]) == ({"latency_ms": 0.0001}, False, None)
    assert result["finalists"]
    trials = result["trials"]
    fastest = min(trials, key=lambda t: t["latency_ms"])
    assert fastest["key"] in {row["key"] for row in result["finalists"]}
    shown = nas("show", result["run"], "--runs", runs)
    assert shown.exit_code == 0
    assert "NO network keeps the budget" in shown.stdout
    assert fastest["key"] in shown.stdout
    assert nas("resume", result["run"], "--runs", runs).exit_code == 3


def test_a_recorded_table_gives_the_same_network_every_time(finished: Finished, runs: Path) -> None:
    """Nothing is timed: the same seed, the same result but for name and seconds; it says that it is not verified."""
    arguments: list[str | Path] = [
        "search",
        finished.source,
        "--table",
        finished.table,
        "--no-remeasure",
        "--runs",
        runs,
    ]
    results = [json.loads(nas(*arguments, "--json").stdout) for _ in range(2)]
    for result in results:
        assert result["verified"] is False
        assert all(row["latency_ms"]["measured_upper"] is None for row in result["finalists"])
    assert results[0]["chosen"] is not None
    kept = [{k: v for k, v in r.items() if k not in ("run", "seconds")} for r in results]
    assert kept[0] == kept[1]
    done = nas(*arguments, "--quiet")
    assert done.exit_code == 0
    assert "not verified here" in done.stdout
    out = nas("export", results[0]["run"], "--runs", runs, "--out", runs / "out")
    assert out.exit_code == 0
    assert "not measured" in out.stdout


def test_a_table_of_another_space_is_refused(finished: Finished, tmp_path: Path) -> None:
    """It has not measured these networks."""
    source = tmp_path / "other.yaml"
    source.write_text(TINY.replace("[4, 8]", "[4, 12]").replace("epochs: 3", "epochs: 1"), encoding="utf-8")
    done = nas("search", source, "--table", finished.table, "--runs", tmp_path / "runs", "--quiet")
    assert done.exit_code == 2
    assert re.search(r"table\.json: has not measured \d+ of the \d+ networks of this space and seed", done.stderr)
    assert not (tmp_path / "runs").exists()


def test_progress_and_result_go_different_ways(finished: Finished, runs: Path) -> None:
    """Standard output has the table alone; every stage says on standard error what it did."""
    done = nas("search", finished.source, "--table", finished.table, "--no-remeasure", "--runs", runs)
    for number, stage in ((2, "train"), (3, "profile"), (4, "fit"), (5, "search"), (6, "verify")):
        assert re.search(rf"^{number} {stage} .*\(\d+\.\d s\)$", done.stderr, re.MULTILINE)
    assert "taken from the store" in done.stderr
    assert "report.html" in done.stderr
    assert "train" not in done.stdout
    quiet = nas("search", finished.source, "--table", finished.table, "--no-remeasure", "--runs", runs, "--quiet")
    assert quiet.stderr == ""


def test_help_names_every_command() -> None:
    """And needs no folder of runs."""
    done = nas("--help")
    assert done.exit_code == 0
    for command in ("search", "resume", "runs", "show", "export", "evaluate"):
        assert re.search(rf"^\W*{command}\b", done.stdout, re.MULTILINE)
        assert nas(command, "--help").exit_code == 0


@pytest.mark.parametrize("arguments", [["serach"], ["search"], ["search", "digits", "--latencyms", "1"], ["runs", "x"]])
def test_a_wrong_command_line_is_status_2(arguments: list[str]) -> None:
    """Unknown commands and options, missing and spare arguments."""
    assert nas(*arguments).exit_code == 2
