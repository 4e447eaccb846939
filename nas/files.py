"""The one module that writes files: atomically, durably, one writer at a time.

Everything that changes the disk goes through :func:`_step`, so that a fault campaign can count, fail, shorten or kill
every single step. We assume of the disk: a rename is atomic, what was fsynced stays, and a file that was not fsynced
may lose any part of what was written to it. Locks need a file system with working ``flock``.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BLOCK = 4096  # bytes that a new folder takes on common file systems
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class DiskFull(OSError):
    """No room on the disk: ``filename`` says where, ``needed_bytes`` how much. What was there before is intact."""

    needed_bytes: int = 0


class Busy(RuntimeError):
    """Another process holds a lock; the message names its id and the lock file."""


def _step(name: str, path: Path, action: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Do one primitive step on ``path``. THE hook: tests replace it to inject faults; nothing else may.

    ``name`` is one of open, write, fsync, replace, ftruncate, mkdir, unlink, flock.
    """
    return action(*arguments, **options)


# --- Text and digests -------------------------------------------------------------------------------------------------


def sha256(data: bytes) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_name(name: str) -> str:
    """Return ``name`` if it can be one component of a path: ``[a-z0-9][a-z0-9._-]{0,63}``; ValueError otherwise."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name: 1 to 64 of a-z 0-9 . _ - are allowed, a letter or digit first")
    return name


def _not_json(value: object) -> str | None:
    """Say where and why ``value`` would not come back from JSON as it is; None if it would."""
    if value is None or isinstance(value, (str, int)):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f" is {value}, which is not a finite number"
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return f" has the key {key!r}, which is not text"
            if problem := _not_json(item):
                return f"[{key!r}]{problem}"
        return None
    if isinstance(value, (list, tuple)):
        return next((f"[{i}]{problem}" for i, item in enumerate(value) if (problem := _not_json(item))), None)
    return f" is of type {type(value).__name__}, which JSON has not"


def _to_json(value: object, **style: Any) -> bytes:
    try:
        if problem := _not_json(value):
            raise ValueError(f"value{problem}")
        return json.dumps(value, ensure_ascii=False, allow_nan=False, **style).encode()
    except RecursionError:
        raise ValueError("cannot write as JSON: the value is nested too deeply, or contains itself") from None
    except ValueError as error:
        raise ValueError(f"cannot write as JSON: {error}") from None


def canonical_json(value: object) -> bytes:
    """The one JSON text of a value: keys sorted, no spaces, UTF-8. Equal values of equal types have equal bytes.

    Raises:
        ValueError: NaN, infinity, a key that is not text, or a type that JSON has not; the message says where.
    """
    return _to_json(value, sort_keys=True, separators=(",", ":"))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def parse_json(data: bytes) -> Any:
    """The value in a JSON text. ValueError, and nothing else, on anything that is not strict and finite JSON."""
    try:
        return json.loads(data.decode(), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON: {error}") from None


def read_json(path: Path) -> Any:
    """The value in a JSON file. ValueError names the file; OSError when it cannot be read."""
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


# --- Writing ----------------------------------------------------------------------------------------------------------


@contextmanager
def _room_for(path: Path, needed_bytes: int) -> Iterator[None]:
    """Turn "disk full", "quota exceeded" and "file too large" into :class:`DiskFull`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        full = DiskFull(error.errno, f"no room on the disk, {needed_bytes} bytes are needed", str(path))
        full.needed_bytes = needed_bytes
        raise full from error


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = _step("open", path, os.open, path, flags | os.O_CLOEXEC, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make names that were created, renamed or removed in ``folder`` survive a power cut."""
    with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        _step("fsync", folder, os.fsync, descriptor)


def _write_and_sync(descriptor: int, path: Path, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # the kernel may take less than it was given: near a full disk, or above 2 GiB
        rest = rest[_step("write", path, os.write, descriptor, rest) :]
    _step("fsync", path, os.fsync, descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and its parents; nothing happens if it is there. OSError if something else is."""
    with _room_for(path, _BLOCK):
        for folder in reversed([p for p in (path, *path.parents) if not p.exists()]):
            with suppress(FileExistsError):  # another process was faster
                _step("mkdir", folder, os.mkdir, folder)
            _sync_folder(folder.parent)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "this is not a folder", str(path))


