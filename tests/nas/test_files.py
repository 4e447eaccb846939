"""Writing files: whole or not at all, at every step that can fail or be the last one."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas import files
from tests.nas.faults import Step, dying, failing, forked

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

REAL_FSYNC = os.fsync
OLD, NEW = b"old content", b"new content, longer than the old"
KILLS = ("exit", "kill", "kill after", "torn write")
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module", autouse=True)
def fast_disk() -> Iterator[None]:
    """No power is cut here, and a kill does not need fsync; that it is asked for, and works, two tests check."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def until_it_survives(work: Callable[[], object], how: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Run ``work`` in children that die at step 0, 1, 2 ..., until one comes through; yields after each death."""
    for at in itertools.count():
        with monkeypatch.context() as patch:
            patch.setattr(files, "_step", dying(at, how))
            _, status = os.waitpid(forked(work), 0)
        if status == 0:
            return
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 9, "the child failed instead of dying"
        yield at


def left_overs(folder: Path) -> list[Path]:
    return list(folder.rglob(".tmp-*"))


# --- JSON -------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(JSON)
def test_canonical_json_round_trips_and_is_stable(value: Any) -> None:
    data = files.canonical_json(value)
    back = files.parse_json(data)
    assert files.canonical_json(back) == data
    assert json.loads(data) == value
    assert b"\n" not in data


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.integers(), max_size=6), st.randoms())
def test_canonical_json_forgets_the_order_of_keys(value: dict[str, int], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert files.canonical_json(dict(items)) == files.canonical_json(value)


def test_canonical_json_tells_types_apart_and_is_utf_8() -> None:
    assert len({files.canonical_json(value) for value in (1, 1.0, True, "1", [1], None)}) == 6
    assert files.canonical_json({"b": (1, 2), "a": "é"}) == '{"a":"é","b":[1,2]}'.encode()


class Opaque:
    pass


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "value is nan, which is not a finite number"),
        ({"a": [1, {"b": -math.inf}]}, r"value\['a'\]\[1\]\['b'\] is -inf, which is not a finite number"),
        ({"a": {1: 2}}, r"value\['a'\] has the key 1, which is not text"),
        ([Opaque()], r"value\[0\] is of type Opaque, which JSON has not"),
        ({"x": b"bytes"}, r"value\['x'\] is of type bytes, which JSON has not"),
        ("\ud800", "surrogates not allowed"),
        pytest.param(10**5000, "integer string conversion", id="huge"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"cannot write as JSON: .*{problem}"):
        files.canonical_json(value)
    with pytest.raises(ValueError, match=f"cannot write as JSON: .*{problem}"):
        files.write_json(tmp_path / "x.json", value, indent=1)
    assert not list(tmp_path.iterdir())


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="nested too deeply, or contains itself"):
        files.canonical_json(value)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"NaN", b"[-Infinity]", b"1e999", b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b'{"a":1}x', b"\0" * 9],
)
def test_hostile_json_is_our_error_and_names_the_file(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hostile.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"hostile\.json: not valid JSON: "):
        files.read_json(path)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    try:
        files.canonical_json(files.parse_json(data))
    except ValueError as error:
        assert "JSON" in str(error)  # noqa: PT017


def test_json_files_are_canonical_or_readable(tmp_path: Path) -> None:
    value = {"b": 1, "a": [1.5, "é"]}
    assert files.write_json(tmp_path / "x.json", value) == files.sha256(files.canonical_json(value))
    assert (tmp_path / "x.json").read_bytes() == files.canonical_json(value)
    files.write_json(tmp_path / "y.json", value, indent=2)
    assert (tmp_path / "y.json").read_text().startswith('{\n  "b": 1,\n  "a"')
    assert files.read_json(tmp_path / "x.json") == files.read_json(tmp_path / "y.json") == value
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        files.read_json(tmp_path / "absent.json")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "-a", ".a", "a" * 65, "a\n", "a b", "é", "a\0"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name: 1 to 64 of a-z 0-9"):
        files.safe_name(name)


def test_good_names_pass() -> None:
    for name in ("a", "0", "weights.safetensors", "a-b_c.d", "a" * 64):
        assert files.safe_name(name) == name


