"""The ledger of a run: append-only JSON lines, each chained to the one before by its digest.

A record is ``{"n", "kind", "previous", "digest", ...}`` as canonical JSON and a newline. ``n`` counts from 1 and is the
line number; ``digest`` is the first half of the SHA-256 over the record without it; ``previous`` is the digest before.

What a crash can leave behind, a *torn tail*, is told apart from damage. A crash leaves a last line that lacks its
newline, or (after a power cut) has blocks of zeros in it; nobody was told that such a record is written, so it is set
aside before the next append. Anything else that does not verify was once whole: it is refused, never repaired.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas import files

Record = dict[str, Any]

RESERVED = frozenset({"n", "kind", "previous", "digest"})
START = "0" * 32  # what the first record gives as the digest before it
_ZEROS = bytes(8)  # blocks that never reached the disk read as zeros; one flipped byte is not such a block


class LedgerDamaged(ValueError):
    """A ledger that was whole once and is not now; the message names file, line and what is wrong."""


class Ledger:
    """The records of one run. One process may append at a time: hold the lock of the run.

    Opening reads and verifies everything and changes nothing.

    Raises:
        LedgerDamaged: a record does not verify, and is not a torn tail.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = path.read_bytes() if path.exists() else b""
        self._records, self._end = _verify(path, data)
        self._tail = data[self._end :]  # what may stand after the last good record without being a surprise

    @staticmethod
    def read(path: Path) -> tuple[Record, ...]:
        """The records of a file that another process may be writing to; none if there is no file."""
        return Ledger(path).records

    @property
    def records(self) -> tuple[Record, ...]:
        """All records, oldest first."""
        return tuple(self._records)

    def of(self, kind: str) -> list[Record]:
        """The records of one kind, oldest first."""
        return [record for record in self._records if record["kind"] == kind]

    def last(self, kind: str) -> Record | None:
        """The newest record of one kind, or None."""
        return next((record for record in reversed(self._records) if record["kind"] == kind), None)

    def append(self, kind: str, /, **fields: Any) -> Record:
        """Write one record, durable when this returns. Returns it as a later reader will see it (tuples are lists).

        After an error nothing was acknowledged: what may have reached the file is set aside by the next append.

        Raises:
            ValueError: a reserved field name, or a value that JSON cannot hold, such as NaN.
            DiskFull: there is no room.
            LedgerDamaged: another process wrote to the file since it was read.
        """
        if taken := sorted(RESERVED & fields.keys()):
            raise ValueError(f"a ledger record has its own {', '.join(taken)}; rename that field of {kind!r}")
        previous = self._records[-1]["digest"] if self._records else START
        record = {**fields, "kind": kind, "n": len(self._records) + 1, "previous": previous}
        line = files.canonical_json({**record, "digest": _digest(files.canonical_json(record))})
        written: Record = _check(line, record["n"], previous)
        self._set_tail_aside()
        self._tail = line + b"\n"  # if the append fails, any part of it may be in the file
        files.append_line(self.path, line)
        self._tail = b""
        self._end += len(line) + 1
        self._records.append(written)
        return written

    def _set_tail_aside(self) -> None:
        size_bytes = self.path.stat().st_size if self.path.exists() else 0
        if size_bytes == self._end:
            return
        with self.path.open("rb") as file:
            file.seek(self._end)
            tail = file.read()
        if not tail or not self._tail.startswith(tail):
            problem = f"it has {size_bytes} bytes where this writer left {self._end}: another process wrote to it"
            raise _damaged(self.path, len(self._records) + 1, problem)
        files.append_line(self.path.with_name(f"{self.path.name}.torn"), tail.removesuffix(b"\n"))
        files.truncate(self.path, self._end)


def _damaged(path: Path, line: int, problem: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"{path}:{line}: the ledger is damaged: {problem}\n"
        f"  hint: keep the file, nothing was changed in it; the {line - 1} records before this line are intact"
    )


def _digest(body: bytes) -> str:
    return files.sha256(body)[:32]


def _check(line: bytes, number: int, previous: str) -> Record:
    """The record in a line, or ValueError with what is wrong with it."""
    record = files.parse_json(line)
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise ValueError("this is not a record")
    digest = record.get("digest")
    # Of the bytes as they stand, not of the values: a change that JSON would read over is a change too.
    if digest != _digest(line.replace(f'"digest":"{digest}",'.encode(), b"", 1)):
        raise ValueError("the digest does not match the record")
    if record.get("previous") != previous:
        raise ValueError("it does not follow the record before it")
    if record.get("n") != number:
        raise ValueError(f"it says n = {record.get('n')!r}")
    return record


def _verify(path: Path, data: bytes) -> tuple[list[Record], int]:
    """The good records and where they end, in bytes; what comes after that is a torn tail."""
    records: list[Record] = []
    end = 0
    previous = START
    *lines, tail = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            record = _check(line, number, previous)
        except ValueError as error:
            if number == len(lines) and not tail and _ZEROS in line:
                return records, end
            raise _damaged(path, number, str(error)) from None
        records.append(record)
        previous = record["digest"]
        end += len(line) + 1
    if _goes_on_after_a_record(tail):
        raise _damaged(path, len(records) + 1, "something other than a newline follows the record")
    return records, end


def _goes_on_after_a_record(tail: bytes) -> bool:
    """Whether a whole record and then something else stand here: a write that was cut short cannot leave that."""
    text = tail.decode(errors="replace")
    try:
        return json.JSONDecoder().raw_decode(text)[1] < len(text)
    except (ValueError, RecursionError):
        return False
