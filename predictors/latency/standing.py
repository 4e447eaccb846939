"""How tensors lie between the layers of an outline, as exports write them: pictures channel by channel, or tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spaces import INPUT, Record

READS: Mapping[str, str] = {
    **dict.fromkeys(("conv", "max_pool", "avg_pool", "upsample", "shuffle", "flatten"), "picture"),
    **dict.fromkeys(
        ("class_token", "tokens", "sinusoid", "rotary", "attention", "norm", "rms_norm", "linear", "first"), "tokens"
    ),
}
"""Kind -> how it wants its input; the others take it as it lies."""
_WRITES: Mapping[str, str] = {**READS, "zero": "picture", "embedding": "tokens"}


def standing(records: Sequence[Record]) -> dict[str, str]:
    """Name of each tensor -> ``picture`` or ``tokens``."""
    found = {INPUT: "picture"}
    for r in records:
        found[r.path] = _WRITES.get(r.kind, found[r.inputs[0]])
    return found
