"""The store: an artefact is there whole, or not yet; a changed byte of it is never read."""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas import files
from nas.store import Entry, Store, StoreDamaged
from tests.nas.faults import dying, forked

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

INPUTS = {"space": "0123456789abcdef", "seed": 0, "epochs": 80}
Step = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def fast_disk() -> Iterator[None]:
    """No power is cut here, and a kill does not need fsync; that it is asked for, and works, test_files.py checks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return Store(tmp_path).entry("train", INPUTS)


def again(entry: Entry) -> Entry:
    """The same artefact as another process would see it."""
    return Entry(entry.path.parents[1], entry.stage, entry.inputs)


def flipped(data: bytes, offset: int, bit: int = 0) -> bytes:
    return data[:offset] + bytes([data[offset] ^ (1 << bit)]) + data[offset + 1 :]


# --- Artefacts --------------------------------------------------------------------------------------------------------


def test_an_artefact_is_found_by_its_inputs(tmp_path: Path, entry: Entry) -> None:
    assert entry.path == tmp_path / "train" / files.sha256(files.canonical_json(INPUTS))[:16]
    assert entry.stage == "train"
    assert not entry.complete
    assert not entry.path.exists(), "asking makes nothing"
    assert entry.write("weights.bin", b"w") == files.sha256(b"w")
    entry.write_json("table.json", {"a": [1, 2.5]})
    assert not again(entry).complete
    entry.finish(seconds=1.5, rows=2)
    for found in (entry, Store(tmp_path).entry("train", dict(reversed(INPUTS.items())))):
        assert found.complete
        assert found.read("weights.bin") == b"w"
        assert found.read_json("table.json") == {"a": [1, 2.5]}
        assert found.facts == {"seconds": 1.5, "rows": 2}
    manifest = files.read_json(entry.path / "manifest.json")
    assert {key: manifest[key] for key in ("stage", "inputs", "files", "facts")} == {
        "stage": "train",
        "inputs": INPUTS,
        "files": {
            "weights.bin": {"sha256": files.sha256(b"w"), "bytes": 1},
            "table.json": {"sha256": files.sha256(b'{"a":[1,2.5]}'), "bytes": 13},
        },
        "facts": {"seconds": 1.5, "rows": 2},
    }


def test_other_inputs_and_other_stages_are_other_artefacts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    entries = [store.entry("train", {"x": value}) for value in (1, 1.0, True, "1", None)]
    assert len({entry.path for entry in entries}) == 5
    assert store.entry("profile", {"x": 1}).path != entries[0].path
    inputs = {"list": [1]}
    entry = store.entry("train", inputs)
    inputs["list"].append(2)
    assert entry.inputs == {"list": [1]}, "what the caller changes later changes nothing here"


def test_a_complete_artefact_never_changes(entry: Entry) -> None:
    entry.write("a", b"1")
    entry.finish()
    for other in (entry, again(entry)):
        with pytest.raises(RuntimeError, match="this artefact is complete and never changes"):
            other.write("a", b"2")
        with pytest.raises(RuntimeError, match="this artefact is complete and never changes"):
            other.checkpoint(b"", {})
        with pytest.raises(RuntimeError, match="this artefact is complete and never changes"):
            other.finish()
    assert again(entry).read("a") == b"1"


def test_misuse_is_refused(tmp_path: Path, entry: Entry) -> None:
    for name in ("../a", "A", "", ".lock"):
        with pytest.raises(ValueError, match="is not a name"):
            entry.write(name, b"")
        with pytest.raises(ValueError, match="is not a name"):
            entry.read(name)
    for name in ("manifest.json", "checkpoint-1.bin", "checkpoint-12.json"):
        with pytest.raises(ValueError, match="is a name that the store keeps for itself"):
            entry.write(name, b"")
    with pytest.raises(ValueError, match=r"'\.\.' is not a name"):
        Store(tmp_path).entry("..", {})
    with pytest.raises(ValueError, match=r"value\['x'\] is nan"):
        Store(tmp_path).entry("train", {"x": float("nan")})
    with pytest.raises(RuntimeError, match="is not complete, it has no facts yet"):
        _ = entry.facts
    with pytest.raises(FileNotFoundError, match="absent"):
        entry.read("absent")
    with pytest.raises(ValueError, match=r"\['loss'\] is inf"):
        entry.finish(loss=float("inf"))
    assert not entry.complete
    entry.write("a", b"not json")
    entry.finish()
    with pytest.raises(FileNotFoundError, match="absent: not a file of this artefact; it has a"):
        entry.read("absent")
    with pytest.raises(ValueError, match=r"/a: not valid JSON"):
        entry.read_json("a")


def test_files_of_a_killed_attempt_are_not_part_of_the_artefact(entry: Entry) -> None:
    entry.write("old", b"from an attempt that was killed")
    (entry.path / ".tmp-1-aa").write_bytes(b"half")
    second = again(entry)
    assert second.read("old") == b"from an attempt that was killed", "but may be read until the end"
    second.write("new", b"1")
    second.finish()
    assert not list(entry.path.glob(".tmp-*"))
    with pytest.raises(FileNotFoundError, match="old: not a file of this artefact; it has new"):
        again(entry).read("old")


def test_a_file_whose_writing_failed_is_not_part_of_the_artefact(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    entry.write("a", b"old")

    def step(name: str, path: Path, action: Step, *arguments: Any) -> Any:
        if name == "fsync" and path == entry.path:  # the new content has its name already
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return action(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_step", step)
        with pytest.raises(OSError, match="Input/output error"):
            entry.write("a", b"new")
    entry.finish()
    with pytest.raises(FileNotFoundError, match="a: not a file of this artefact; it has none"):
        again(entry).read("a")


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True), st.binary(max_size=300), max_size=4),
    st.dictionaries(st.text(), st.integers() | st.text(), max_size=3),
    st.data(),
)
def test_any_content_comes_back_or_is_refused(contents: dict[str, bytes], inputs: dict[str, Any], data: Any) -> None:
    contents = {name: value for name, value in contents.items() if name not in ("manifest.json",)}
    with tempfile.TemporaryDirectory() as folder:
        entry = Store(Path(folder)).entry("stage", inputs)
        for name, value in contents.items():
            entry.write(name, value)
        entry.finish()
        assert {name: again(entry).read(name) for name in contents} == contents
        for name, value in contents.items():
            if value:
                offset = data.draw(st.integers(0, len(value) - 1))
                (entry.path / name).write_bytes(flipped(value, offset, data.draw(st.integers(0, 7))))
                with pytest.raises(StoreDamaged, match=f"{name}: the file is not what was written"):
                    again(entry).read(name)


def test_damaged_files_are_named(entry: Entry) -> None:
    entry.write("weights.bin", b"0123456789")
    for step in range(2):  # while it is being made, and after
        (entry.path / "weights.bin").write_bytes(b"012345678")
        with pytest.raises(StoreDamaged, match=r"weights\.bin: the file has 9 bytes, 10 were written"):
            entry.read("weights.bin")
        (entry.path / "weights.bin").write_bytes(b"0123456780")
        with pytest.raises(StoreDamaged, match=r"weights\.bin: the file is not what was written"):
            entry.read("weights.bin")
        (entry.path / "weights.bin").unlink()
        with pytest.raises(StoreDamaged, match=r"weights\.bin: the file is gone, 10 bytes were written"):
            entry.read("weights.bin")
        if not step:
            entry.finish()


def test_every_flipped_bit_of_a_manifest_is_refused(entry: Entry) -> None:
    entry.write("a", b"1")
    entry.finish(quality=91.25)
    manifest = entry.path / "manifest.json"
    good = manifest.read_bytes()
    for offset, bit in itertools.product(range(len(good)), (0, 3, 6, 7)):
        manifest.write_bytes(flipped(good, offset, bit))
        with pytest.raises(StoreDamaged, match=r"manifest\.json: "):
            _ = again(entry).complete
    for other in (b"", good[:-1], b"[]", b"null"):
        manifest.write_bytes(other)
        with pytest.raises(StoreDamaged, match=r"manifest\.json: "):
            _ = again(entry).complete


def test_a_manifest_of_another_artefact_is_refused(tmp_path: Path, entry: Entry) -> None:
    other = Store(tmp_path).entry("train", {**INPUTS, "seed": 1})
    other.finish()
    files.write_atomic(entry.path / "manifest.json", (other.path / "manifest.json").read_bytes())
    with pytest.raises(StoreDamaged, match=r"manifest\.json: belongs to another stage or other inputs"):
        _ = entry.complete


# --- Checkpoints ------------------------------------------------------------------------------------------------------


def names(entry: Entry) -> list[str]:
    return sorted(path.name for path in entry.path.iterdir())


def test_the_last_two_checkpoints_are_kept_until_the_end(entry: Entry) -> None:
    assert entry.latest_checkpoint() is None
    for step in range(1, 13):
        entry.checkpoint(b"state %d" % step, {"step": step})
        assert again(entry).latest_checkpoint() == (b"state %d" % step, {"step": step})
    assert names(entry) == [f"checkpoint-{k}.{suffix}" for k in (11, 12) for suffix in ("bin", "json")]
    entry.finish()
    assert names(entry) == ["manifest.json"]
    assert entry.latest_checkpoint() is None


def test_the_newest_is_told_by_its_number_and_not_by_a_clock(entry: Entry) -> None:
    for step in (8, 9, 10):
        (entry.path / f"checkpoint-{step}.bin").parent.mkdir(parents=True, exist_ok=True)
        entry.checkpoint(b"%d" % step, {"step": step})
    for path in entry.path.iterdir():
        os.utime(path, (2e9, 2e9) if "-2." in path.name else (0, 0))
    assert again(entry).latest_checkpoint() == (b"10", {"step": 10})


def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_says_so(entry: Entry) -> None:
    entry.checkpoint(b"first", {"step": 1})
    entry.checkpoint(b"second", {"step": 2})
    for name in ("checkpoint-2.bin", "checkpoint-2.json"):
        good = (entry.path / name).read_bytes()
        for bad in [flipped(good, offset, bit) for offset in range(len(good)) for bit in (0, 5)] + [good[:-1], b""]:
            (entry.path / name).write_bytes(bad)
            said: list[str] = []
            assert entry.latest_checkpoint(said.append) == (b"first", {"step": 1})
            assert len(said) == 1
            assert name in said[0]
            assert "checkpoint 1, the one before, is tried" in said[0]
        (entry.path / name).write_bytes(good)
    (entry.path / "checkpoint-2.bin").unlink()
    with pytest.warns(UserWarning, match=r"checkpoint-2\.bin: the file is gone, 6 bytes were written"):
        assert entry.latest_checkpoint() == (b"first", {"step": 1})
    (entry.path / "checkpoint-1.bin").unlink()
    said = []
    assert entry.latest_checkpoint(said.append) is None
    assert "no other is left" in said[1]
    entry.checkpoint(b"third", {"step": 3})
    assert entry.latest_checkpoint() == (b"third", {"step": 3}), "numbers are never used again"
    assert (entry.path / "checkpoint-3.bin").exists()


# --- Faults at every step ---------------------------------------------------------------------------------------------


def make(entry: Entry, steps: int = 4) -> None:
    """A stage that resumes: its artefact is the list of its steps."""
    with entry.lock():
        if entry.complete:
            return
        resumed = entry.latest_checkpoint()
        data, step = (resumed[0], resumed[1]["step"]) if resumed else (b"", 0)
        while step < steps:
            data, step = data + b"%d," % step, step + 1
            entry.checkpoint(data, {"step": step})
        entry.write("steps.bin", data)
        entry.finish(steps=steps)


def consistent(entry: Entry, at: int) -> int:
    """Check what a reader sees after a fault; returns how many steps are safe."""
    seen = again(entry)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if seen.complete:
            assert (seen.read("steps.bin"), seen.facts) == (b"0,1,2,3,", {"steps": 4}), f"step {at}"
            return 4
        found = seen.latest_checkpoint()
    datas = {path.stem for path in entry.path.glob("checkpoint-*.bin")}
    assert {path.stem for path in entry.path.glob("checkpoint-*.json")} <= datas, f"step {at}: would look like damage"
    if found is None:
        return 0
    assert found[0] == b"".join(b"%d," % i for i in range(found[1]["step"])), f"step {at}"
    return int(found[1]["step"])


@pytest.mark.parametrize("how", ["exit", "kill", "kill after", "torn write"])
def test_a_kill_at_every_step_leaves_a_stage_that_goes_on(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe = [0]
    for at in itertools.count():
        entry = Store(tmp_path / str(at)).entry("train", INPUTS)
        with monkeypatch.context() as patch:
            patch.setattr(files, "_step", dying(at, how))
            status = os.waitpid(forked(lambda entry=entry: make(entry)), 0)[1]  # type: ignore[misc]
        assert status != 256, "the child failed instead of dying"
        safe.append(consistent(entry, at))
        make(again(entry))
        assert consistent(entry, at) == 4
        if status == 0:
            break
    assert safe == sorted(safe), "a later death never loses more"
    assert set(safe) == {0, 1, 2, 3, 4}
    assert at >= 60


def test_a_full_disk_at_every_step_leaves_a_stage_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = 0
    for at in itertools.count():
        entry = Store(tmp_path / str(at)).entry("train", INPUTS)
        count = itertools.count()

        def step(name: str, path: Path, action: Step, *arguments: Any, count: Any = count, at: int = at) -> Any:
            # The disk stays full from here on; what needs no room still works.
            if next(count) >= at and name in ("open", "write", "fsync", "mkdir", "replace"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return action(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(files, "_step", step)
            try:
                make(entry)
            except files.DiskFull as full:
                assert "bytes are needed" in str(full)  # noqa: PT017
                failures += 1
        complete = again(entry).complete
        consistent(entry, at)
        assert not list(entry.path.glob(".tmp-*"))
        make(entry)  # the same object goes on, once there is room again
        assert consistent(entry, at) == 4
        if complete and failures <= at:
            break
    assert failures >= 50


def test_one_writer_makes_it_and_the_others_find_it(tmp_path: Path) -> None:
    def work() -> None:
        entry = Store(tmp_path).entry("train", INPUTS)
        with entry.lock():
            if not entry.complete:
                (tmp_path / f"made-by-{os.getpid()}").touch()
                entry.write("a", b"1")
                entry.finish()

    pids = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            try:
                work()
                os._exit(0)
            except BaseException:
                os._exit(1)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 6
    assert len(list(tmp_path.glob("made-by-*"))) == 1
