"""The spaces of the zoo made small enough for tests: the same choices, fewer channels, places and layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from spaces import Space
from spaces.load import load
from spaces.yaml.writer import dump
from tests.examples import space_of

Change = Callable[[Any], Any]


def _numbers(change: Callable[[int], int]) -> Change:
    """Every whole number in a field changed, of a constant, a choice or a range."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: changed(v) if k in ("choice", "range") else v for k, v in value.items()}
        if isinstance(value, list):
            return [changed(v) for v in value]
        return change(value) if type(value) is int else value

    return changed


def _by(factor: int) -> Change:
    return _numbers(lambda number: -(-number // factor))


def _to(value: Any) -> Change:
    return lambda _: value


_MOBILE = {"width": _by(8), "input": _to([3, 24, 24]), "classes": _to(5)}
_RESOLUTION = {"resolution": _to({"choice": [12, 18, 24]}), "depth": _numbers(lambda n: min(n, 3))}
_CELL = {"width": _to(4), "input": _to([3, 8, 8]), "stack": _to(["normal", "reduce", "normal"])}
_WORDS = {"vocabulary": _to(19), "tokens": _to(6)}
_HAT = {**_WORDS, "attention": _to(16), "embed": _by(32), "ffn": _by(64)}
CHANGES: Mapping[str, Mapping[str, Change]] = {
    "attentivenas": {**_MOBILE, **_RESOLUTION},
    "autoformer_tiny": {
        "embed": _by(24), "head_dim": _to(4), "depth": _to({"choice": [1, 2, 3]}), "input": _to([3, 8, 8]),
        "patch": _to(4), "classes": _to(5),
    },
    "bert_mos": {**_WORDS, "embed": _to(24), "hidden": _by(20), "ffn": _by(64), "depth": _to(2), "heads": _to(3)},
    "bignas": {**_MOBILE, **_RESOLUTION},
    "darts": _CELL,
    "digits": {},
    "eqnet_resnet18": {"width": _by(16), "input": _to([3, 16, 16]), "classes": _to(5)},
    "fbnet": {**_MOBILE, "width": _numbers(lambda n: 2 * -(-n // 16))},
    "gpt_tangle": {**_WORDS, "embed": _to({"choice": [24, 48, 72]}), "depth": _to({"choice": [1, 2, 3]})},
    "hat": _HAT,
    "hat_transformer": _HAT,
    "nas_bench_macro": {"width": _by(16), "input": _to([3, 16, 16])},
    "nasbench201": {**_CELL, "stack": _to([{"normal": 2}, "residual", "normal"])},
    "ofa_mobilenetv3": {**_MOBILE, **_RESOLUTION, "depth": _to({"choice": [1, 2, 3]})},
    "quantnas_sr": {"channels": _to(12), "cells": _to(2), "input": _to([3, 6, 6])},
    "sharpdarts": _CELL,
    "tangle_cell": {"width": _to(4), "input": _to([1, 8, 8]), "hidden": _to(8)},
    "tangle_conv": {
        "out": _numbers(lambda n: n if n == 10 else n // 8), "input": _to([3, 12, 12]), "padding": _to(3),
    },
}  # fmt: skip
"""Space of the zoo -> key of its file -> what becomes of its value, wherever the key stands in the model."""

GRAPHS: Mapping[str, str] = {
    "graph_joined": """
model:
  family: graph
  input: [3, 9, 9]
  classes: 4
  layers:
    - conv: {out: {choice: [4, 6, 8]}, kernel: {choice: [3, 5]}}
    - dense: {layers: [{conv: {out: {choice: [2, 4]}, kernel: 3}}], times: 3}
    - depthwise: {kernel: {choice: [3, 5]}}
    - activation: tanh
    - conv: {out: 8, kernel: 1}
    - split:
        merge: concat
        branches:
          a: [conv: {out: {choice: [2, 4]}, groups: {choice: [1, 2]}}]
          b: [conv: {out: {choice: [4, 8]}, dilation: 2, norm: false, activation: hard_swish}]
          c: [pool: {kind: avg, kernel: 2, stride: 1}]
    - norm
    - rms_norm
    - position
    - pool: {kind: max, kernel: 2, stride: 2}
    - optional: [conv: {out: 6, kernel: 3, bias: false, norm: false}]
    - flatten
    - linear: {out: {choice: [6, 9]}, activation: sigmoid}
    - linear: 4
""",
    "mobile_blocks": """
model:
  family: mobilenet
  input: [3, 12, 12]
  classes: 4
  stem: {width: 8, stride: 1}
  stages:
    - {depth: {choice: [1, 2]}, width: {choice: [8, 16]}, stride: 2, kernel: {choice: [3, 5], per: block},
       expand: {choice: [1, 2]}, squeeze: {choice: [true, false]},
       block: {choice: [inverted, fused, dense], per: block}}
    - {depth: 2, width: 16, block: {choice: [fused, inverted]}, shortcut: true,
       activation: {choice: [hard_swish, relu, relu6], per: block}}
""",
    "gpt_grouped": """
model:
  family: gpt
  tokens: 6
  vocabulary: 19
  embed: {choice: [16, 32]}
  depth: {choice: [1, 2]}
  heads: {choice: [4, 8]}
  kv_heads: {choice: [1, 2, 4], per: block}
  positions: rotary
  norm: rms
  mlp_ratio: 2
""",
    "transformer_grouped": """
model:
  family: transformer
  tokens: 5
  vocabulary: 19
  encoder: {depth: 1, embed: 16, heads: 4, kv_heads: {choice: [1, 4]}, ffn: 24}
  decoder: {depth: {choice: [1, 2]}, norm: rms, embed: 12, heads: {choice: [2, 4], per: block},
    head_dim: {choice: [2, 4], per: block},
    kv_heads: {tie: heads}, cross_heads: 4, cross_kv_heads: {choice: [1, 2], per: block}, ffn: 16}
""",
    "graph_pictures": """
model:
  family: graph
  input: [2, 6, 6]
  resolution: {choice: [4, 6]}
  classes: 4
  layers:
    - conv: {out: {choice: [4, 8]}, stride: {choice: [1, 2]}, norm: false}
    - repeat: {choice: [1, 2]}
      of:
        - residual: [conv: {out: {choice: [3, 5]}}, conv: {out: {tie: layers.0.out}, activation: none}]
    - upsample: 2
    - shuffle: 2
    - attention: 1
    - conv: {out: 6, stride: 2}
    - flatten
    - linear: 4
""",
    "graph_tokens": """
model:
  family: graph
  input: [3, 8, 8]
  classes: 4
  layers:
    - conv: {out: {choice: [4, 8]}, kernel: 3, stride: 2}
    - tokens
    - class_token
    - position
    - residual: [norm, {attention: {heads: {choice: [1, 2]}}}]
    - residual: [rms_norm, {attention: {heads: 4, kv_heads: {choice: [1, 2, 4]}}}]
    - residual: [{linear: {out: {choice: [5, 7]}, activation: gelu}}, {linear: {out: {tie: layers.0.out}}}]
    - one_of:
        first: [first]
        pool: [pool]
    - conv: {out: 6, kernel: 1, norm: false, activation: relu6}
    - linear: 4
""",
}
"""Layers and joints that no space of the zoo has."""


def small(name: str) -> Space:
    """A space of the zoo, small, or one of :data:`GRAPHS`."""
    if name in GRAPHS:
        return space_of(GRAPHS[name], name)
    document = dict(load(name).document or {})
    document.pop("notation", None)
    return space_of(dump({**document, "model": _changed(document["model"], CHANGES[name])}), name)


EVERY_EXPORTED = sorted({*CHANGES, *GRAPHS} - {"eqnet_resnet18"})
"""All but the space that chooses bits of weights and of inputs by themselves."""


def elastic_in_precision(name: str) -> Space:
    """The small space with a precision per layer."""
    if name in GRAPHS:
        return space_of(f"{GRAPHS[name]}\nprecision: {{choice: [float, w8a8, w4a8], per: layer}}\n", name)
    precision = {"choice": ["float", "w8a8", "w4a8"], "per": "layer"}
    return space_of(dump({**(small(name).document or {}), "precision": precision}), name)


def _changed(value: Any, changes: Mapping[str, Change]) -> Any:
    if isinstance(value, dict):
        return {k: changes[k](v) if k in changes else _changed(v, changes) for k, v in value.items() if k != "notation"}
    return [_changed(item, changes) for item in value] if isinstance(value, list) else value


def inputs(space: Space, count: int, seed: int = 0) -> Tensor:
    """Normal noise (count, c, h, w), or token numbers (count, t) or (count, 2, t)."""
    generator = torch.Generator().manual_seed(seed)
    c, h, w = space.outline.input_shape
    if any(r.kind == "embedding" for r in space.outline.records):
        numbers = torch.randint(0, space.outline.classes, (count, c, h), generator=generator)
        return numbers[:, 0] if c == 1 else numbers
    return torch.randn(count, c, h, w, generator=generator)
