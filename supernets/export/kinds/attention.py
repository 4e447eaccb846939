"""Attention, and the waves and turns that say where a token stands; with floats."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from spaces import Layer
from supernets.export.writer import GraphWriter
from supernets.functions.attention import angles, waves


def attention(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """One operator: a tenth to a quarter faster than its parts (64 to 197 tokens)."""
    inputs = [writer.read(name, "tokens") for name in layer.inputs]
    writer.node(
        "Attention", inputs, output, q_num_heads=layer.heads, kv_num_heads=layer.kv_heads or layer.heads,
        is_causal=int(layer.causal),
    )  # fmt: skip
    return "tokens"


def rotary(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """One operator, over tables that all layers of as wide heads share."""
    t, width = layer.h * layer.w, layer.c_in // layer.heads
    found = angles(t, width, torch.zeros(()))
    tables = [
        writer.constant(f"rotary:{name}:{t}x{width}", wave.numpy())
        for name, wave in (("cos", found.cos()), ("sin", found.sin()))
    ]
    places = writer.constant(f"rotary:places:{t}", np.tile(np.arange(t), (writer.batch, 1)))
    inputs = [writer.read(layer.inputs[0], "tokens"), *tables, places]
    writer.node("RotaryEmbedding", inputs, output, interleaved=1, num_heads=layer.heads)
    return "tokens"


def sinusoid(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """A constant added."""
    added = writer.constant(f"{layer.path}.waves", waves(layer.h * layer.w, layer.c_in).numpy())
    writer.node("Add", [writer.read(layer.inputs[0], "tokens"), added], output)
    return "tokens"
