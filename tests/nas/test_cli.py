"""The command line: exit statuses, messages, JSON, and that wrong input writes nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from nas import files
from nas.run import Run
from tests.nas.commands import nas, refused
from tests.nas.tiny import Finished

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
        (["digits", "--table", "t.json"], "t.json: no such file or folder [missing-file]"),
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
