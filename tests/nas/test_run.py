"""Run folders: made before anything else, found by name, and described by their first record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nas import files
from nas.files import Busy
from nas.ledger import Ledger
from nas.run import NoSuchRun, Run, list_runs
from tests.nas.tiny import asked

START = {"seed": 3, "table": None, "remeasure": True}


def test_a_new_run_holds_its_settings_and_one_record(tmp_path: Path) -> None:
    """Numbered by name; what was asked for is read back from it alone."""
    made = asked(tmp_path).with_budget(latency_ms=0.25)
    run = Run.create(tmp_path / "runs", made, START)
    assert run.folder == tmp_path / "runs" / "tiny-1"
    (record,) = Ledger.read(run.folder / "ledger.jsonl")
    assert (record["kind"], record["seed"], record["budget"]) == ("start", 3, {"latency_ms": 0.25})
    assert record["settings"] == json.loads(json.dumps(made.to_json()))
    again = Run.open(tmp_path / "runs", "tiny-1")
    assert again.experiment().to_json() == made.to_json()
    assert again.start["seed"] == 3
    assert again.result() is None
    assert Run.create(tmp_path / "runs", made, START).name == "tiny-2"


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    """Also where a kill left a folder without a ledger, which is no run."""
    files.make_folder(tmp_path / "runs" / "tiny-4")
    made = asked(tmp_path)
    assert Run.create(tmp_path / "runs", made, START).name == "tiny-5"
    assert [f.name for f in list_runs(tmp_path / "runs")] == ["tiny-5"]
    with pytest.raises(NoSuchRun, match=r"no run 'tiny-4' .*\n  hint: did you mean 'tiny-5'\?"):
        Run.open(tmp_path / "runs", "tiny-4")


@pytest.mark.parametrize("content", [b"", b'{"kind":"start","n":1'], ids=["empty", "torn"])
def test_a_run_killed_before_its_first_record_says_so(tmp_path: Path, content: bytes) -> None:
    """It can be listed, and not be gone on with."""
    files.write_atomic(tmp_path / "tiny-1" / "ledger.jsonl", content)
    run = Run.open(tmp_path, "tiny-1")
    message = "run 'tiny-1' was stopped before it began; start it again [empty-run]"
    with pytest.raises(NoSuchRun, match=rf"\A{re.escape(message)}\Z"):
        run.start  # noqa: B018


def test_runs_are_listed_by_name_and_number(tmp_path: Path) -> None:
    """Ten after nine; whatever people rename them to."""
    names = ["b-1", "a-10", "a-9", "a-1", "best", "a-b-2", "-3", "a-x"]
    for name in names:
        files.write_atomic(tmp_path / name / "ledger.jsonl", b"")
    files.make_folder(tmp_path / "store")
    found = [f.name for f in list_runs(tmp_path)]
    assert sorted(found) == sorted(names)
    assert [n for n in found if n.startswith("a-") and n[2:].isdigit()] == ["a-1", "a-9", "a-10"]
    assert list_runs(tmp_path / "none") == []


def test_a_run_is_opened_by_name_or_by_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is one if it has a ledger: a run's name wins over a stray folder of that name."""
    Run.create(tmp_path / "runs", asked(tmp_path), START)
    monkeypatch.chdir(tmp_path)
    files.make_folder(tmp_path / "tiny-1")
    assert Run.open(Path("runs"), "tiny-1").folder == Path("runs/tiny-1")
    assert Run.open(Path("elsewhere"), "runs/tiny-1").name == "tiny-1"


def test_one_process_works_on_a_run(tmp_path: Path) -> None:
    """The second is told who holds it."""
    run = Run.create(tmp_path / "runs", asked(tmp_path), START)
    with run.lock(), pytest.raises(Busy, match=r"runs/tiny-1/lock: held by process \d+"), run.lock():
        pass


def test_the_log_is_lines_of_json_with_the_time_of_day(tmp_path: Path) -> None:
    """For people; any text makes one line."""
    run = Run.create(tmp_path / "runs", asked(tmp_path), START)
    run.log("first")
    run.log("two\nlines, and \N{SNOWMAN}")
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in lines] == ["first", "two\nlines, and \N{SNOWMAN}"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", line["time"]) for line in lines)
