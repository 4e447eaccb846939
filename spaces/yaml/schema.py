"""A JSON schema of ``space.yaml`` for editors, generated from what the readers ask for.

A reader asks for every key it knows, whether the file has it or not. So reading some files with a :class:`Recorder`
writes down all keys and their types; nothing is said twice, and the schema cannot fall behind the reader.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from spaces.yaml.errors import Problems

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "string"}
_VALUE: dict[str, Any] = {"type": ["number", "string", "boolean"]}
_CONDITION = {"anyOf": [_VALUE, {"type": "array", "items": _VALUE}, {"type": "object"}]}
_OPTION: dict[str, Any] = {
    "description": "a value, or what may be chosen",
    "anyOf": [
        _VALUE,
        {
            "type": "object",
            "properties": {
                "choice": {"type": "array", "minItems": 1},
                "range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
                "tie": {"type": "string", "description": "the name of a choice written earlier"},
                "per": {"enum": ["network", "stage", "block", "layer"]},
                "when": {"type": "object", "additionalProperties": _CONDITION},
                "else": _VALUE,
            },
        },
        {  # a precision in the long form, or parts of one that are choices of their own
            "type": "object",
            "required": ["weights", "inputs"],
            "properties": {
                "split": {"type": "boolean", "description": "weights and inputs hold choices"},
                "weights": {"type": "object"},
                "inputs": {"type": "object"},
            },
        },
    ],
}


class Recorder(Problems):
    """Notes what is asked for: path, numbers in it written as ``*`` -> (type, names it may have)."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.paths: dict[str, tuple[str, tuple[str, ...]]] = {}

    def asked(self, path: str, kind: str, among: Iterable[str] | None = None) -> None:
        """Keep the most telling of what was said of a path."""
        general = re.sub(r"\.\d+(?=\.|$)", ".*", path)
        known, names = self.paths.get(general, ("any", ()))
        if known == "any":
            known = kind
        self.paths[general] = (known, tuple(sorted({*names, *(among or ())})))


def schema(readings: Mapping[str, Collection[Recorder]], free: Collection[str] = ()) -> dict[str, Any]:
    """The schema of files of these families: family -> recorders that read files of it.

    ``free``: paths below which names are the user's own.
    """
    every = [recorder for recorders in readings.values() for recorder in recorders]
    whole = keys(every, "space", free)
    whole["properties"]["model"] = {
        "type": "object",
        "required": ["family"],
        "properties": {"family": {"enum": sorted(readings)}},
    }
    whole["allOf"] = [
        {
            "if": {"properties": {"model": {"required": ["family"], "properties": {"family": {"const": family}}}}},
            "then": {"properties": {"model": keys(recorders, "space.model", free)}},
        }
        for family, recorders in sorted(readings.items())
    ]
    return {"$schema": DIALECT, "title": "space.yaml", "required": ["model"], **whole}


def keys(recorders: Collection[Recorder], path: str, free: Collection[str]) -> dict[str, Any]:
    """The schema of the mapping at ``path``: exactly the keys that were asked for there."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for recorder in recorders:
        for asked, (kind, names) in recorder.paths.items():
            outer, _, key = asked.rpartition(".")
            if outer == path:
                known = found.get(key, ("any", ()))
                found[key] = (kind if known[0] == "any" else known[0], tuple(sorted({*known[1], *names})))
    if not found:  # nobody asked for keys here: they are names of the user's own, each for the same kind of thing
        owns = {
            p.removeprefix(f"{path}.").split(".")[0] for r in recorders for p in r.paths if p.startswith(f"{path}.")
        }
        inner = [keys(recorders, f"{path}.{name}", free) for name in sorted(owns)]
        merged = {key: what for one in inner for key, what in one["properties"].items()}
        return {"type": "object", "additionalProperties": {**inner[0], "properties": merged}}
    properties = {key: _typed(recorders, f"{path}.{key}", *said, free) for key, said in found.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _typed(
    recorders: Collection[Recorder], path: str, kind: str, names: Collection[str], free: Collection[str]
) -> dict[str, Any]:
    inside = any(asked.startswith(f"{path}.") for recorder in recorders for asked in recorder.paths)
    if path in free or (kind == "any" and not inside):
        return {}
    if kind == "strings":
        return {"type": "array", "items": {"enum": list(names)} if names else {"type": "string"}}
    if kind == "option":
        return _OPTION
    if kind in _PLAIN:
        return {"enum": list(names)} if names else {"type": _PLAIN[kind]}
    if any(asked.startswith(f"{path}.*") for recorder in recorders for asked in recorder.paths):
        return {"type": "array", "items": keys(recorders, f"{path}.*", free)}
    return keys(recorders, path, free)
