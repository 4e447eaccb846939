"""The command line: exit statuses, messages, JSON, and that wrong input writes nothing."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nas import files
from nas.cli import app
from nas.run import Run
from predictors.latency.backends import onnxruntime as backend
from tests.nas.tiny import TINY, Finished


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    exit_code: int
    stdout: str
    stderr: str


def nas(*arguments: str | Path) -> Done:
    """A command; its error, if it is none of ours, is raised here."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def chosen_or_first(finished: Finished) -> dict[str, Any]:
    """A finalist to work with; whether one keeps the budget is the machine's business."""
    row = finished.search.result()["finalists"][0]
    assert isinstance(row, dict)
    return row


def refused(done: Done, message: str) -> None:
    """Exit status 2, the whole message on standard error, nothing on standard output."""
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == f"{message}\n"


# --- Wrong input ------------------------------------------------------------------------------------------------------


def test_every_problem_of_a_file_is_listed_and_nothing_is_written(tmp_path: Path) -> None:
    """Not even the folder of runs."""
    source = tmp_path / "bad.yaml"
    source.write_text("model: {family: convnt, stages: []}\ntrain: {epochs: no}\nserach: 1\n", encoding="utf-8")
    done = nas("search", source, "--runs", tmp_path / "runs")
    assert done.exit_code == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[-1].endswith(" problems; nothing was written")
    assert {re.sub(r".*\[(\S+)\]$", r"\1", line) for line in lines if line.startswith(str(source))} >= {
        "unknown-name", "ambiguous", "unknown-key",
    }  # fmt: skip
    assert all(re.match(rf"{re.escape(str(source))}:\d+:\d+: |  hint: ", line) for line in lines[:-1])
    assert [p.name for p in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nofile.yaml"], "nofile.yaml:1:1: no such file: 'nofile.yaml' [missing-file]"),
        (
            ["digit"],
            "digit:1:1: no file and no zoo space of the name 'digit' [missing-file]\n  hint: did you mean 'digits'?",
        ),
        (
            ["digits", "--no-remeasure"],
            "--no-remeasure answers from recorded measurements: it needs --table FILE [missing-table]",
        ),
        (
            ["digits", "--latency-ms", "1", "--latency-share", "0.1"],
            "a budget has --latency-ms or --latency-share, not both [ambiguous]",
        ),
        (["digits", "--latency-ms", "inf"], "latency_ms must be a finite number above 0, not inf [out-of-range]"),
        (["digits", "--table", "t.json"], "[Errno 2] No such file or directory: 't.json'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments_of_a_search_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """Before anything is written."""
    monkeypatch.chdir(tmp_path)
    done = nas("search", *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["0", "-1", "nan", "fast"])
def test_a_latency_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """By the option itself."""
    monkeypatch.chdir(tmp_path)
    done = nas("search", "digits", f"--latency-ms={value}")
    assert done.exit_code == 2
    assert "--latency-ms" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"schema": 1, "unit": "us"}', '{"schema": 1, "unit": "ms", "call_ms": 1}', "\x00"]
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    """It is named, and nothing is written."""
    table = tmp_path / "table.json"
    table.write_text(content, encoding="utf-8")
    done = nas("search", "digits", "--table", table, "--runs", tmp_path / "runs")
    assert done.exit_code == 2
    assert str(table) in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "command", [["show"], ["resume"], ["export", "--out", "x"], ["evaluate", "{}"]], ids=lambda c: c[0]
)
def test_an_unknown_run_names_the_nearest(finished: Finished, command: list[str]) -> None:
    """And the folder that was looked in."""
    name, *rest = command
    arguments = ["tiny-2", *rest] if name == "evaluate" else [*rest, "tiny-2"]
    message = f"no run 'tiny-2' in {finished.runs} [unknown-run]\n  hint: did you mean 'tiny-1'?"
    refused(nas(name, *arguments, "--runs", finished.runs), message)


def test_an_unknown_run_like_none_lists_those_that_are_there(finished: Finished, tmp_path: Path) -> None:
    """Or says that there are none."""
    message = f"no run 'zzz' in {finished.runs} [unknown-run]\n  hint: runs in {finished.runs}: tiny-1"
    refused(nas("show", "zzz", "--runs", finished.runs), message)
    message = f"no run 'zzz' in {tmp_path} [unknown-run]\n  hint: runs in {tmp_path}: none"
    refused(nas("show", "zzz", "--runs", tmp_path), message)


def test_an_unfinished_run_says_how_to_go_on(runs: Path) -> None:
    """Showing or exporting it is refused."""
    files.remove(runs / "tiny-1" / "result.json")
    message = f"run 'tiny-1' is not finished [unfinished-run]\n  hint: go on with: nas resume tiny-1 --runs {runs}"
    for command in (["show", "tiny-1"], ["export", "tiny-1", "--out", runs / "out"]):
        refused(nas(*command, "--runs", runs), message)


def test_a_run_that_was_stopped_before_it_began_says_so(runs: Path) -> None:
    """Its first record is torn: there is nothing to resume."""
    ledger = runs / "tiny-1" / "ledger.jsonl"
    torn = ledger.read_bytes()[:50]
    files.truncate(ledger, 50)
    refused(
        nas("resume", "tiny-1", "--runs", runs), "run 'tiny-1' was stopped before it began; start it again [empty-run]"
    )
    assert ledger.read_bytes() == torn


def test_a_damaged_ledger_is_refused_and_left_as_it_is(runs: Path) -> None:
    """File, line and what is wrong."""
    ledger = runs / "tiny-1" / "ledger.jsonl"
    lines = ledger.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b'"seconds":', b'"seconds":1')
    files.write_atomic(ledger, b"\n".join(lines))
    done = nas("resume", "tiny-1", "--runs", runs)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{ledger}:3: the ledger is damaged: the digest does not match the record")
    assert ledger.read_bytes() == b"\n".join(lines)


def test_a_damaged_run_hides_no_other_in_the_list(runs: Path) -> None:
    """Its row says so, in the table and in JSON; showing it says what is wrong."""
    whole = shutil.copytree(runs / "tiny-1", runs / "tiny-2")
    files.write_atomic(runs / "tiny-1" / "ledger.jsonl", b"{}\n" + (whole / "ledger.jsonl").read_bytes())
    files.write_atomic(shutil.copytree(whole, runs / "tiny-3") / "result.json", b"{")
    found = json.loads(nas("runs", "--runs", runs, "--json").stdout)
    assert [(r["run"], r["state"]) for r in found] == [("tiny-1", "damaged"), ("tiny-2", "done"), ("tiny-3", "damaged")]
    assert "ledger.jsonl:1: the ledger is damaged" in found[0]["error"]
    table = nas("runs", "--runs", runs)
    assert table.exit_code == 0
    assert "damaged" in table.stdout
    done = nas("show", "tiny-3", "--runs", runs)
    assert done.exit_code == 2
    assert "result.json" in done.stderr


def test_a_run_given_as_folder_uses_the_store_beside_it(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is trained again, and nothing is written elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    files.remove(runs / "tiny-1" / "result.json")
    before = {p.name for p in (runs / "store" / "train").iterdir()}
    assert nas("resume", runs / "tiny-1", "--quiet").exit_code in (0, 3)
    assert {p.name for p in (runs / "store" / "train").iterdir()} == before
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_network_without_proof_is_reported_and_the_run_goes_on(
    finished: Finished, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest float network, which is a baseline of every run, cannot be proven: everything else is delivered."""
    from nas import deliver as delivery
    from nas.experiment import load
    from nas.stages import verifier

    largest = load(finished.source).space.largest

    def deliver(asked: Any, evaluate: Any, architecture: Any, exports: Path) -> Any:
        if architecture == largest:
            raise delivery.ProofFailed("the codes differ")
        return delivery.deliver(asked, evaluate, architecture, exports)

    monkeypatch.setattr(verifier, "deliver", deliver)
    done = nas("search", finished.source, "--runs", runs, "--quiet")
    assert done.exit_code in (0, 3)
    assert f"warning: network {largest.key} is not delivered: the codes differ" in done.stderr
    assert f"not delivered: {largest.key}, because the codes differ" in done.stdout
    result = Run.open(runs, "tiny-2").result()
    assert result is not None
    assert result["refused"] == [{"key": largest.key, "reason": "the codes differ"}]
    assert largest.key not in {row["key"] for row in [*result["finalists"], *result["baselines"]]}


def test_a_run_that_another_process_works_on_is_busy(runs: Path) -> None:
    """Two processes never write to one ledger."""
    files.remove(runs / "tiny-1" / "result.json")
    with Run.open(runs, "tiny-1").lock():
        done = nas("resume", "tiny-1", "--runs", runs)
    assert done.exit_code == 2
    assert "held by process" in done.stderr


def test_no_room_on_the_disk_is_status_74(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how much is missing, and that the run can go on."""
    files.remove(runs / "tiny-1" / "result.json")

    def full(*arguments: Any) -> Any:
        error = files.DiskFull(28, "no room on the disk, 123 bytes are needed", "somewhere")
        error.needed_bytes = 123
        raise error

    monkeypatch.setattr("nas.pipeline.execute", full)
    done = nas("resume", "tiny-1", "--runs", runs)
    assert done.exit_code == 74
    assert "free 123 bytes or more, then resume" in done.stderr


def test_a_bug_of_ours_is_not_called_wrong_input(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps its traceback."""
    files.remove(runs / "tiny-1" / "result.json")

    def broken(*arguments: Any) -> Any:
        raise RuntimeError("a kernel lost its mind")

    monkeypatch.setattr("nas.pipeline.execute", broken)
    with pytest.raises(RuntimeError, match="a kernel lost its mind"):
        nas("resume", "tiny-1", "--runs", runs)


# --- Showing ----------------------------------------------------------------------------------------------------------


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
    answers = [nas("evaluate", "tiny-1", name, "--runs", finished.runs, "--json") for name in (row["key"], text, path)]
    found = [json.loads(a.stdout) for a in answers]
    assert found[0] == found[1] == found[2]
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
        ("0123456789abcdef", "run 'tiny-1' knows no network of key 0123456789abcdef [unknown-architecture]"),
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
    rows = finished.search.result()["finalists"]
    limit = max(r["latency_ms"]["measured_upper"] for r in rows)
    arguments: list[str | Path] = ["export", "tiny-1", "--latency-ms", str(limit), "--runs", finished.runs, "--out"]
    done = nas(*arguments, tmp_path / "out", "--json")
    row = json.loads(done.stdout)
    assert row["out"] == str(tmp_path / "out")
    assert row["quality"]["supernet"] == max(r["quality"]["supernet"] for r in rows)
    source = (finished.folder / row["model"]).parent
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == {
        p.name: p.read_bytes() for p in source.iterdir()
    }
    assert backend.evaluate(
        (tmp_path / "out" / "model.onnx").read_bytes(), np.zeros((1, 1, 8, 8), np.float32)
    ).shape == (1, 10)
    assert row["key"] in nas(*arguments, tmp_path / "out").stdout  # again, over the same files


def test_a_latency_that_no_finalist_keeps_is_status_3_and_writes_nothing(finished: Finished, tmp_path: Path) -> None:
    """The fastest is named with its bound."""
    done = nas("export", "tiny-1", "--latency-ms", "0.00001", "--runs", finished.runs, "--out", tmp_path / "out")
    fastest = min(finished.search.result()["finalists"], key=lambda r: r["latency_ms"]["measured_upper"])
    assert done.exit_code == 3
    assert done.stdout == ""
    assert (
        f"the fastest is {fastest['key']} with at most {fastest['latency_ms']['measured_upper']:.4f} ms" in done.stderr
    )
    assert not (tmp_path / "out").exists()


def test_an_export_whose_model_was_changed_is_refused(runs: Path, tmp_path: Path) -> None:
    """What is delivered is what was proved."""
    result = files.read_json(runs / "tiny-1" / "result.json")
    for row in result["finalists"]:
        model = runs / "tiny-1" / row["model"]
        files.write_atomic(model, model.read_bytes() + b"\0")
    done = nas("export", "tiny-1", "--latency-ms", "1000", "--runs", runs, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.endswith("model.onnx: not the file that was exported (SHA-256 differs)\n")
    assert not (tmp_path / "out").exists()


def test_what_a_kill_left_behind_is_not_exported(runs: Path, tmp_path: Path) -> None:
    """Temporary files beside the real ones stay where they are."""
    for folder in (runs / "tiny-1" / "exports").iterdir():
        (folder / ".tmp-1-abcd").write_bytes(b"half")
    nas("export", "tiny-1", "--latency-ms", "1000", "--runs", runs, "--out", tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "model.onnx", "architecture.json", "weights.safetensors", "data.json", "card.md",
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
