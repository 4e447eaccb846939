"""The ledger: what was acknowledged stays, what was torn is set aside, what is damaged is refused."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas import files
from nas.ledger import START, Ledger, LedgerDamaged
from tests.nas.faults import dying, failing

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

FACTS: list[tuple[str, dict[str, Any]]] = [
    ("start", {"seed": 0, "space": "0123456789abcdef"}),
    ("ask", {"count": 2, "known": []}),
    ("tell", {"trial": 0, "values": {"quality": 91.25, "latency_ms": 0.0173}, "status": "done"}),
    ("tell", {"trial": 1, "values": {}, "status": "failed", "error": 'NaN: "é" \\ \n line'}),
    ("measure", {"key": "conv k3", "latency_ms": [0.1, 0.2, 1e-300]}),
    ("stage", {"stage": "search", "seconds": 1.5}),
]
Step = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def fast_disk() -> Iterator[None]:
    """No power is cut here, and a kill does not need fsync; that it is asked for, and works, test_files.py checks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def filled(path: Path, facts: list[tuple[str, dict[str, Any]]] = FACTS) -> Ledger:
    """Append those of ``facts`` that are not in the ledger yet."""
    ledger = Ledger(path)
    for kind, fields in facts[len(ledger.records) :]:
        ledger.append(kind, **fields)
    return ledger


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """The bytes of a good ledger."""
    filled(tmp_path / "reference.jsonl")
    return (tmp_path / "reference.jsonl").read_bytes()


# --- What it does -----------------------------------------------------------------------------------------------------


def test_records_are_numbered_chained_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = filled(path)
    assert ledger.records == Ledger(path).records == Ledger.read(path)
    assert [record["n"] for record in ledger.records] == [1, 2, 3, 4, 5, 6]
    assert ledger.records[0]["previous"] == START == "0" * 32
    for before, after in itertools.pairwise(ledger.records):
        assert after["previous"] == before["digest"]
    for record, (kind, fields), line in zip(ledger.records, FACTS, path.read_bytes().splitlines(), strict=True):
        own = {key: record[key] for key in ("n", "kind", "previous", "digest")}
        assert record == {**fields, **own, "kind": kind}
        assert line == files.canonical_json(record)
        body = {key: value for key, value in record.items() if key != "digest"}
        assert record["digest"] == files.sha256(files.canonical_json(body))[:32]