def new_folder(parent: Path, prefix: str) -> Path:
    """Make ``parent/prefix-<n>`` with n one above the highest there; no two callers ever get the same folder."""
    make_folder(parent)
    numbered = re.compile(rf"{re.escape(safe_name(prefix))}-([1-9][0-9]*)")
    number = max((int(found[1]) for p in parent.iterdir() if (found := numbered.fullmatch(p.name))), default=0)
    while True:
        number += 1
        folder = parent / f"{prefix}-{number}"
        with suppress(FileExistsError), _room_for(folder, _BLOCK):  # another process may be faster
            _step("mkdir", folder, os.mkdir, folder)
            _sync_folder(parent)
            return folder


def write_atomic(path: Path, data: bytes) -> str:
    """Write a whole file: after a crash at any instant ``path`` holds the old content or the new, never a mixture.

    Makes parent folders. Returns the SHA-256 of ``data``. When it fails, no temporary file stays; when it is killed, a
    ``.tmp-*`` may stay beside ``path``.

    Raises:
        DiskFull: there is no room. Any other OSError passes as it is.
    """
    with _room_for(path, len(data)):
        make_folder(path.parent)
        # In the same folder, for a rename across file systems is not atomic.
        temporary = path.with_name(f".tmp-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
                _write_and_sync(descriptor, temporary, data)
            _step("replace", path, os.replace, temporary, path)
        except BaseException:
            with suppress(OSError):
                _step("unlink", temporary, os.unlink, temporary)
            raise
        _sync_folder(path.parent)
    return sha256(data)


def write_json(path: Path, value: object, indent: int | None = None) -> str:
    """Write a value atomically: canonical, or with ``indent`` for people to read, keys in the order given."""
    data = canonical_json(value) if indent is None else _to_json(value, indent=indent) + b"\n"
    return write_atomic(path, data)


def append_line(path: Path, line: bytes) -> None:
    """Append ``line`` and a newline with one write, then fsync; makes the file, not its folder.

    When it fails, part of the line may be in the file: cut it off before the next append.
    """
    if b"\n" in line:
        raise ValueError(f"{path}: a line to append cannot contain a newline: {line[:60]!r}")
    with _room_for(path, len(line) + 1), _opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as descriptor:
        if not os.fstat(descriptor).st_size:
            _sync_folder(path.parent)  # the name first: then a file with content never vanishes
        _write_and_sync(descriptor, path, line + b"\n")


def truncate(path: Path, size_bytes: int) -> None:
    """Cut a file to its first ``size_bytes``, durably."""
    with _room_for(path, _BLOCK), _opened(path, os.O_WRONLY) as descriptor:
        _step("ftruncate", path, os.ftruncate, descriptor, size_bytes)
        _step("fsync", path, os.fsync, descriptor)


def remove(path: Path) -> None:
    """Remove a file if it is there. Not durable: after a power cut it may be back."""
    with suppress(FileNotFoundError):
        _step("unlink", path, os.unlink, path)


# --- One writer -------------------------------------------------------------------------------------------------------


class Lock:
    """One holder at a time, by ``flock`` on a file that holds the process id of its last holder and is never removed.

    The kernel frees the lock when the holder dies, however it dies; no timeout ever does. Not reentrant: a second
    lock on the same file is refused, or waits for ever, also inside one process. A child forked by the holder
    shares the lock and keeps it held while it lives.

    Raises:
        Busy: on entering, when another holds it and ``wait`` is false.
    """

    def __init__(self, path: Path, wait: bool = False) -> None:
        self.path = path
        self.wait = wait
        self._held: tuple[int, int] | None = None  # descriptor, process that took the lock

    def __enter__(self) -> Lock:
        if self._held:
            raise RuntimeError(f"{self.path}: this lock is already held by this very object")
        with _room_for(self.path, _BLOCK):
            descriptor = _step("open", self.path, os.open, self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                flags = fcntl.LOCK_EX if self.wait else fcntl.LOCK_EX | fcntl.LOCK_NB
                _step("flock", self.path, fcntl.flock, descriptor, flags)
                # Fixed width, overwritten in place: who is refused never reads half a number.
                _step("write", self.path, os.pwrite, descriptor, b"%-10d\n" % os.getpid(), 0)
            except BlockingIOError:
                holder = os.pread(descriptor, 11, 0).decode(errors="replace").strip() or "unknown"
                os.close(descriptor)
                raise Busy(f"{self.path}: held by process {holder}; stop it, or wait until it ends") from None
            except BaseException:
                os.close(descriptor)
                raise
        self._held = descriptor, os.getpid()
        return self

    def __exit__(self, *_: object) -> None:
        if self._held:
            descriptor, holder = self._held
            self._held = None
            if holder == os.getpid():  # in a forked child, only close: unlocking would free the parent's lock
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
