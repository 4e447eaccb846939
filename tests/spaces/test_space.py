"""A space counts, ranks, draws and changes architectures exactly, for random forests of choices and random convnets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import spaces
from spaces import Architecture, Batch, Choice, Condition, Space, Value
from spaces.randomness import generator
from spaces.yaml import SpecError
from tests.examples import NO_LAYERS, PLAIN, convnets, forests, space_of

SPACES = st.one_of(forests(), convnets())
DIGITS = spaces.load("digits")


def brute_force(space: Space) -> list[dict[str, Value]]:
    """All architectures, written without any counting: every combination, absent choices struck out."""
    found: dict[tuple[tuple[str, str], ...], dict[str, Value]] = {}
    for values in product(*[c.values for c in space.choices]):
        kept: dict[str, Value] = {}
        for choice, value in zip(space.choices, values, strict=True):
            if all(
                any(type(kept.get(c.name)) is type(v) and kept.get(c.name) == v for v in c.values) for c in choice.when
            ):
                kept[choice.name] = value
        found[tuple((name, repr(value)) for name, value in kept.items())] = kept
    return list(found.values())


def assert_uniform(counts: Sequence[int]) -> None:
    """Chi-square against equal shares, five standard deviations wide: the draws have fixed seeds."""
    expected, freedom = sum(counts) / len(counts), len(counts) - 1
    statistic = sum((n - expected) ** 2 for n in counts) / expected
    assert statistic <= freedom + 5 * (2 * freedom) ** 0.5, counts


# --- counting and ranking ---------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(forests())
def test_size_counts_exactly_the_distinct_architectures(space: Space) -> None:
    keys = [a.key for a in space.enumerate()]
    assert space.size == len(keys) == len(set(keys))
    assert set(keys) == {Architecture(values).key for values in brute_force(space)}


@settings(deadline=None)
@given(SPACES, st.data())
def test_index_and_at_are_inverse(space: Space, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, space.size - 1))
    architecture = space.at(index)
    assert space.index(architecture) == index
    assert space.at(space.index(architecture)) == architecture
    assert space.architecture(architecture) == architecture


def test_indices_outside_are_refused() -> None:
    for index in (-1, DIGITS.size):
        with pytest.raises(IndexError, match=rf"^index {index} is outside space digits of size 3195072$"):
            DIGITS.at(index)


def test_a_space_without_choices_has_one_architecture() -> None:
    space = Space("fixed", (), NO_LAYERS)
    assert space.size == 1
    assert space.at(0) == Architecture({}) == space.largest == space.sample(generator(0, "test"))
    assert space.index(Architecture({})) == 0
    assert space.mutate(Architecture({}), generator(0, "test")) == Architecture({})
    assert space.encode(space.sample_many(3, generator(0, "test"))).shape == (3, 0)


def deep(levels: int, width: int) -> Space:
    """A chain: choice i + 1 is there only for the last value of choice i, and as many free choices besides."""
    chain = [
        Choice(f"c{i}", tuple(range(width)), (Condition(f"c{i - 1}", (width - 1,)),) if i else ())
        for i in range(levels)
    ]
    return Space("deep", (*chain, *(Choice(f"f{i}", tuple(range(width))) for i in range(levels))), NO_LAYERS)


def test_counting_is_exact_far_above_64_bits() -> None:
    """The chain alone has levels x (width - 1) + 1 members, the free choices width ** levels."""
    space = deep(100, 7)
    assert space.size == (100 * 6 + 1) * 7**100
    for index in (0, 1, 2**63 - 1, 2**63, 10**80 + 7, space.size - 1):
        assert space.index(space.at(index)) == index
    drawn = space.sample_many(50, generator(0, "test"))
    assert len({space.index(a) for a in drawn}) == 50


def wide_tree() -> Space:
    """Value 1 of the first choice stands above 5 ** 40 > 2 ** 63 architectures, value 0 above 3 x 5 ** 40."""
    below = [Choice(f"w{i}", (0, 1, 2, 3, 4), (Condition("top", (0, 1)),)) for i in range(40)]
    return Space(
        "wide", (Choice("top", (0, 1, 2)), Choice("extra", (0, 1, 2), (Condition("top", (0,)),)), *below), NO_LAYERS
    )


def test_totals_above_64_bits_are_drawn_in_proportion() -> None:
    space = wide_tree()
    assert space.size == 4 * 5**40 + 1 > 2**63
    top = Counter(a["top"] for a in space.sample_many(4_000, generator(0, "test")))
    assert top[2] == 0  # one architecture in 10^28
    assert_uniform([top[0] / 3, top[1]])  # type: ignore[list-item]


def test_digits_is_a_space_of_over_a_million() -> None:
    per_stage = sum(4 * (2 * 3) ** depth for depth in (1, 2, 3))  # width, then kernel and precision per block
    assert DIGITS.size == per_stage**2 * 3 == 3_195_072 >= 10**6


# --- drawing ----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(SPACES, st.integers(0, 2**32), st.booleans())
def test_samples_lie_in_the_space_and_depend_on_the_generator_alone(space: Space, seed: int, by_choice: bool) -> None:
    batch = space.sample_many(20, generator(seed, "test"), by_choice)
    assert [space.architecture(a) for a in batch] == list(batch)
    again = space.sample_many(20, generator(seed, "test"), by_choice)
    assert np.array_equal(batch.codes, again.codes)


@pytest.mark.parametrize("seed", range(3))
def test_samples_are_uniform_over_architectures(seed: int) -> None:
    choices = (
        Choice("a", (1, 2, 3)),
        Choice("b", ("x", "y"), (Condition("a", (2, 3)),)),
        Choice("c", (True, False), (Condition("b", ("y",)),)),
        Choice("d", (0.5, 1.5)),
    )
    space = Space("uneven", choices, NO_LAYERS)
    drawn = Counter(space.index(a) for a in space.sample_many(200 * space.size, generator(seed, "test")))
    assert space.size == (1 + 2 * (1 + 2)) * 2
    assert_uniform([drawn[i] for i in range(space.size)])


def test_by_choice_every_present_choice_is_uniform_over_its_values() -> None:
    batch = DIGITS.sample_many(4_000, generator(1, "test"), by_choice=True)
    for column, choice in enumerate(DIGITS.choices):
        codes = batch.codes[:, column]
        assert_uniform(np.bincount(codes[codes >= 0], minlength=len(choice.values)).tolist())
    depths = Counter(a["stages.0.depth"] for a in DIGITS.sample_many(4_000, generator(1, "test")))
    assert depths[1] < 300 < 3_000 < depths[3]  # uniform over architectures, shallow ones are rare


def test_samples_are_the_same_in_every_process() -> None:
    """No draw depends on the order of a set or on the hash of a text."""
    program = (
        "import spaces; from spaces.randomness import generator; s = spaces.load('digits'); rng = generator(3, 'test');"
        "a = s.sample(rng); print(a.key, s.mutate(a, rng).key, *[b.key for b in s.sample_many(20, rng)], s.digest)"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("0", "4711")
    }
    assert len(printed) == 1
    assert next(iter(printed)).split()[0].decode() == DIGITS.sample(generator(3, "test")).key


# --- changing ---------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(SPACES, st.integers(0, 2**32))
def test_mutation_changes_exactly_one_decision(space: Space, seed: int) -> None:
    """All else that differs was made present, or absent, by that decision."""
    rng = generator(seed, "test")
    before = space.sample(rng)
    after = space.mutate(before, rng)
    assert space.architecture(after) == after
    if all(len(c.values) == 1 for c in space.choices if c.name in before):
        assert after == before
        return
    assert after != before
    changed = {n for n in before if n in after and repr(before[n]) != repr(after[n])}
    assert len(changed) == 1
    below = set(changed)
    for choice in space.choices:
        if any(condition.name in below for condition in choice.when):
            below.add(choice.name)
    assert set(before) ^ set(after) <= below


def test_mutation_draws_decision_value_and_what_appears_uniformly() -> None:
    space = Space("s", (Choice("a", (1, 2, 3)), Choice("b", (1, 2, 3), (Condition("a", (2, 3)),))), NO_LAYERS)
    start = space.architecture({"a": 1})
    drawn = Counter(space.mutate(start, generator(0, "test", i)) for i in range(1_200))
    assert set(drawn) == {space.architecture({"a": a, "b": b}) for a, b in product((2, 3), (1, 2, 3))}
    assert_uniform(list(drawn.values()))


@settings(deadline=None)
@given(forests(), st.data())
def test_completion_keeps_given_values_wherever_they_are_present(space: Space, data: st.DataObject) -> None:
    """Also where the choice above it is not given but drawn."""
    given_values = {c.name: data.draw(st.sampled_from(c.values)) for c in space.choices if data.draw(st.booleans())}
    made = space.complete(given_values, generator(data.draw(st.integers(0, 2**32)), "test"))
    assert space.architecture(made) == made
    assert all(repr(made[n]) == repr(v) for n, v in given_values.items() if n in made)


def test_completion_is_uniform_over_the_architectures_with_those_values() -> None:
    choices = (Choice("a", (1, 2)), Choice("b", (1, 2, 3), (Condition("a", (2,)),)), Choice("c", (1, 2)))
    space = Space("s", choices, NO_LAYERS)
    drawn = Counter(space.complete({"b": 2}, generator(0, "test", i)) for i in range(1_000))
    assert set(drawn) == {a for a in space.enumerate() if a.get("b", 2) == 2}
    assert len(drawn) == 4
    assert_uniform(list(drawn.values()))


def test_completion_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match=r"^space digits has no choice 'stages\.2\.depth'$"):
        DIGITS.complete({"stages.2.depth": 1}, generator(0, "test"))
    with pytest.raises(ValueError, match=r"^stages\.0\.depth: 4 is not a value of this choice; values: \[1, 2, 3\]$"):
        DIGITS.complete({"stages.0.depth": 4}, generator(0, "test"))


# --- extremes and sub-spaces ------------------------------------------------------------------------------------------


def test_extremes_take_the_ends_of_numbers_and_one_precision() -> None:
    low, high = DIGITS.extreme(min, "w4a8"), DIGITS.extreme(max, "w8a8")
    assert dict(low) == {
        "stages.0.depth": 1, "stages.0.width": 8, "stages.0.0.kernel": 3, "stages.0.0.conv.precision": "w4a8",
        "stages.1.depth": 1, "stages.1.width": 16, "stages.1.0.kernel": 3, "stages.1.0.conv.precision": "w4a8",
        "classifier.precision": "w4a8",
    }  # fmt: skip
    assert {high[f"stages.{s}.depth"] for s in (0, 1)} == {3}
    assert (high["stages.0.width"], high["stages.1.width"]) == (32, 64)
    assert {v for n, v in high.items() if n.endswith("kernel")} == {5}
    assert {v for n, v in high.items() if n.endswith("precision")} == {"w8a8"}
    assert DIGITS.largest == DIGITS.extreme(max, "float")


def test_extremes_go_by_value_and_not_by_position() -> None:
    space = Space("s", (Choice("n", (3, 1, 2)), Choice("t", ("b", "a", "c")), Choice("x", (2.5, -1))), NO_LAYERS)
    assert dict(space.extreme(min, "float")) == {"n": 1, "t": "b", "x": -1}
    assert dict(space.extreme(max, "float")) == {"n": 3, "t": "c", "x": 2.5}


def test_layers_stand_where_a_number_of_them_comes_from_its_else() -> None:
    second = "{depth: {choice: [2, 3], when: {stages.0.depth: 2}, else: 1}, width: 4}"
    stages = f"{{depth: {{choice: [1, 2]}}, width: 4}}, {second}"
    space = space_of(f"model: {{family: convnet, stages: [{stages}]}}\n")
    found = [y.path for y in space.outline.layers(Architecture({"stages.0.depth": 1})) if y.kind == "conv"]
    assert found == ["stages.0.0.conv", "stages.1.0.conv"]


def test_layers_that_would_stand_by_an_else_among_others_are_refused() -> None:
    """That a choice has a value, or is not there, is no condition: the layers would silently be absent."""
    block = "{choice: [fused, inverted], when: {squeeze: true}, else: dense}"
    text = f"model: {{family: mobilenet, stages: [{{squeeze: {{choice: [true, false]}}, block: {block}}}]}}\n"
    with pytest.raises(
        SpecError, match=r"'stages\.0\.block', which has dense by its else \[unsupported\]\n  hint: leave"
    ):
        space_of(text)


@pytest.mark.parametrize("words", [("small", "large"), ("large", "small"), ("small", "large", "tiny")])
def test_words_inside_words_are_those_of_the_most_and_fewest_macs(words: tuple[str, ...]) -> None:
    """Whatever their order, and though the alternative that brings them is not the last one."""
    kernel = {"tiny": 1, "small": 3, "large": 5}
    inner = ", ".join(f"{word}: [conv: {{out: 4, kernel: {kernel[word]}}}]" for word in words)
    space = space_of(
        f"model: {{family: graph, layers: [{{one_of: {{big: [conv: 4, one_of: {{{inner}}}], little: [conv: "
        "{out: 4, kernel: 3}]}}, pool, {linear: 10}]}\n"
    )
    macs = {a: int(space.cost([a])["macs"][0]) for a in space.enumerate()}
    assert macs[space.largest] == max(macs.values())
    assert macs[space.extreme(min, "float")] == min(macs.values())


def test_a_restricted_space_holds_exactly_the_architectures_of_those_precisions() -> None:
    space = space_of(
        PLAIN.replace("choice: [3, 4, 6]", "choice: [3, 6]").replace("choice: [1, 3, 5]", "choice: [3, 5]")
    )
    small = space.restrict({"w8a8", "float", "w2a8"})
    names = space.outline.precision_choices
    wanted = {a.key for a in space.enumerate() if "w4a8" not in [a[n] for n in names if n in a]}
    assert {a.key for a in small.enumerate()} == wanted
    assert small.outline == space.outline
    assert small.restrict({"w8a8"}).size == small.restrict({"float"}).size < small.size < space.size
    said = r"conv\.precision: none of its precisions float, w8a8, w4a8 is among those to keep: w2a8 \[no-precision\]$"
    with pytest.raises(ValueError, match=said):
        space.restrict({"w2a8"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("w8a8", r"must be a set of names, not the text 'w8a8' \[wrong-type\]\n  hint: write \{'w8a8'\}$"),
        ({"W8A8"}, r"^unknown precision 'W8A8': .* \[unknown-name\]\n  hint: did you mean 'w8a8'\?$"),
        ({"float", "nonsense"}, r"^unknown precision 'nonsense': .* \[unknown-name\]$"),
    ],
)
def test_what_is_no_name_of_a_precision_is_refused(given: Collection[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space_of(PLAIN).restrict(given)


def test_names_leave_out_no_parts_of_precisions() -> None:
    parts = "{split: true, weights: {bits: {choice: [4, 8]}}, inputs: {bits: 8}}"
    space = space_of(PLAIN.replace("{choice: [float, w8a8, w4a8], per: layer}", parts))
    assert space.restrict({"w4a8", "w8a8"}) is space
    with pytest.raises(ValueError, match=r"^layer stages\.0\.0\.conv: its precision is chosen in parts"):
        space.restrict({"w8a8"})


def test_a_batch_of_a_restricted_space_means_the_same_in_the_full_one() -> None:
    """Its codes count other values: they are translated, never taken as they are."""
    space = space_of(PLAIN)
    drawn = space.restrict({"w4a8"}).sample_many(20, generator(0, "test"))
    assert list(space.batch(drawn)) == list(drawn)
    assert np.array_equal(space.encode(drawn), space.encode(list(drawn)))
    assert {k: v.tolist() for k, v in space.cost(drawn).items()} == {
        k: v.tolist() for k, v in drawn.space.cost(drawn).items()
    }


def test_the_digest_tells_spaces_of_different_supernets_apart() -> None:
    space = space_of(PLAIN)
    assert space.digest == space_of(PLAIN, name="other").digest
    others = [
        PLAIN.replace("[3, 4, 6]", "[3, 4, 7]"),
        PLAIN.replace("stride: 2", "stride: 1"),
        PLAIN.replace("classes: 3", "classes: 4"),
        PLAIN.replace("[float, w8a8, w4a8]", "[float, w8a8]"),
    ]
    assert len({space.digest, *(space_of(text).digest for text in others)}) == 5


# --- batches ----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(SPACES, st.integers(0, 2**32))
def test_batches_and_lists_of_architectures_are_the_same(space: Space, seed: int) -> None:
    assume(space.choices)
    batch = space.sample_many(6, generator(seed, "test"))
    architectures = list(batch)
    assert np.array_equal(space.batch(architectures).codes, batch.codes)
    part = batch[1:4]
    assert isinstance(part, Batch)
    assert list(part) == architectures[1:4]
    assert list(batch.take(np.array([5, 0, 0]))) == [architectures[5], architectures[0], architectures[0]]
    assert (len(batch), batch[-1]) == (6, architectures[5])
    assert ((batch.codes < 0) == np.array([[c.name not in a for c in space.choices] for a in architectures])).all()


def test_restricting_takes_away_what_depended_on_a_precision() -> None:
    """A choice that is only there for a value that is gone goes too, and what it controls."""
    space = spaces.from_text(
        "precision: {choice: [float, w8a8]}\n"
        "model: {family: graph, layers: [{name: a, conv: 8}, {conv: {out: 8, precision: float, "
        "kernel: {choice: [3, 5], when: {layers.a.precision: w8a8}, else: 1}}}, pool, "
        "{linear: {out: 10, precision: float}}]}"
    )
    assert space.size == 1 + 2
    floats, integers = space.restrict({"float"}), space.restrict({"w8a8"})
    assert [c.name for c in floats.choices] == ["layers.a.precision"]
    assert (floats.size, integers.size) == (1, 2)
    for part in (floats, integers):
        assert all(space.architecture(a) == a for a in part.enumerate())
        assert all(space.outline.layers(a) == part.outline.layers(a) for a in part.enumerate())
