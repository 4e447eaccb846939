"""The YAML reader on hostile, damaged and random bytes: a node or our error, within seconds, and nothing else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces.yaml import Node, SpecError, plain, read_text
from tests.spaces.test_yaml_reader import SPACE, exactly

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)
HOSTILE: dict[str, str | bytes] = {
    "alias bomb": BOMB,
    "alias bomb in keys": "".join(f"? &k{i} [*k{i - 1}, *k{i - 1}]\n: x\n" for i in range(1, 40)),
    "many aliases": "- &a x\n" + "- *a\n" * 30_000,
    "cycle": "&a {b: *a, c: &c [*c, *a]}",
    "100,000 brackets": "[" * 100_000,
    "100,000 braces": "{" * 100_000,
    "200,000 brackets closed": "[" * 100_000 + "]" * 100_000,
    "brackets on lines": "[\n" * 100_000,
    "100,000 question marks": "? " * 100_000,
    "100,000 dashes": "- " * 100_000,
    "100,000 keys": "".join(f"k{i}: v\n" for i in range(100_000)),
    "one key 25,000 times": "a:\n" * 15_000,
    "30,000 surprises": "[" + "no," * 30_000 + "]",
    "integer of 100,000 digits": "n: " + "9" * 100_000,
    "float of 100,000 digits": "n: 0." + "9" * 100_000,
    "exponent of 100,000 digits": "n: 1e" + "9" * 100_000,
    "clock of 100,000 parts": "n: 1" + ":1" * 100_000,
    "date": "when: 2001-12-14t21:59:43.10-05:00",
    "code by tag": "!!python/object/apply:os.system ['true']",
    "long tag": "!" + "a" * 200_000,
    "undefined tag": "!nobody!thing x",
    "long anchor": "&" + "a" * 200_000 + " x",
    "bad UTF-8": b"a: \x80\xfe\n",
    "cut UTF-8": "a: é".encode()[:-1],
    "UTF-16": "a: 1".encode("utf-16-be"),
    "NUL": b"a: \0",
    "only NUL": b"\0" * 100_000,
    "escape of no character": 'a: "\\UFFFFFFFF"',
    "merge key": "a: &a {x: 1}\nb: {<<: [*a, *a]}",
    "documents": "--- a\n" * 40_000,
    "document ends": "...\n" * 60_000,
    "byte order marks": "\ufeff" * 80_000,
    "tabs": "\t" * 200_000,
    "tab after key": "a:\t1\n\tb: 2",
    "CRLF": "a: 1\r\n" * 5_000,
    "directives": "%FOO bar\n" * 27_000,
    "version of 100,000 digits": "%YAML 1." + "1" * 100_000,
    "blank lines in a block": "|" + "\n" * 249_000,
    "short lines": "a\n" * 124_000,
    "words": "'" + "a " * 124_000 + "'",
    "comments": "a\n" + "#\n" * 124_000,
    "nodes, then lines": "[" + "a," * 49_990 + "]\n" + "#\n" * 74_000,
    "1 MB": b"a" * 1_000_000,
    "equals sign": "=",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_give_a_node_or_our_error_within_two_seconds(text: str | bytes) -> None:
    start = time.process_time()
    outcome(text)
    assert time.process_time() - start < 8  # of the processor, on a machine that may be four times too slow


def outcome(text: str | bytes) -> Node | SpecError:
    """A node that can be walked, or an error whose places lie in the file and whose message is printable and short."""
    try:
        node = read_text(text, "space.yaml")
    except SpecError as error:
        refusal = error
    else:
        plain(node)
        return node
    assert refusal.problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in refusal.problems)
    assert len(str(refusal)) < 100_000
    assert str(refusal).replace("\n", "").isprintable()
    return refusal


@pytest.mark.parametrize(
    "foreign", [RecursionError, KeyError, IndexError, AttributeError, ValueError, AssertionError, yaml.YAMLError]
)
def test_nothing_foreign_gets_out(monkeypatch: pytest.MonkeyPatch, foreign: type[Exception]) -> None:
    def parse(*_: object, **__: object) -> None:
        raise foreign("inside PyYAML")

    monkeypatch.setattr(yaml, "parse", parse)
    problem = f"1:1: cannot be read as YAML ({foreign.__name__}) [syntax]"
    with pytest.raises(SpecError, match=exactly(problem)):
        read_text("a: 1", "space.yaml")


TOKENS = [
    b"[",
    b"]",
    b"{",
    b"}",
    b": ",
    b", ",
    b"- ",
    b"\n",
    b"\n\n",
    b"  ",
    b"\t",
    b"? ",
    b"&a ",
    b"*a",
    b"!!int ",
    b"<<: ",
    b"|\n",
    b">-\n",
]
TOKENS += [
    b"'",
    b'"',
    b"#",
    b" #",
    b"%",
    b"@",
    b"`",
    b"---\n",
    b"...\n",
    b"~",
    b"no",
    b".nan",
    b"0x1",
    b"1e400",
    b"\xef\xbb\xbf",
    b"\0",
    b"\xff",
]


def by_byte(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] = rng.randrange(256)


def by_bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def by_insertion(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.choice(TOKENS)


def by_deletion(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, 20)]


def by_copy(data: bytearray, rng: random.Random) -> None:
    start, at = rng.randrange(len(data)), rng.randrange(len(data))
    data[at:at] = data[start : start + rng.randint(1, 60)]


def by_cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(1, len(data)) :]


MUTATIONS: list[Callable[[bytearray, random.Random], None]] = [
    by_byte,
    by_bit,
    by_insertion,
    by_deletion,
    by_copy,
    by_cut,
]


def test_two_thousand_mutations_give_a_node_or_our_error() -> None:
    refused = 0
    for step in range(2000):
        rng = random.Random(step)
        data = bytearray(SPACE.encode())
        for mutate in rng.choices(MUTATIONS, k=rng.randint(1, 3)):
            if len(data) > 1:
                mutate(data, rng)
        try:
            refused += isinstance(outcome(bytes(data)), SpecError)
        except Exception as error:
            error.add_note(f"step {step}: {bytes(data)!r}")
            raise
    assert 500 < refused < 1900  # the mutations reach both sides


def is_safe(text: str) -> bool:
    """Whether PyYAML quotes the text if YAML 1.2 makes a number of it: it leaves ``1e-3``, ``08`` and ``0o17`` bare."""
    try:
        float(text)
    except ValueError:
        return not text.startswith("0o")
    return False


TEXTS = st.text(st.characters(exclude_categories=["Cs"])).filter(is_safe) | st.sampled_from(
    ["no", "1.5", "<<", "~", "0x1F"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(1 - 10**18, 10**18 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)


@settings(deadline=None)  # a busy machine is no failure
@given(VALUES)
def test_what_yaml_writes_we_read(value: object) -> None:
    assert plain(read_text(yaml.safe_dump(value), "space.yaml")) == value
