"""Messages of commands: whatever was raised, they have a place, a code, and where there is one a hint."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from nas import files, problems
from nas.api import Nothing, best_row
from nas.data import DataError
from nas.files import Busy, DiskFull
from nas.store import StoreDamaged
from predictors.latency import TableError
from tests.nas.results import example
from tests.nas.test_cli import nas, refused
from tests.nas.tiny import TINY, Finished

OTHER_PLACE = "name another place, one that can be written to"


def full() -> DiskFull:
    """As :mod:`nas.files` raises it."""
    error = DiskFull(errno.ENOSPC, "no room on the disk, 9 bytes are needed", "runs/x")
    error.needed_bytes = 9
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("f:1:1: it is wrong [own-code]\n  hint: none"), "f:1:1: it is wrong [own-code]\n  hint: none"),
        (ValueError("it is wrong"), "it is wrong [wrong-value]"),
        (Busy("lock: held by process 1"), "lock: held by process 1 [busy]"),
        (DataError("data", "3 images", "too-few", "add some"), "data: 3 images [too-few]\n  hint: add some"),
        (TableError("t.json: damaged"), f"t.json: damaged [wrong-table]\n  hint: {problems.A_TABLE}"),
        (
            StoreDamaged("store/x: it is gone"),
            "store/x: it is gone [store-damaged]\n"
            "  hint: remove the folder of this file and repeat the command, which makes it again",
        ),
        (
            full(),
            "runs/x: no room on the disk, 9 bytes are needed [disk-full]\n"
            "  hint: free 9 bytes or more, then resume the run, or repeat the command",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "runs/.tmp-1-ab"),
            "runs: read-only file system [no-permission]",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), "runs: permission denied [no-permission]"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "runs"), "runs: is a directory [wrong-file]"),
        (OSError(errno.EIO, "Input/output error", "runs"), "runs: input/output error [disk]"),
        (OSError("it broke"), "?: it broke [disk]"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_has_a_code(error: Exception, message: str) -> None:
    """Its own, that of its class, or that of its number."""
    assert problems.said(error) == message


def test_a_missing_file_brings_the_nearest(tmp_path: Path) -> None:
    """Like a missing name."""
    (tmp_path / "table.json").touch()
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", str(tmp_path / "tabel.json"))
    message = f"{tmp_path}/tabel.json: no such file or folder [missing-file]\n  hint: did you mean 'table.json'?"
    assert problems.said(error) == message


# --- Places to write to -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        lambda run, out: ["export", "tiny-1", "--runs", run.runs, "--latency-ms", "1000", "--out", out],
        lambda run, out: ["space", "schema", "--out", out / "schema.json"],
        lambda run, out: ["search", run.source, "--runs", out],
    ],
    ids=["export", "schema", "search"],
)
def test_a_place_that_cannot_be_written_to_is_refused(
    finished: Finished, tmp_path: Path, command: Callable[[Finished, Path], list[str | Path]]
) -> None:
    """It is below a file; the option and the path are named as they were given."""
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    arguments = command(finished, out)
    option, path = ("--runs", out) if "search" in arguments else ("--out", arguments[-1])
    what = f"{option} {path}: cannot be written: not a directory [not-writable]"
    refused(nas(*arguments), f"{what}\n  hint: {OTHER_PLACE}")


def test_bench_refuses_such_a_place_before_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not after an hour."""
    (tmp_path / "file").touch()
    monkeypatch.setattr("nas.evaluators.tabular.whole_table", lambda *given: None)
    monkeypatch.setattr("nas.protocol.compare.compare", lambda *given: pytest.fail("it works"))
    arguments = ["--space", "nasbench201", "--table", "t.csv", "--objective", "x", "--out", tmp_path / "file"]
    what = f"--out {tmp_path}/file: cannot be written: this is not a folder [not-writable]"
    refused(nas("bench", "strategies", *arguments), f"{what}\n  hint: {OTHER_PLACE}")


def test_a_full_disk_is_still_a_full_disk(tmp_path: Path) -> None:
    """No other place is needed, but room."""
    with pytest.raises(DiskFull, match="9 bytes are needed"), problems.writing("--out", tmp_path):
        raise full()


def test_read_only_runs_are_refused(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 2 and words, no traceback."""

    def read_only(name: str, path: Path, action: object, *arguments: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(files, "_step", read_only)
    what = f"--runs {tmp_path}: cannot be written: read-only file system [not-writable]"
    refused(nas("search", finished.source, "--runs", tmp_path), f"{what}\n  hint: {OTHER_PLACE}")


def test_a_file_for_a_folder_of_runs_is_refused(tmp_path: Path) -> None:
    """It does not have no runs: it is none."""
    (tmp_path / "file").touch()
    for command in (["runs"], ["show", "x"]):
        refused(nas(*command, "--runs", tmp_path / "file"), f"{tmp_path}/file: not a directory [wrong-file]")


# --- Tables and limits ------------------------------------------------------------------------------------------------


def test_what_is_no_table_is_refused_with_what_a_table_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a folder, the space itself."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY, encoding="utf-8")
    hint = f"\n  hint: {problems.A_TABLE}"
    for name, message in (
        ("nofile", "nofile: no such file or folder [missing-file]"),
        (".", ".: is a directory [wrong-file]"),
        ("tiny.yaml", "tiny.yaml: not valid JSON: Expecting value: line 1 column 1 (char 0) [wrong-table]"),
    ):
        refused(nas("search", "tiny.yaml", "--table", name), f"{message}{hint}")


@pytest.mark.parametrize("limit", ["nan", "inf", "0", "-3"])
def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    """Nothing could keep it, or everything."""
    message = f"--limit macs={limit}: a limit is a finite number above 0 [out-of-range]"
    refused(nas("space", "describe", "digits", "--limit", f"macs={limit}"), message)


# --- What comes nearest -----------------------------------------------------------------------------------------------


def test_the_best_measured_network_is_exported_whoever_found_it() -> None:
    """A baseline within the latency is a network of the run too."""
    result = example()
    result["baselines"][0]["quality"]["supernet"] = 99.0
    source = Path("runs/digits-1/experiment.yaml")
    assert best_row(result, {"latency_ms": 1.0}, source)["key"] == "cccc"
    assert best_row(result, {"latency_ms": 0.05}, source)["key"] in ("aaaa", "bbbb")


@pytest.mark.parametrize(("runs", "where"), [("runs", ""), ("my runs", " --runs 'my runs'")])
def test_if_none_keeps_it_the_fastest_of_all_is_named(runs: str, where: str) -> None:
    """Here a baseline; the budget is said in words, and the command can be pasted."""
    result = example()
    result["baselines"][0] |= {"latency_ms": {"predicted": 0.01, "measured": 0.01, "measured_upper": 0.011}}
    source = Path(runs) / "digits-1" / "experiment.yaml"
    quoted = f"'{source}'" if " " in runs else str(source)
    message = (
        "digits-1: NO network keeps the budget (latency at most 1e-05 ms, size at most 50,000 bytes); "
        "the nearest is cccc (largest float): at most 0.0110 ms, 45.6 KB, 109900.0 % over [no-network]\n"
        f"  hint: search for one: nas search {quoted}{where} --latency-ms 1e-05"
    )
    with pytest.raises(Nothing, match=rf"\A{re.escape(message)}\Z"):
        best_row(result, {"latency_ms": 0.00001, "size_bytes": 50_000}, source)
