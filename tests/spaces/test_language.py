"""The language against a second reading of it: random trees of choices, counted by trying everything."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from spaces import Architecture, from_text
from spaces.python import choice, one_of, optional, repeat, space, steps, tie
from spaces.randomness import generator
from spaces.yaml import SpecError
from tests.spaces.documents import documents, enumerate_tree, load_document

RELAXED = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def tree(text: str) -> Any:
    """The space of a tree of choices."""
    return from_text(f"model:\n  family: choices\n  choices: {text}\n")


@RELAXED
@given(documents())
def test_a_space_holds_exactly_what_its_tree_says(document: dict[str, Any]) -> None:
    """Size, enumeration, index and at, against trying every decision."""
    space = load_document(document)
    assume(space.size <= 500)
    expected = enumerate_tree(document["model"]["choices"])
    found = list(space.enumerate())
    assert space.size == len(found) == len({a.key for a in found})
    assert {a.key for a in found} == {Architecture(values).key for values in expected}
    assert [space.index(a) for a in found] == list(range(space.size))
    for a in found[:20]:
        assert space.architecture(Architecture.from_json(a.to_json())) == a


@RELAXED
@given(documents())
def test_a_space_written_as_yaml_reads_as_the_same(document: dict[str, Any]) -> None:
    """And once more is the same text."""
    space = load_document(document)
    text = space.to_yaml()
    again = from_text(text)
    assert (again.digest, again.choices, again.name) == (space.digest, space.choices, space.name)
    assert again.to_yaml() == text


def test_python_says_the_same_as_yaml() -> None:
    """Every word of the language."""
    made = space("s", {
        "family": "choices",
        "choices": {
            "a": choice(1, 2),
            "b": choice("x", "y", when={"a": 2}, otherwise="x"),
            "c": steps(2, 6, 2),
            "d": tie("a"),
            "e": repeat(choice(1, 2), {"f": choice(True, False)}, tied=True),
            "g": optional({"h": choice(0.1, 0.2)}, when={"a": {"at_least": 2}}),
            "i": one_of({"p": {}, "q": {"r": choice(1, 2)}}),
        },
    })  # fmt: skip
    written = tree(
        "{a: {choice: [1, 2]}, b: {choice: [x, y], when: {a: 2}, else: x}, c: {range: [2, 6, 2]}, d: {tie: a}, "
        "e: {repeat: {choice: [1, 2]}, tied: true, of: {f: {choice: [true, false]}}}, "
        "g: {optional: {h: {choice: [0.1, 0.2]}}, when: {a: {at_least: 2}}}, "
        "i: {one_of: {p: {}, q: {r: {choice: [1, 2]}}}}}"
    )
    assert made.choices == written.choices
    assert made.size == written.size


@RELAXED
@given(documents())
def test_draws_are_architectures(document: dict[str, Any]) -> None:
    """Of all trees, also of the large ones."""
    space = load_document(document)
    for by_choice in (False, True):
        for a in space.sample_many(5, generator(0, "test"), by_choice):
            assert space.architecture(a) == a
            assert 0 <= space.index(a) < space.size


def test_draws_are_uniform_over_architectures_of_nested_structures() -> None:
    """Chi-square over the 35 members of a tree with every structure."""
    space = tree(
        "{n: {repeat: {range: [0, 2]}, of: {k: {choice: [3, 5]}, o: {optional: {r: {choice: [1, 2]}}}}}, z: 1}"
    )
    size = 1 + 6 + 36
    assert space.size == size
    counts = np.bincount([space.index(a) for a in space.sample_many(100 * size, generator(3, "test"))], minlength=size)
    chi_square = ((counts - 100) ** 2 / 100).sum()
    assert chi_square < size + 5 * np.sqrt(2 * size)


def test_the_same_seed_draws_the_same_in_processes_with_other_hash_seeds() -> None:
    """Nothing depends on the order of a set, or on salted hashes."""
    code = (
        "import spaces; from spaces.randomness import generator\n"
        "s = spaces.load('digits'); r = generator(5, 'test'); b = s.sample_many(50, r)\n"
        "print(s.digest, [a.key for a in b], s.mutate(b[0], r).key, s.crossover(b[1], b[2], r).key, s.feature_names)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_choices_below_what_is_not_taken_are_absent() -> None:
    """And the names are the paths of the file."""
    space = tree(
        "{act: {one_of: {relu: {}, leaky: {slope: {choice: [0.1, 0.2]}}}}, more: {optional: {choice: [1, 2]}}}"
    )
    assert [c.name for c in space.choices] == ["act", "act.leaky.slope", "more", "more.of"]
    assert space.size == 3 * 3
    assert dict(space.architecture({"act": "relu", "more": False})) == {"act": "relu", "more": False}


def test_tied_elements_share_their_choices() -> None:
    """One choice for all, absent only where there is no element."""
    apart = tree("{b: {repeat: {choice: [1, 2]}, of: {w: {choice: [1, 2, 3]}}}}")
    tied = tree("{b: {repeat: {choice: [1, 2]}, tied: true, of: {w: {choice: [1, 2, 3]}}}}")
    assert (apart.size, tied.size) == (3 + 9, 3 + 3)
    assert [c.name for c in tied.choices] == ["b", "b.each.w"]


def test_types_stay_apart() -> None:
    """8, 8.0 and true are three values."""
    space = tree("{v: {choice: [1, 1.0, true, '1']}}")
    assert [repr(v) for v in space.choices[0].values] == ["1", "1.0", "True", "'1'"]
    assert len({a.key for a in space.enumerate()}) == 4


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{a: {choice: [1, 2]}, b: {choice: [1, 2], when: {c: 1}, else: 1}}",
         "3:61: no choice 'c' is written before this [unknown-choice]\n  hint: known choices: a"),
        ("{b: {choice: [1, 2], when: {a: 1}, else: 1}, a: {choice: [1, 2]}}",
         "3:40: no choice 'a' is written before this [unknown-choice]"),
        ("{a: {choice: [1, 2]}, b: {choice: [1, 2], when: {a: 3}, else: 1}}",
         "3:61: a never is '3' [unknown-value]\n  hint: values: 1, 2"),
        ("{a: {choice: [1, 2]}, b: {choice: [1, 2], when: {a: {at_least: 3}}, else: 1}}",
         "3:61: no value of a is within these bounds [never]\n  hint: values: 1, 2"),
        ("{a: {choice: [1, 2]}, b: {choice: [1, 2], when: {a: 2}}}",
         "3:37: b needs else: the value where the condition fails [missing-key]"),
        ("{a: {choice: [1, 2], else: 2}}", "3:16: a needs when: the condition [missing-key]"),
        ("{a: {choice: [1, 2], range: [1, 2]}}",
         "3:16: a has both a choice and a range [ambiguous]\n  hint: keep one of them"),
        ("{a: {tie: b}}", "3:16: no choice 'b' is written before this [unknown-choice]"),
        ("{o: {optional: {x: {choice: [1, 2]}}}, a: {tie: o.x}}",
         "3:54: 'o.x' may be absent where a reads it [absent-tie]\n"
         "  hint: tie to a choice that is there whenever this place is"),
        ("{a.b: {choice: [1, 2]}}", "3:13: a name must be a word without dots, not 'a.b' [wrong-name]"),
        ("{a: {one_of: []}}",
         "3:25: 'space.model.choices.a.one_of' must be a mapping from names to alternatives, at least one "
         "[wrong-type]"),
        ("{a: {repeat: -1, of: {b: 1}}}", "3:25: repeat must be a number from 0 to 1000, got -1 [out-of-range]"),
        ("{a: {repeat: 2}}", "3:16: missing key 'space.model.choices.a.of' [missing-key]"),
        ("{a: {choice: [1, 2], per: stage}}",
         "3:16: a is in no stage [wrong-scope]\n  hint: it can be chosen per network"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_place_message_and_hint(text: str, problem: str) -> None:
    """Every message of the language."""
    message = f"space.yaml:{problem}\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        tree(text)


def test_entangled_conditions_are_refused_with_their_names() -> None:
    """A choice that depends on eight others of ten values each would need a table of 2 ** 8 only: values are classed.

    One that makes a class of every value of many others would not fit.
    """
    free = ", ".join(f"c{i}: {{choice: [{', '.join(map(str, range(10)))}]}}" for i in range(8))
    one = "last: {choice: [1, 2], when: {" + ", ".join(f"c{i}: 3" for i in range(8)) + "}, else: 1}"
    assert tree(f"{{{free}, {one}}}").size == 10**8 + 1
    every = ", ".join(
        f"x{v}: {{choice: [1, 2], when: {{{', '.join(f'c{i}: {v}' for i in range(8))}}}, else: 1}}" for v in range(9)
    )
    with pytest.raises(SpecError, match=r"tie these choices together too closely to count: c0, c1, .* \[entangled\]"):
        tree(f"{{{free}, {every}}}")