# --- Whole files ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=5000), st.binary(max_size=5000))
def test_write_atomic_writes_what_it_was_given(first: bytes, second: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deep" / "er" / "file.bin"
        for data in (first, second):
            digest = files.write_atomic(path, data)
            assert path.read_bytes() == data
            assert digest == files.sha256(data) == files.file_digest(path)
        assert not left_overs(Path(folder))


def test_the_real_fsync_takes_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", REAL_FSYNC)
    files.write_atomic(tmp_path / "a" / "file", NEW)
    files.append_line(tmp_path / "log", b"line")
    files.truncate(tmp_path / "log", 2)
    files.new_folder(tmp_path, "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "log", "run-1"]


def test_the_steps_of_write_atomic_come_in_the_safe_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def recording(name: str, path: Path, action: Step, *arguments: Any) -> Any:
        steps.append((name, path.name[:5]))
        return action(*arguments)

    monkeypatch.setattr(files, "_step", recording)
    folder = tmp_path.name[:5]
    files.write_atomic(tmp_path / "file", NEW)
    # Content durable before the name, the name durable before we say so.
    assert steps == [
        ("open", ".tmp-"),
        ("write", ".tmp-"),
        ("fsync", ".tmp-"),
        ("replace", "file"),
        ("open", folder),
        ("fsync", folder),
    ]
    steps.clear()
    files.append_line(tmp_path / "log", b"1")
    assert steps == [("open", "log"), ("open", folder), ("fsync", folder), ("write", "log"), ("fsync", "log")]
    steps.clear()
    files.append_line(tmp_path / "log", b"2")
    assert steps == [("open", "log"), ("write", "log"), ("fsync", "log")]
    steps.clear()
    files.truncate(tmp_path / "log", 2)
    assert steps == [("open", "log"), ("ftruncate", "log"), ("fsync", "log")]
    steps.clear()
    files.make_folder(tmp_path / "a" / "b")
    assert [name for name, _ in steps] == ["mkdir", "open", "fsync"] * 2


@pytest.mark.parametrize("how", KILLS)
def test_a_kill_at_every_step_leaves_the_old_file_or_the_new(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a" / "file.bin"
    deaths = 0
    for at in until_it_survives(lambda: files.write_atomic(path, NEW), how, monkeypatch):
        assert not path.exists() or path.read_bytes() == NEW, f"step {at}"
        deaths += 1
        if path.exists():
            files.write_atomic(path, OLD)
    assert deaths >= 6
    assert path.read_bytes() == NEW
    files.write_atomic(path, OLD)
    for at in until_it_survives(lambda: files.write_atomic(path, NEW), how, monkeypatch):
        assert path.read_bytes() in (OLD, NEW), f"step {at}"
        files.write_atomic(path, OLD)
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("short", [False, True])
def test_an_error_at_every_step_is_raised_and_leaves_no_rubbish(
    code: int, short: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.bin"
    for at in itertools.count():
        files.write_atomic(path, OLD)
        with monkeypatch.context() as patch:
            patch.setattr(files, "_step", failing(at, code, short))
            try:
                files.write_atomic(path, NEW)
                break
            except OSError as caught:
                error = caught
        assert error.errno == code
        if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            assert isinstance(error, files.DiskFull)
            assert error.needed_bytes == len(NEW)
            assert f"no room on the disk, {len(NEW)} bytes are needed: '{path}'" in str(error)
        assert path.read_bytes() in (OLD, NEW), f"step {at}"
        assert not left_overs(tmp_path), f"step {at}"
    assert at == 6 - short
    assert path.read_bytes() == NEW


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str, path: Path, action: Step, *arguments: Any) -> Any:
        if name == "fsync":
            raise KeyboardInterrupt("now")
        return action(*arguments)

    monkeypatch.setattr(files, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt, match="now"):
        files.write_atomic(tmp_path / "x", NEW)
    assert not list(tmp_path.iterdir())


def test_a_real_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    import resource

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        files.write_atomic(tmp_path / "small", b"x" * 1000)
        try:
            files.write_atomic(tmp_path / "large", b"x" * 1001)
        except files.DiskFull as full:
            os._exit(74 if full.needed_bytes == 1001 and str(tmp_path / "large") in str(full) else 1)

    _, status = os.waitpid(forked(work), 0)
    assert os.waitstatus_to_exitcode(status) == 74
    assert [p.name for p in tmp_path.iterdir()] == ["small"]


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError, match="taken"):
        files.write_atomic(tmp_path / "taken", NEW)
    files.write_atomic(tmp_path / "file", NEW)
    with pytest.raises(NotADirectoryError, match=r"not a folder|Not a directory"):
        files.write_atomic(tmp_path / "file" / "below", NEW)
    with pytest.raises(NotADirectoryError, match=r"this is not a folder: .*file"):
        files.make_folder(tmp_path / "file")
    assert not left_overs(tmp_path)


# --- Lines, folders ---------------------------------------------------------------------------------------------------


def test_lines_are_appended_cut_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    files.append_line(path, b"one")
    files.append_line(path, b"two")
    assert path.read_bytes() == b"one\ntwo\n"
    files.truncate(path, 4)
    assert path.read_bytes() == b"one\n"
    files.remove(path)
    files.remove(path)
    assert not path.exists()
    with pytest.raises(ValueError, match="a line to append cannot contain a newline: b'a\\\\nb'"):
        files.append_line(path, b"a\nb")


@pytest.mark.parametrize("how", KILLS)
def test_a_kill_at_every_step_of_an_append_leaves_a_prefix(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    for at in until_it_survives(lambda: files.append_line(path, b"a longer line"), how, monkeypatch):
        assert b"a longer line\n".startswith(path.read_bytes() if path.exists() else b""), f"step {at}"
        files.remove(path)
    assert path.read_bytes() == b"a longer line\n"


def test_a_full_disk_at_every_step_of_folders_and_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works: list[Callable[[], object]] = [
        lambda: files.make_folder(tmp_path / "a" / "b"),
        lambda: files.new_folder(tmp_path / "runs", "run"),
        lambda: files.append_line(tmp_path / "log", b"line"),
        lambda: files.Lock(tmp_path / "lock").__enter__(),
    ]
    for work in works:
        for at in itertools.count():
            with monkeypatch.context() as patch:
                patch.setattr(files, "_step", failing(at, errno.ENOSPC))
                try:
                    work()
                    break
                except files.DiskFull as full:
                    assert "bytes are needed" in str(full)  # noqa: PT017
        assert at >= 2, "the campaign must have met some steps"
