"""Interruption: a run that is killed again and again ends as if nothing had happened, and does little work twice."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nas import files
from nas.ledger import Ledger
from tests.nas.children import noted, run
from tests.nas.tiny import TINY, Finished

FACTS = ("budget", "tell", "check", "export", "measurement", "test", "done")
TRAIN, PROFILE, FIT, SEARCH, VERIFY = 2, 3, 4, 5, 6


@dataclass
class Work:
    """A folder of runs and the diary of the processes that worked in it."""

    folder: Path

    @property
    def runs(self) -> Path:
        """Where ``tiny-1`` is."""
        return self.folder / "runs"

    @property
    def ledger(self) -> Path:
        """That of the run."""
        return self.runs / "tiny-1" / "ledger.jsonl"

    def start(self, kill: tuple[int, int] | None = None) -> int:
        """``nas search``."""
        source = self.folder / "tiny.yaml"
        source.write_text(TINY, encoding="utf-8")
        return run(["search", str(source), "--runs", str(self.runs)], self.folder / "notes", kill)

    def resume(self, kill: tuple[int, int] | None = None) -> int:
        """``nas resume``."""
        return run(["resume", "tiny-1", "--runs", str(self.runs)], self.folder / "notes", kill)

    def counted(self) -> Counter[tuple[int, str]]:
        """How often each thing was worked on, in all processes."""
        return Counter(noted(self.folder / "notes"))

    def result(self) -> dict[str, Any]:
        """The result, without what clocks say."""
        found = files.read_json(self.runs / "tiny-1" / "result.json")
        assert isinstance(found, dict)
        assert set(found.pop("seconds")) == {"build", "train", "profile", "fit", "search", "verify"}
        return found

    def facts(self) -> list[dict[str, Any]]:
        """What the ledger holds besides stages and artefacts, in order."""
        hidden = {"n", "previous", "digest"}
        return [{k: v for k, v in r.items() if k not in hidden} for r in Ledger.read(self.ledger) if r["kind"] in FACTS]

    def artefacts(self) -> dict[str, str]:
        """Every finished file of the store, and every export: path -> digest."""
        found = [*(self.runs / "store").rglob("*"), *(self.runs / "tiny-1" / "exports").rglob("*")]
        kept = [p for p in found if p.is_file() and not p.name.startswith(".")]
        return {str(p.relative_to(self.runs)): files.file_digest(p) for p in kept if p.name != "card.md"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A run that nothing interrupts."""
    work = Work(tmp_path_factory.mktemp("whole"))
    assert work.start() in (0, 3)
    return work


def plan(whole: Work, seed: int) -> list[tuple[int, int]]:
    """When to die, in every stage, twice where a stage is long: random steps of those that the stage takes."""
    rng, steps = random.Random(seed), whole.counted()

    def within(stage: int, share: float) -> tuple[int, int]:
        return stage, rng.randint(1, max(1, int(share * steps[stage, "step"])))

    twice = [within(TRAIN, 0.4), within(TRAIN, 0.3)]
    return [
        *twice,
        within(PROFILE, 0.8),
        within(FIT, 0.8),
        within(SEARCH, 0.5),
        within(VERIFY, 0.5),
        within(VERIFY, 0.3),
    ]


def test_a_run_killed_in_every_stage_ends_like_one_that_was_not(whole: Work, tmp_path: Path) -> None:
    """Ledger, weights, tables, exports, result: the same; and of work at most a piece is repeated per kill."""
    work = Work(tmp_path)
    kills = plan(whole, seed=1)
    before = b""
    for number, kill in enumerate(kills):
        status = work.resume(kill) if number else work.start(kill)
        assert status == -signal.SIGKILL, f"kill {number} at {kill}"
        recorded = work.ledger.read_bytes()
        good = recorded[: recorded.rfind(b"\n") + 1]
        assert good.startswith(before)  # nothing recorded is lost
        before = good
    assert work.resume() in (0, 3)
    assert work.ledger.read_bytes().startswith(before)

    assert work.facts() == whole.facts()
    assert work.artefacts() == whole.artefacts()  # trained weights bit for bit
    assert work.result() == whole.result()

    done, alone, died = work.counted(), whole.counted(), Counter(stage for stage, _ in kills)
    for stage, what, piece in (
        (TRAIN, "epoch", 1),  # of 3
        (PROFILE, "session", 50),  # a batch of calls and its anchors
        (FIT, "evaluation", 11),  # saved after every tenth
        (SEARCH, "prediction", 1),  # a batch of trials
        (VERIFY, "evaluation", 2),  # a check, or that of an export's proof
        (VERIFY, "export", 1),
        (VERIFY, "measurement", 1),
    ):
        assert alone[stage, what] <= done[stage, what] <= alone[stage, what] + piece * died[stage], what


def test_a_finished_run_is_shown_again_and_nothing_is_worked_on(whole: Work) -> None:
    """``nas resume`` of it changes no file."""
    before, worked = whole.ledger.read_bytes(), whole.counted()
    assert whole.resume() in (0, 3)
    assert whole.ledger.read_bytes() == before
    assert whole.counted() == worked


def test_a_second_search_takes_everything_from_the_store(whole: Work) -> None:
    """Another run, another budget: no epoch, no profile, no evaluation for the fit."""
    worked = whole.counted()
    source = whole.folder / "tiny.yaml"
    arguments = ["search", str(source), "--runs", str(whole.runs), "--latency-ms", "1"]
    assert run(arguments, whole.folder / "notes") in (0, 3)
    new = whole.counted() - worked
    assert new[TRAIN, "epoch"] == new[PROFILE, "session"] == new[FIT, "evaluation"] == 0
    assert new[SEARCH, "prediction"] > 0
    assert files.read_json(whole.runs / "tiny-2" / "result.json")["budget"] == {"latency_ms": 1.0}


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


def test_ctrl_c_says_how_to_resume_and_resuming_works(finished: Finished, tmp_path: Path) -> None:
    """Exit status 130 in the middle of the training; what was trained is not trained again."""
    source, runs = tmp_path / "tiny.yaml", tmp_path / "runs"
    source.write_text(TINY, encoding="utf-8")
    recorded = ["--table", str(finished.table), "--no-remeasure"]
    command = [sys.executable, "-m", "nas.cli", "search", str(source), "--runs", str(runs), *recorded]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not list(runs.glob("store/train/*/checkpoint-1.json")) and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == ""
    assert re.search(rf"interrupted; go on with: nas resume tiny-1 --runs {re.escape(str(runs))}\n\Z", errors)
    assert "Traceback" not in errors
    before = (runs / "tiny-1" / "ledger.jsonl").read_bytes()
    assert run(["resume", "tiny-1", "--runs", str(runs)], tmp_path / "notes") in (0, 3)
    assert (runs / "tiny-1" / "ledger.jsonl").read_bytes().startswith(before)
    assert Counter(noted(tmp_path / "notes"))[TRAIN, "epoch"] < 3
    trained = finished.runs / "store" / "train"
    for path in trained.rglob("weights.safetensors"):  # bit-equal to those of the run that was not interrupted
        assert files.file_digest(runs / "store" / "train" / path.relative_to(trained)) == files.file_digest(path)
