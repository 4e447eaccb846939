"""The store: what stages made, by the digest of what they were made from.

``root/<stage>/<digest>/`` holds one artefact. It is complete once its ``manifest.json`` is there, which is written
last, and never changes after that. While a stage runs, the folder also holds its checkpoints.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from nas import files

_CHECKPOINT = re.compile(r"checkpoint-([1-9][0-9]*)\.(bin|json)")
_MANIFEST = "manifest.json"


class StoreDamaged(ValueError):
    """A file of the store is not what was written; the message names it.

    What the store holds can be made again: remove the folder of the file and repeat the command.
    """


class Store:
    """A folder of artefacts, shared by all searches."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entry(self, stage: str, inputs: dict[str, Any]) -> Entry:
        """The place of the artefact that ``stage`` makes from ``inputs`` (JSON values), whether it is there or not."""
        return Entry(self.root, stage, inputs)


class Entry:
    """One artefact: made under :meth:`lock` by ``write`` and ``finish``, then immutable.

    The way to use it: ``with entry.lock():``, then ask ``entry.complete``, for another process may have made it
    while this one waited.
    """

    def __init__(self, root: Path, stage: str, inputs: dict[str, Any]) -> None:
        text = files.canonical_json(inputs)
        self.stage = files.safe_name(stage)
        self.inputs: dict[str, Any] = files.parse_json(text)  # as a manifest gives them back; safe from the caller
        self.digest = files.sha256(text)[:16]
        self.path = root / stage / self.digest
        self._files: dict[str, dict[str, Any]] = {}  # what this object wrote: name -> sha256, bytes
        self._manifest: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Entry({self.stage}/{self.digest})"

    def lock(self) -> AbstractContextManager[object]:
        """One writer; waits for the one before. Not reentrant. What is complete is only read, and needs no lock."""
        if self.complete:
            return nullcontext()
        files.make_folder(self.path)
        return files.Lock(self.path / ".lock", wait=True)

    # --- The artefact ---

    @property
    def complete(self) -> bool:
        """Whether the artefact is there. StoreDamaged if its manifest is there and damaged."""
        if self._manifest is None and (self.path / _MANIFEST).exists():
            manifest = _read_sealed(self.path / _MANIFEST)
            if (manifest.get("stage"), manifest.get("inputs")) != (self.stage, self.inputs):
                raise StoreDamaged(f"{self.path / _MANIFEST}: belongs to another stage or other inputs")
            self._manifest = manifest
        return self._manifest is not None

    @property
    def facts(self) -> dict[str, Any]:
        """What was said on finishing. RuntimeError while the artefact is not complete."""
        if not self.complete or self._manifest is None:
            raise RuntimeError(f"{self.path}: this artefact is not complete, it has no facts yet")
        return dict(self._manifest["facts"])

    def write(self, name: str, data: bytes) -> str:
        """Write one file atomically and return its SHA-256. RuntimeError once the artefact is complete."""
        self._refuse_if_complete()
        path = self._file(name)
        self._files.pop(name, None)  # if this fails half way, the file is not part of the artefact
        digest = files.write_atomic(path, data)
        self._files[name] = {"sha256": digest, "bytes": len(data)}
        return digest

    def write_json(self, name: str, value: object) -> str:
        """Write one file as canonical JSON."""
        return self.write(name, files.canonical_json(value))

    def read(self, name: str) -> bytes:
        """One file, verified against the manifest, or against what this object wrote.

        Raises:
            FileNotFoundError: there is no such file in this artefact.
            StoreDamaged: it is not what was written, or is gone.
        """
        path = self._file(name)
        known = self._manifest["files"] if self.complete and self._manifest else self._files
        if name in known:
            return _read_verified(path, known[name])
        if self.complete:
            raise FileNotFoundError(f"{path}: not a file of this artefact; it has {', '.join(sorted(known)) or 'none'}")
        return path.read_bytes()

    def read_json(self, name: str) -> Any:
        """The value in one JSON file, verified as in :meth:`read`."""
        data = self.read(name)
        try:
            return files.parse_json(data)
        except ValueError as error:
            raise ValueError(f"{self.path / name}: {error}") from None

    def finish(self, **facts: Any) -> None:
        """Declare the artefact complete with the files that this object wrote, and remove the checkpoints.

        ``facts`` are JSON values to find again in :attr:`facts`.
        """
        self._refuse_if_complete()
        manifest = {"stage": self.stage, "inputs": self.inputs, "files": self._files, "facts": facts}
        _write_sealed(self.path / _MANIFEST, manifest)
        # Only now: a kill in between must leave the artefact or the way to it. Left-overs after this do no harm.
        for path in self.path.iterdir():
            if _CHECKPOINT.fullmatch(path.name) or path.name.startswith(".tmp-"):
                files.remove(path)

    def _file(self, name: str) -> Path:
        if name == _MANIFEST or _CHECKPOINT.fullmatch(name):
            raise ValueError(f"{name!r} is a name that the store keeps for itself")
        return self.path / files.safe_name(name)

    def _refuse_if_complete(self) -> None:
        if self.complete:
            raise RuntimeError(f"{self.path}: this artefact is complete and never changes")

    # --- Checkpoints of a stage that can be resumed ---

    def checkpoint(self, data: bytes, meta: dict[str, Any]) -> None:
        """Keep ``data`` and ``meta`` (JSON values) to resume from. The last two are kept, older ones removed."""
        self._refuse_if_complete()
        number = max(self._numbers("bin") + self._numbers("json"), default=0) + 1
        digest = files.write_atomic(self._numbered(number, "bin"), data)
        _write_sealed(
            self._numbered(number, "json"),
            {"entry": f"{self.stage}/{self.digest}", "sha256": digest, "bytes": len(data), "meta": meta},
        )
        kept = self._numbers("json")[-2:]  # those without a .json were never finished
        for suffix in ("json", "bin"):  # in this order: a .json without its data would look like damage
            for old in self._numbers(suffix):
                if old not in kept:
                    files.remove(self._numbered(old, suffix))

    def latest_checkpoint(self, warn: Callable[[str], None] | None = None) -> tuple[bytes, dict[str, Any]] | None:
        """Data and meta of the newest checkpoint, by number and not by time; None when there is none to resume from.

        One that does not verify is passed over for the one before, and ``warn`` is told so (by default
        ``warnings.warn``).
        """
        numbers = self._numbers("json")
        while numbers:
            number = numbers.pop()
            try:
                sealed = _read_sealed(self._numbered(number, "json"))
                if sealed["entry"] != f"{self.stage}/{self.digest}":
                    path, ours = self._numbered(number, "json"), f"{self.stage}/{self.digest}"
                    raise StoreDamaged(f"{path}: it is a checkpoint of {sealed['entry']}, not of {ours}")
                return _read_verified(self._numbered(number, "bin"), sealed), sealed["meta"]
            except StoreDamaged as damage:
                way_on = f"checkpoint {numbers[-1]}, the one before, is tried" if numbers else "no other is left"
                (warn or _warn)(f"{damage}; {way_on}")
        return None

    @property
    def newest_checkpoint(self) -> Path | None:
        """The file of the newest checkpoint, for messages."""
        numbers = self._numbers("json")
        return self._numbered(numbers[-1], "bin") if numbers else None

    def _numbered(self, number: int, suffix: str) -> Path:
        return self.path / f"checkpoint-{number}.{suffix}"

    def _numbers(self, suffix: str) -> list[int]:
        """The numbers of the checkpoint files with this suffix, oldest first."""
        names = [path.name for path in self.path.iterdir()] if self.path.exists() else []
        return sorted(int(m[1]) for name in names if (m := _CHECKPOINT.fullmatch(name)) and m[2] == suffix)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)


def _write_sealed(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object with the digest of itself, so that no changed bit of it goes unseen."""
    files.write_json(path, {**value, "digest": files.sha256(files.canonical_json(value))})


def _read_sealed(path: Path) -> dict[str, Any]:
    try:
        value = files.read_json(path)
    except (ValueError, FileNotFoundError) as error:
        raise StoreDamaged(str(error)) from None
    if not isinstance(value, dict) or value.pop("digest", None) != files.sha256(files.canonical_json(value)):
        raise StoreDamaged(f"{path}: the file is not what was written, its digest does not match")
    return value


def _read_verified(path: Path, known: dict[str, Any]) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StoreDamaged(f"{path}: the file is gone, {known['bytes']} bytes were written") from None
    if len(data) != known["bytes"]:
        raise StoreDamaged(f"{path}: the file has {len(data)} bytes, {known['bytes']} were written")
    if files.sha256(data) != known["sha256"]:
        raise StoreDamaged(f"{path}: the file is not what was written, its SHA-256 does not match")
    return data
