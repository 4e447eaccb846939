"""Keys and the work of networks: hand counts, and the vectorised count equal to the one of each network alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictors.latency.key import BoundaryKey, Key, LayerKey
from predictors.latency.weights import WeightFormats
from predictors.latency.work import Rows, Work, work
from spaces import Record, Space
from spaces.randomness import generator
from tests.examples import space_of
from tests.predictors.networks import CHAIN, NO_CHOICE, RESIDUAL, conv, expected_blocks, expected_work, head, network

FORMATS = WeightFormats({"float": "float", "w8a8": "w8a8", "w4a8": "w8a8"})


def work_of(space: Space, batch: int = 1) -> Work:
    """The work of the one network of a space without choices."""
    return work(space.outline.table(space.batch([NO_CHOICE])), FORMATS, batch)


def counts(parts: Iterable[tuple[Key, Rows]], row: int = 0) -> Counter[str]:
    """Key as text -> how often it occurs in the network of this row."""
    found: Counter[str] = Counter()
    for key, rows in parts:
        found[str(key)] += int((rows == row).sum())
    return +found


# --- Text -------------------------------------------------------------------------------------------------------------


def test_a_layer_key_reads_as_the_design_says() -> None:
    """The text form is part of the file format of tables."""
    key = LayerKey("conv", 3, 1, 64, 64, 28, 28, 1, "w8c", "u8", "u8", "relu")
    assert str(key) == "conv k3 s1 g1 64x64@28x28 b1 w8c/u8>u8 relu"
    wide = LayerKey("linear", 1, 1, 16, 10, 1, 2, 4, "f32", "f32", "f32", "none", groups=2)
    assert str(wide) == "linear k1 s1 g2 16x10@1x2 b4 f32/f32>f32 none"


def test_a_boundary_key_reads_as_the_design_says() -> None:
    """Operation, channels and plane."""
    assert str(BoundaryKey("quantize", 16, 8, 4)) == "quantize 16@8x4"


def test_every_field_of_a_layer_key_is_in_its_text() -> None:
    """Two keys with one text would share a row of the table."""
    base = LayerKey("conv", 3, 1, 8, 16, 4, 5, 1, "w8c", "u8", "u8", "relu")
    fields = dict(zip(LayerKey.__dataclass_fields__, vars(base).values(), strict=True))
    changes = {name: value + 1 if isinstance(value, int) else value + "x" for name, value in fields.items()}
    texts = {str(LayerKey(**{**fields, name: value})) for name, value in changes.items()}
    assert len(texts | {str(base)}) == len(fields) + 1


# --- Hand counts ------------------------------------------------------------------------------------------------------


def test_a_float_layer_then_an_integer_one_then_float_ones() -> None:
    """One conversion each way; the pool reads the stored codes as floats; only pool to classifier is a float link.
    What the first convolution leaves in blocks is turned back for the integer one, as the pooled values are.
    """
    done = work_of(network(conv("a", "input", 4, "float"), conv("b", "a", 8, "w8a8", stride=2), *head("b", "float")))
    assert counts(done.kernels) == {
        "conv k3 s1 g1 1x4@8x8 b1 f32/f32>f32 relu": 1,
        "conv k3 s2 g1 4x8@8x8 b1 w8c/u8>u8 relu": 1,
        "pool k1 s1 g1 8x8@4x4 b1 f32/f32>f32 none": 1,
        "linear k1 s1 g1 8x10@1x1 b1 f32/f32>f32 none": 1,
    }
    assert counts(done.boundaries) == {"quantize 4@8x8": 1, "dequantize 8@4x4": 1}
    assert (done.layers.tolist(), done.links.tolist(), done.blocks.tolist()) == ([4], [8], [[0, -8, 0]])


def test_integers_throughout_convert_the_input_alone() -> None:
    """The classifier gives floats by itself, so nothing is converted back."""
    done = work_of(network(conv("a", "input", 4, "w8a8"), conv("b", "a", 8, "w4a8", 5), *head("b", "w8a8")))
    assert counts(done.kernels) == {
        "conv k3 s1 g1 1x4@8x8 b1 w8c/u8>u8 relu": 1,
        "conv k5 s1 g1 4x8@8x8 b1 w8c/u8>u8 relu": 1,
        "pool k1 s1 g1 8x8@8x8 b1 f32/u8>u8 none": 1,
        "linear k1 s1 g1 8x10@1x1 b1 w8c/u8>f32 none": 1,
    }
    assert counts(done.boundaries) == {"quantize 1@8x8": 1}
    assert (done.layers.tolist(), done.links.tolist(), done.blocks.tolist()) == ([4], [0], [[0, 0, 0]])


def test_floats_throughout_convert_nothing() -> None:
    """The first layer's read of the network's input is no link: no kernel of ours has laid it out."""
    done = work_of(network(conv("a", "input", 4, "float"), conv("b", "a", 8, "float", stride=2), *head("b", "float")))
    assert counts(done.boundaries) == {}
    assert done.links.tolist() == [4 * 8 * 8 + 8 * 4 * 4 + 8]
    assert done.blocks.tolist() == [[4 * 8 * 8, 4 * 8 * 8 + 8 * 4 * 4 - 8, 0]]


def test_an_integer_first_layer_writes_codes_that_a_float_layer_converts() -> None:
    """An integer kernel can only write integers, so its float reader pays the way back."""
    done = work_of(network(conv("a", "input", 4, "w8a8"), conv("b", "a", 8, "float", stride=2), *head("b", "float")))
    assert counts(done.boundaries) == {"quantize 1@8x8": 1, "dequantize 4@8x8": 1}
    assert counts(done.kernels)["conv k3 s1 g1 1x4@8x8 b1 w8c/u8>u8 relu"] == 1
    assert done.links.tolist() == [8 * 4 * 4 + 8]


def test_a_float_network_before_an_integer_classifier_quantizes_the_pooled_values() -> None:
    """The pool stays float, since its input is: one value per channel is converted, not the plane."""
    done = work_of(network(conv("a", "input", 4, "float"), *head("a", "w8a8")))
    assert counts(done.kernels) == {
        "conv k3 s1 g1 1x4@8x8 b1 f32/f32>f32 relu": 1,
        "pool k1 s1 g1 4x4@8x8 b1 f32/f32>f32 none": 1,
        "linear k1 s1 g1 4x10@1x1 b1 w8c/u8>f32 none": 1,
    }
    assert counts(done.boundaries) == {"quantize 4@1x1": 1}
    assert done.links.tolist() == [4 * 8 * 8]


def joined(first: str, second: str, third: str) -> Space:
    """conv a, conv b, a + b, conv c, head: the precisions of a, b and c; a float classifier."""
    return network(
        conv("a", "input", 4, first),
        conv("b", "a", 4, second, activation="none"),
        Record("add", "add", ("b", "a"), activation="relu"),
        conv("c", "add", 4, third),
        *head("c", "float"),
    )


def test_an_add_of_floats_goes_with_a_convolution() -> None:
    """b and c read in blocks, all three leave theirs so, the sum is taken along; pooled values are turned back."""
    done = work_of(joined("float", "float", "float"))
    assert done.blocks.tolist() == [[2 * 4 * 64, 3 * 4 * 64 - 4, 4 * 64]]


def test_an_add_of_integers_for_an_integer_reader_runs_on_integers() -> None:
    """Nothing between the network's input and the last integer kernel is converted."""
    done = work_of(joined("w8a8", "w8a8", "w8a8"))
    assert counts(done.kernels)["add k1 s1 g1 4x4@8x8 b1 f32/u8>u8 relu"] == 1
    assert counts(done.boundaries) == {"quantize 1@8x8": 1, "dequantize 4@8x8": 1}
    assert done.links.tolist() == [4]


