"""Folders and locks that several processes want: each folder is new, one holder at a time, a killed one frees it."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas import files
from tests.nas.faults import failing, forked

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def fast_disk() -> Iterator[None]:
    """No power is cut here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def test_new_folders_count_up_from_the_highest(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert [files.new_folder(runs, "digits").name for _ in range(3)] == ["digits-1", "digits-2", "digits-3"]
    (runs / "digits-1").rmdir()
    for other in ("digits-x", "digits-007", "digits-extra-9", "digits"):
        (runs / other).mkdir()
    assert files.new_folder(runs, "digits").name == "digits-4"
    assert files.new_folder(runs, "digits-extra").name == "digits-extra-10"
    with pytest.raises(ValueError, match=r"'\.\./x' is not a name"):
        files.new_folder(runs, "../x")


def test_new_folders_of_many_processes_are_all_different(tmp_path: Path) -> None:
    def work(me: int) -> None:
        for _ in range(10):
            (files.new_folder(tmp_path, "run") / f"of-{me}").touch()

    for pid in [forked(lambda me=me: work(me)) for me in range(4)]:  # type: ignore[misc]
        assert os.waitpid(pid, 0)[1] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"run-{n}" for n in range(1, 41))
    assert all(len(list(p.iterdir())) == 1 for p in tmp_path.iterdir())


# --- Locks ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[int]:
    """Another process that holds tmp_path/lock until it is killed."""

    def work() -> None:
        with files.Lock(tmp_path / "lock"):
            (tmp_path / "held").touch()
            time.sleep(60)

    pid = forked(work)
    while not (tmp_path / "held").exists():
        time.sleep(0.001)
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_held_lock_names_its_holder_and_outlives_a_pause(tmp_path: Path, holder: int) -> None:
    with pytest.raises(files.Busy, match=rf"lock: held by process {holder};"), files.Lock(tmp_path / "lock"):
        pass
    os.kill(holder, signal.SIGSTOP)
    os.utime(tmp_path / "lock", (0, 0))
    with pytest.raises(files.Busy, match=rf"lock: held by process {holder};"), files.Lock(tmp_path / "lock"):
        pass


def test_a_killed_holder_frees_the_lock(tmp_path: Path, holder: int) -> None:
    def work() -> None:
        with files.Lock(tmp_path / "lock", wait=True):
            (tmp_path / "got").touch()

    waiter = forked(work)
    time.sleep(0.05)
    assert not (tmp_path / "got").exists()
    os.kill(holder, signal.SIGKILL)
    assert os.waitpid(waiter, 0)[1] == 0
    assert (tmp_path / "got").exists()
    with files.Lock(tmp_path / "lock", wait=True):
        assert int((tmp_path / "lock").read_bytes()) == os.getpid()


def test_a_lock_is_free_after_use_and_not_reentrant(tmp_path: Path) -> None:
    lock = files.Lock(tmp_path / "lock")
    for _ in range(2):
        with lock:
            with pytest.raises(RuntimeError, match="already held by this very object"):
                lock.__enter__()
            with pytest.raises(files.Busy, match=f"held by process {os.getpid()};"), files.Lock(tmp_path / "lock"):
                pass


def test_a_forked_child_that_leaves_the_block_does_not_free_the_lock(tmp_path: Path) -> None:
    with files.Lock(tmp_path / "lock") as lock:
        os.waitpid(forked(lambda: lock.__exit__()), 0)
        with pytest.raises(files.Busy, match=f"held by process {os.getpid()};"), files.Lock(tmp_path / "lock"):
            pass


def test_an_error_while_locking_frees_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(files, "_step", failing(at, errno.EIO))
            with pytest.raises(OSError, match="lock"), files.Lock(tmp_path / "lock"):
                pass
    with files.Lock(tmp_path / "lock"):
        pass


def test_many_processes_append_under_a_lock_and_some_are_killed(tmp_path: Path) -> None:
    log, lock = tmp_path / "log", tmp_path / "lock"

    def work(me: int) -> None:
        for number in range(40):
            with files.Lock(lock, wait=True):
                files.append_line(log, b"%d %d %s" % (me, number, b"x" * 100))

    pids = [forked(lambda me=me: work(me)) for me in range(6)]  # type: ignore[misc]
    for pid in pids[:2]:
        os.kill(pid, signal.SIGKILL)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    assert statuses[2:] == [0] * 4
    lines = [line.split() for line in log.read_bytes().splitlines() if line.endswith(b"x" * 100)]
    for me in range(2, 6):
        assert [int(number) for who, number, _ in lines if int(who) == me] == list(range(40))