def test_of_and_last(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.jsonl")
    assert [record["trial"] for record in ledger.of("tell")] == [0, 1]
    assert ledger.last("tell") == ledger.records[3]
    assert ledger.of("nothing") == []
    assert ledger.last("nothing") is None


def test_append_returns_what_a_reader_will_see(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    record = Ledger(path).append("x", pair=(1, 2.0), nested={"a": ()})
    assert record["pair"] == [1, 2.0]
    assert Ledger.read(path) == (record,)


def test_bad_fields_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    with pytest.raises(ValueError, match="its own digest, kind, n, previous; rename that field of 'x'"):
        ledger.append("x", n=1, kind="y", digest="", previous="")
    for bad in (math.nan, math.inf, [1, {"a": -math.inf}]):
        with pytest.raises(ValueError, match=r"value\['bad'\].* is -?(nan|inf), which is not a finite number"):
            ledger.append("x", bad=bad)
    with pytest.raises(ValueError, match="this is not a record"):
        ledger.append(3)  # type: ignore[arg-type]
    assert not path.exists()
    assert ledger.append("x")["n"] == 1


def test_reading_changes_nothing_and_makes_no_file(tmp_path: Path, whole: bytes) -> None:
    assert Ledger.read(tmp_path / "absent.jsonl") == Ledger(tmp_path / "absent.jsonl").records == ()
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(whole[:-5])
    before = sorted(tmp_path.iterdir())
    assert len(Ledger.read(torn)) == len(Ledger(torn).records) == 5
    assert torn.read_bytes() == whole[:-5]
    assert sorted(tmp_path.iterdir()) == before


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(
    st.text().filter(lambda k: k not in ("n", "kind", "previous", "digest", "self")), VALUES, max_size=4
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.text(), FIELDS), max_size=5), st.data())
def test_any_records_survive_any_cut(facts: list[tuple[str, dict[str, Any]]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        records = filled(path, facts).records
        assert Ledger.read(path) == records
        bytes_ = path.read_bytes() if path.exists() else b""
        cut = data.draw(st.integers(0, len(bytes_)))
        path.write_bytes(bytes_[:cut])
        kept = bytes_[:cut].count(b"\n")
        assert Ledger.read(path) == records[:kept]
        assert filled(path, facts).records == records
        assert path.read_bytes() == bytes_


# --- A torn tail ------------------------------------------------------------------------------------------------------


def test_a_cut_at_every_byte_of_the_last_three_records_loses_nothing_before(tmp_path: Path, whole: bytes) -> None:
    path, torn = tmp_path / "ledger.jsonl", tmp_path / "ledger.jsonl.torn"
    records = Ledger.read(tmp_path / "reference.jsonl")
    lines = whole.splitlines(keepends=True)
    for cut in range(sum(map(len, lines[:3])), len(whole) + 1):
        path.write_bytes(whole[:cut])
        torn.unlink(missing_ok=True)
        complete = whole[:cut].count(b"\n")
        tail = whole[:cut].rpartition(b"\n")[2]
        added = Ledger(path).append("after", cut=cut)
        assert Ledger.read(path) == (*records[:complete], added), f"cut {cut}"
        assert (torn.read_bytes() if torn.exists() else b"") == (tail + b"\n" if tail else b""), f"cut {cut}"
        path.write_bytes(whole[:cut])
        filled(path)
        assert path.read_bytes() == whole, f"cut {cut}"


def test_torn_tails_are_collected(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    for rubbish in (b'{"n', b"\0\0\0", b"\xff"):
        path.write_bytes(whole + rubbish)
        Ledger(path).append("x")
    assert (tmp_path / "ledger.jsonl.torn").read_bytes() == b'{"n\n\0\0\0\n\xff\n'


@pytest.mark.parametrize("start", [0, 40])
def test_a_last_line_with_blocks_that_were_never_written_is_torn(start: int, tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    begin = whole[:-1].rfind(b"\n") + 1 + start
    path.write_bytes(whole[:begin] + bytes(30) + whole[begin + 30 :])
    assert len(Ledger.read(path)) == 5
    filled(path)
    assert path.read_bytes() == whole


# --- Damage -----------------------------------------------------------------------------------------------------------


def test_every_flipped_byte_is_refused_or_changes_nothing(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    records = Ledger.read(tmp_path / "reference.jsonl")
    refused = 0
    for offset in range(len(whole)):
        old = whole[offset]
        for new in {old ^ 1, old ^ 8, old ^ 32, old ^ 128, 0, 10} - {old}:
            path.write_bytes(whole[:offset] + bytes([new]) + whole[offset + 1 :])
            try:
                assert Ledger.read(path) == records, f"byte {offset}: {old} became {new} unseen"
            except LedgerDamaged as damage:
                line = whole[:offset].count(b"\n") + 1
                assert str(damage).startswith((f"{path}:{line}: ", f"{path}:{line + 1}: "))  # noqa: PT017
                refused += 1
    assert refused >= 5 * len(whole)


def test_damage_says_file_line_problem_and_hint_and_stays_as_it_is(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    lines = whole.splitlines(keepends=True)
    cases = {
        3: (lines[2].replace(b"91.25", b"91.26"), "the digest does not match the record"),
        2: (b"rubbish\n", "not valid JSON"),
        1: (b"[1]\n", "this is not a record"),
        4: (b"", "it does not follow the record before it"),
        6: (lines[5].replace(b"1.5", b"2.5"), "the digest does not match the record"),
        5: (b"[" * 100_000 + b"\n", "not valid JSON"),
    }
    for number, (replacement, problem) in cases.items():
        bad = b"".join([*lines[: number - 1], replacement, *lines[number:]])
        path.write_bytes(bad)
        match = rf"ledger\.jsonl:{number}: the ledger is damaged: .*{problem}[^$]*hint: .* the {number - 1} records"
        with pytest.raises(LedgerDamaged, match=match):
            Ledger(path)
        assert path.read_bytes() == bad
        assert not (tmp_path / "ledger.jsonl.torn").exists()


def test_a_record_of_another_ledger_or_twice_or_in_the_wrong_place_is_refused(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    lines = whole.splitlines(keepends=True)
    for order in ([0, 1, 1], [1, 0], [0, 2], [1], [0, 1, 2, 0]):
        path.write_bytes(b"".join(lines[i] for i in order))
        with pytest.raises(LedgerDamaged, match="it does not follow the record before it"):
            Ledger(path)
    record = json.loads(lines[0])
    body = {**{k: v for k, v in record.items() if k != "digest"}, "n": 7}
    forged = {**body, "digest": files.sha256(files.canonical_json(body))[:32]}
    path.write_bytes(files.canonical_json(forged) + b"\n")
    with pytest.raises(LedgerDamaged, match="it says n = 7"):
        Ledger(path)


def test_a_line_that_another_program_wrote_anew_is_refused(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text("\n".join(json.dumps(json.loads(line)) for line in whole.splitlines()) + "\n")
    with pytest.raises(LedgerDamaged, match="1: the ledger is damaged: the digest does not match"):
        Ledger(path)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=80))
def test_any_bytes_are_records_a_torn_tail_or_our_error(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        path.write_bytes(data)
        try:
            assert Ledger(path).append("x")["n"] == 1
        except LedgerDamaged as damage:
            assert "ledger.jsonl:1: " in str(damage)  # noqa: PT017
            assert path.read_bytes() == data


# --- Faults at every step ---------------------------------------------------------------------------------------------


def acknowledged(work: Callable[[Callable[[int], object]], None]) -> tuple[list[int], int]:
    """Run ``work`` in a child; returns the numbers that it acknowledged before it ended, and how it ended."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(lambda number: os.write(writer, bytes([number])))
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        numbers = list(pipe.read())
    return numbers, os.waitpid(pid, 0)[1]


@pytest.mark.parametrize("how", ["exit", "kill", "kill after", "torn write"])
@pytest.mark.parametrize("torn", [b"", b'{"digest":"0123'])
def test_a_kill_at_every_step_loses_nothing_acknowledged_and_resumes_to_the_same_bytes(
    how: str, torn: bytes, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    records = Ledger.read(tmp_path / "reference.jsonl")

    def work(acknowledge: Callable[[int], object]) -> None:
        ledger = Ledger(path)
        for kind, fields in FACTS[len(ledger.records) :]:
            acknowledge(ledger.append(kind, **fields)["n"])

    for at in itertools.count():
        path.write_bytes(torn)
        with monkeypatch.context() as patch:
            patch.setattr(files, "_step", dying(at, how))
            numbers, status = acknowledged(work)
        assert status != 256, "the child failed instead of dying"
        found = Ledger.read(path)
        assert found == records[: len(found)], f"step {at}"
        assert len(numbers) <= len(found) <= len(numbers) + 1, f"step {at}"
        assert filled(path).records == records, f"step {at}"
        assert path.read_bytes() == whole, f"step {at}"
        if status == 0:
            break
    assert at >= 3 * len(FACTS)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("torn", [b"", b'{"digest":"0123'])
def test_an_error_at_every_step_leaves_a_ledger_that_goes_on(
    code: int, short: bool, torn: bytes, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    kind_of_error = files.DiskFull if code == errno.ENOSPC else OSError
    match = r"bytes are needed: .*ledger\.jsonl" if code == errno.ENOSPC else "Input/output error"
    failures = 0
    for at in itertools.count():
        path.write_bytes(torn)
        ledger = Ledger(path)
        with monkeypatch.context() as patch:
            patch.setattr(files, "_step", failing(at, code, short))
            failed = None
            for kind, fields in FACTS:
                try:
                    ledger.append(kind, **fields)
                except OSError as error:
                    failed = error
                    break
        if failed is None:
            break
        failures += 1
        with pytest.raises(kind_of_error, match=match):
            raise failed
        done = len(ledger.records)
        assert len(Ledger.read(path)) in (done, done + 1), f"step {at}"
        for kind, fields in FACTS[done:]:  # the same object goes on, once there is room again
            ledger.append(kind, **fields)
        assert path.read_bytes() == whole, f"step {at}"
    assert failures >= 3 * len(FACTS)


def test_a_second_writer_is_noticed_and_nothing_of_its_work_is_cut(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    for before in (b"", whole, whole[:-3]):
        path.write_bytes(before)
        first, second = Ledger(path), Ledger(path)
        second.append("x")
        now = path.read_bytes()
        with pytest.raises(LedgerDamaged, match=r"bytes where this writer left .*: another process wrote to it"):
            first.append("x")
        assert path.read_bytes() == now
        files.truncate(path, 0)
        if before:
            with pytest.raises(LedgerDamaged, match="it has 0 bytes where this writer left"):
                second.append("y")