def test_an_add_of_integers_for_a_float_reader_runs_in_float() -> None:
    """Both of its inputs are converted, and the float reader is linked to it."""
    done = work_of(joined("w8a8", "w8a8", "float"))
    assert counts(done.kernels)["add k1 s1 g1 4x4@8x8 b1 f32/f32>f32 relu"] == 1
    assert counts(done.boundaries) == {"quantize 1@8x8": 1, "dequantize 4@8x8": 2}
    assert done.links.tolist() == [4 * 64 + 4 * 64 + 4]


def test_a_float_tensor_that_two_layers_read_is_quantized_once() -> None:
    """conv b wants a in 8 bits; the add then reads the stored codes too, with no second conversion to them."""
    done = work_of(joined("float", "w8a8", "w8a8"))
    assert counts(done.kernels)["add k1 s1 g1 4x4@8x8 b1 f32/u8>u8 relu"] == 1
    assert counts(done.boundaries) == {"quantize 4@8x8": 1, "dequantize 4@8x8": 1}


def test_an_add_of_mixed_inputs_runs_in_float_and_its_output_is_quantized() -> None:
    """a is codes, b floats: the add takes floats, and conv c quantizes the sum."""
    done = work_of(joined("w8a8", "float", "w8a8"))
    assert counts(done.kernels)["add k1 s1 g1 4x4@8x8 b1 f32/f32>f32 relu"] == 1
    # a is read by b and by the add, c by the pool
    assert counts(done.boundaries) == {"quantize 1@8x8": 1, "quantize 4@8x8": 1, "dequantize 4@8x8": 3}
    assert done.links.tolist() == [4 * 64 + 4]


