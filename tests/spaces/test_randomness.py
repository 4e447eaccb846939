"""Randomness: a function of (seed, purpose, index), and of nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces.randomness import generator, seed_for

KEYS = st.tuples(st.integers(), st.text(), st.lists(st.integers(), max_size=3))


def test_recorded_values_never_change() -> None:
    assert seed_for(0, "search") == 3365349582103205119
    assert seed_for(-1, "search", 3, 4) == 8949719136131938801
    assert generator(0, "search", 1).integers(0, 1000, 6).tolist() == [644, 448, 580, 128, 998, 418]
    assert generator(0, "search", 1).random() == 0.44851402743813185


@settings(deadline=None)
@given(KEYS)
def test_a_seed_has_63_bits_and_is_reproducible(key: tuple[int, str, list[int]]) -> None:
    seed, purpose, index = key
    assert 0 <= seed_for(seed, purpose, *index) < 2**63
    assert seed_for(seed, purpose, *index) == seed_for(seed, purpose, *index)
    first, again = generator(seed, purpose, *index), generator(seed, purpose, *index)
    np.testing.assert_array_equal(first.random(8), again.random(8))


@settings(deadline=None)
@given(KEYS, KEYS)
def test_different_keys_give_different_seeds_and_streams(
    a: tuple[int, str, list[int]], b: tuple[int, str, list[int]]
) -> None:
    same = a == b
    assert (seed_for(a[0], a[1], *a[2]) == seed_for(b[0], b[1], *b[2])) == same
    bits = [generator(k[0], k[1], *k[2]).integers(0, 2**63, 2).tolist() for k in (a, b)]
    assert (bits[0] == bits[1]) == same


def test_neighbouring_keys_are_told_apart() -> None:
    keys: list[tuple[Any, ...]] = [
        (1, "a", 2, 3),
        (1, "a", 23),
        (12, "a", 3),
        (1, "a2", 3),
        (1, "a", 3, 2),
        (1, "a"),
        (1, "a", 0),
        (1, ""),
    ]
    assert len({seed_for(*key) for key in keys}) == len(keys)


def test_consecutive_indices_look_independent() -> None:
    draws = np.array([generator(0, "independence", i).random(4) for i in range(4000)])
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.02
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.06
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.06


def test_numpy_integers_are_integers() -> None:
    assert seed_for(np.int64(5), "x", np.int16(2)) == seed_for(5, "x", 2)  # type: ignore[arg-type]


def test_the_global_state_of_numpy_is_neither_read_nor_changed() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    first = generator(0, "x").random()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # type: ignore[index]
    np.random.seed(2)
    assert generator(0, "x").random() == first


def test_wrong_types_are_refused() -> None:
    with pytest.raises(TypeError, match="purpose must be text that says what the numbers are for, got 3"):
        seed_for(0, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        seed_for(0.5, "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'str' object cannot be interpreted as an integer"):
        generator(0, "x", "y")  # type: ignore[arg-type]


def test_other_processes_draw_the_same_whatever_their_hash_seed() -> None:
    code = """
from spaces.randomness import generator, seed_for
g = generator(7, 'mutate é', 3, 11)
print(seed_for(7, 'mutate é', 3), g.random(3).tolist(), g.integers(0, 100, 5).tolist(), g.permutation(6).tolist())
"""
    root = str(Path(__file__).parents[2])
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    ]
    assert len(set(printed)) == 1
    here = generator(7, "mutate é", 3, 11).random(3).tolist()
    assert printed[0].startswith(f"{seed_for(7, 'mutate é', 3)} {here}")
