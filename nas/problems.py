"""What a command says when it cannot do what it was asked: place, problem, code and hint, whatever was raised."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.files import DiskFull
from spaces.yaml import nearest_file

_CODED = re.compile(r"\[[a-z0-9-]+\]$", re.MULTILINE)
A_TABLE = (
    "a table is RUNS/store/profile/*/table.json of a search of the same space, device section and seed; of others' "
    "kernels it is what nas profile --import made"
)
# By name: importing the classes would load all that raises them.
_CODES = {
    "StoreDamaged": ("store-damaged", "remove the folder of this file and repeat the command, which makes it again"),
    "TableError": ("wrong-table", A_TABLE),
    "TrainingDiverged": ("diverged", "lower train.learning_rate"),
    "ValueError": ("wrong-value", ""),
}
_MISSING, _WRONG_KIND, _FORBIDDEN = (
    (errno.ENOENT,),
    (errno.EISDIR, errno.ENOTDIR),
    (errno.EACCES, errno.EPERM, errno.EROFS),
)


def said(error: Exception) -> str:
    """The message of one of our errors, or of one of the disk, with a code."""
    if isinstance(error, DiskFull):
        needed = f"{error.needed_bytes} bytes"
        hint = f"free {needed} or more, then resume the run, or repeat the command"
        return f"{error.filename}: no room on the disk, {needed} are needed [disk-full]\n  hint: {hint}"
    if isinstance(error, OSError):
        return of_disk(error)
    message, name = str(error), type(error).__name__
    if _CODED.search(message):
        return message
    code, hint = _CODES.get(name, (re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(), ""))
    return f"{message} [{code}]" + (f"\n  hint: {hint}" if hint else "")


def of_disk(error: OSError, hint: str = "") -> str:
    """The message of an error of the disk, with this hint; of a missing file better with the nearest."""
    path = Path(str(error.filename or "?"))
    if path.name.startswith(".tmp-"):  # ours; the user knows its folder
        path = path.parent
    if error.errno in _MISSING:
        what, code, hint = "no such file or folder", "missing-file", nearest_file(path) or hint
    else:
        what = (error.strerror or str(error)).lower()
        code = "wrong-file" if error.errno in _WRONG_KIND else "no-permission" if error.errno in _FORBIDDEN else "disk"
    return f"{path}: {what} [{code}]" + (f"\n  hint: {hint}" if hint else "")


@contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Errors of the disk in here are about the ``path`` that was given with ``option``."""
    try:
        yield
    except DiskFull:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "name another place, one that can be written to"
        raise ValueError(f"{option} {path}: cannot be written: {reason} [not-writable]\n  hint: {hint}") from error