def test_the_batch_size_is_in_every_kernel() -> None:
    """A table of another batch size has no row for these keys."""
    done = work_of(network(conv("a", "input", 4, "float"), *head("a", "float")), batch=16)
    assert {key.batch for key, _ in done.kernels} == {16}


def test_a_weight_format_without_a_name_is_refused() -> None:
    """A precision that the device's menu lacks cannot be priced."""
    space = network(conv("a", "input", 4, "w4a8"), *head("a", "float"))
    with pytest.raises(KeyError, match="4"):
        work(space.outline.table(space.batch([NO_CHOICE])), WeightFormats({"float": "float", "w8a8": "w8a8"}), 1)


# --- Vectorised -------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(text=st.sampled_from([CHAIN, RESIDUAL]), seed=st.integers(0, 10_000), by_choice=st.booleans())
def test_many_networks_at_once_are_each_network_alone(text: str, seed: int, by_choice: bool) -> None:
    """For every row: the same kernels, conversions, layers and links as a plain walk over its resolved layers."""
    space = space_of(text)
    batch = space.sample_many(12, generator(seed, "test"), by_choice=by_choice)
    done = work(space.outline.table(batch), FORMATS, 1)
    for row, architecture in enumerate(batch):
        layers = space.outline.layers(architecture)
        kernels, boundaries, links = expected_work(layers)
        assert counts(done.kernels, row) == Counter(map(str, kernels))
        assert counts(done.boundaries, row) == Counter(map(str, boundaries))
        assert (done.layers[row], done.links[row]) == (len(layers), links)
        assert tuple(done.blocks[row]) == expected_blocks(layers)
        alone = work(space.outline.table(space.batch([architecture])), FORMATS, 1)
        assert counts(alone.kernels) == Counter(map(str, kernels))
        assert counts(alone.boundaries) == Counter(map(str, boundaries))


def test_an_empty_batch_has_no_work() -> None:
    """Nothing to do is not an error."""
    space = space_of(CHAIN)
    done = work(space.outline.table(space.sample_many(0, np.random.default_rng(0))), FORMATS, 1)
    assert (done.kernels, done.boundaries, len(done.layers), len(done.links)) == ([], [], 0, 0)
    assert done.blocks.shape == (0, 3)
