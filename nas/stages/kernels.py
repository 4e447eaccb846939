"""Stage 3, where others measured single kernels: what a search on their device, which is not here, prices layers by."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nas import files
from nas.problems import A_TABLE, of_disk
from predictors.latency import LatencyModel, Table, TableError, Target, Timing, additive
from predictors.latency.kernels import Kernels, held_out, kind
from predictors.latency.key import BoundaryKey, Key, LayerKey
from predictors.latency.plan import distinct_keys
from predictors.metrics import errors
from spaces import Space

SCHEMA = "imported kernels 1"
"""Of the file that :func:`to_json` makes."""
_TYPES = {"layer": LayerKey, "boundary": BoundaryKey}


def to_json(kernels: Kernels) -> dict[str, Any]:
    """Plain data; :func:`recorded` reads it back."""
    names = {type_: name for name, type_ in _TYPES.items()}
    rows = [
        {"is": names[type(key)], **asdict(key), "ms": ms}
        for key, ms in zip(kernels.keys, kernels.ms.tolist(), strict=True)
    ]
    return {
        "schema": SCHEMA, "unit": "ms", "rows": rows, "left_out": dict(kernels.left_out), "untimed": kernels.untimed,
    }  # fmt: skip


def recorded(path: Path) -> Kernels | None:
    """The kernels of a file, or ``None`` if it is none of kernels. Raises :class:`TableError` if it is damaged."""
    try:
        data = files.read_json(path)
    except OSError as error:
        raise TableError(of_disk(error, A_TABLE)) from error
    except ValueError as error:
        raise TableError(str(error)) from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        return None
    inner = {name: value for name, value in data.items() if name != "digest"}
    if data.get("digest") != files.sha256(files.canonical_json(inner)):
        raise TableError(f"{path}: not what was written, its digest differs [damaged]")
    try:
        rows = [dict(row) for row in data["rows"]]
        ms = np.array([float(row.pop("ms")) for row in rows])
        keys: list[Key] = [_TYPES[row.pop("is")](**row) for row in rows]
        if data["unit"] != "ms" or not len(ms) or not (np.isfinite(ms) & (ms > 0)).all():
            raise ValueError("times that are none")
        return Kernels(tuple(keys), ms, dict(data["left_out"]), int(data["untimed"]))
    except (KeyError, TypeError, ValueError) as error:
        raise TableError(f"{path}: damaged table: {error!r}") from error


def priced(space: Space, target: Target, kernels: Kernels, path: Path) -> tuple[LatencyModel, dict[str, Any]]:
    """(the sum of kernels as a latency model, its error on kernels that a fit did not see).

    Raises :class:`TableError` as :func:`needed` does.
    """
    keys = needed(space, target, kernels, path)
    _, predicted, measured = held_out(kernels, 0)
    facts = errors("kernels", predicted, measured)
    rows = {str(key): Timing(ms, ms, 0.0, 1) for key, ms in zip(kernels.keys, kernels.ms.tolist(), strict=True)}
    found = kernels.interpolation()
    absent = [key for key in keys if str(key) not in rows]
    others = dict(zip(map(str, absent), found.ms(absent).tolist(), strict=True))
    table = Table({"kernels": path.name}, 0.0, rows, {}, predicted=others, interpolation=found)
    model = additive(space, table, target.menu, target.batch, facts["mape"] / 100)
    about = {"table": str(path), "kernels": len(keys), "beyond": sum(kernels.beyond(keys))}
    return model, {**facts, **model.to_json(), **about}


def needed(space: Space, target: Target, kernels: Kernels, path: Path) -> list[Key]:
    """The keys of the space's layers.

    Raises :class:`TableError` if there is no row of a kind of layer that the space has, or the target takes several
    images per call.
    """
    if target.batch != 1:
        raise TableError(f"{path}: kernels of one image, but the experiment asks for batch {target.batch} [foreign]")
    keys = distinct_keys(space, target)
    lacking = sorted(set(map(kind, keys)) - kernels.kinds())
    if lacking:
        raise TableError(
            f"{path}: has no kernel of: {', '.join(lacking)}; space {space.name} has such layers [missing-row]\n"
            f"  hint: it has: {', '.join(sorted(kernels.kinds()))}"
        )
    return keys


def errors_by_kind(kernels: Kernels, seed: int) -> dict[str, dict[str, Any]]:
    """Of each kind of kernel, how far kernels that were not seen are off."""
    keys, predicted, measured = held_out(kernels, seed)
    rows: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        rows[kind(key)].append(i)
    return {name: errors("kernels", predicted[at], measured[at]) for name, at in sorted(rows.items())}
