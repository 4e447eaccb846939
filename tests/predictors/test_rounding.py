"""Numbers of channels that integer kernels like: which layers have others, and that it is data."""

from __future__ import annotations

import pytest

from predictors.latency.rounding import MULTIPLES, Uneven, uneven
from spaces import Space
from spaces.load import from_text


def space(precision: str) -> Space:
    """Ordinary and depthwise convolutions, some of awkward widths."""
    return from_text(f"""
name: a
model:
  family: mobilenet
  input: [3, 16, 16]
  classes: 10
  stem: {{width: 6}}
  stages: [{{width: {{choice: [8, 10]}}, expand: {{choice: [2, 4]}}}}]
precision: {precision}
""")


def test_layers_that_may_run_on_integers_are_named_with_what_is_awkward() -> None:
    """Depthwise ones have a multiple of their own."""
    found = {layer.path: layer for layer in uneven(space("{choice: [float, w8a8]}"), "onnxruntime")}
    assert found["stem.conv"] == Uneven("stem.conv", "conv", (6,), 4)
    assert found["stages.0.0.project"].channels == (10,)
    depthwise = next(layer for layer in found.values() if layer.kind == "depthwise conv")
    assert depthwise.channels == (24,)
    assert str(found["stem.conv"]) == "stem.conv: 6 (conv: multiples of 4 are faster)"


@pytest.mark.parametrize(("precision", "backend"), [("float", "onnxruntime"), ("w8a8", "another")])
def test_nothing_is_said_of_floats_and_of_backends_that_nobody_measured(precision: str, backend: str) -> None:
    """Multiples are data by backend."""
    assert uneven(space(precision), backend) == []
    assert "another" not in MULTIPLES
