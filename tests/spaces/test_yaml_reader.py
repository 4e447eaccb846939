"""YAML to nodes: types, places, every code with its message, and hostile bytes (tests Y1 and Y2 of the plan)."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import pytest
import yaml

from spaces.yaml import Mapping, Mark, Problem, Problems, Scalar, Sequence, SpecError, nearest, plain, read_text
from spaces.yaml import read_file as read
from spaces.yaml.reader import nearest_file

SPACE = """\
name: digits
data: {dataset: digits}
model:
  family: convnet                 # the family's parameters; any value may be a choice
  stages:
    - {depth: {choice: [1, 2, 3]}, width: {choice: [8, 16, 24, 32]}, kernel: {choice: [3, 5], per: block}, stride: 1}
    - {depth: {choice: [1, 2, 3]}, width: {choice: [16, 32, 48, 64]}, kernel: {choice: [3, 5], per: block}, stride: 2}
precision: {choice: [float, w8a8, {weights: {bits: 4, granularity: channel}, inputs: {bits: 8}}], per: layer}
train: {scheme: sandwich, epochs: 80}
device: {backend: onnxruntime, threads: 1, batch: 1}
search: {strategy: "optuna:nsga2", trials: 200, objectives: [quality, latency_ms, size_bytes], budget: {latency_ms: 1}}
export: {format: onnx}
"""


def exactly(*problems: str) -> str:
    """Pattern for the whole message of a SpecError with these problems of ``space.yaml``."""
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}; nothing was written"
    return rf"\A{re.escape(chr(10).join([*(f'space.yaml:{p}' for p in problems), count]))}\Z"


# --- values and places ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("-3", -3),
        ("+5", 5),
        ("0", 0),
        ("123456789012345678", 123456789012345678),
        ("1.5", 1.5),
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-2.", -2.0),
        ("0.018", 0.018),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("'42'", "42"),
        ('"no"', "no"),
        ("'<<'", "<<"),
        ("'.inf'", ".inf"),
        ("|\n  12\n", "12\n"),
        ("optuna:nsga2", "optuna:nsga2"),
        ("w8a8", "w8a8"),
        ("1e", "1e"),
        ("nan", "nan"),
        ("0o", "0o"),
        ("2020-1", "2020-1"),
        ("tRUE", "tRUE"),
    ],
)
def test_scalars_have_the_type_of_yaml_1_2_and_quoted_ones_are_text(text: str, value: object) -> None:
    read_value = plain(read_text(text, "space.yaml"))
    assert read_value == value
    assert type(read_value) is type(value)


def test_the_space_of_the_design_reads_as_written() -> None:
    space = plain(read_text(SPACE, "space.yaml"))
    assert space == yaml.safe_load(SPACE)


def test_marks_count_from_one_and_point_at_the_node() -> None:
    node = read_text("a: 1\nb:\n  - x\n  - {c: 'd'}\n", "space.yaml")
    inner = Mapping(((Scalar("c", "c", Mark(4, 6)), Scalar("d", "d", Mark(4, 9))),), Mark(4, 5))
    items = Sequence((Scalar("x", "x", Mark(3, 5)), inner), Mark(3, 3))
    a = (Scalar("a", "a", Mark(1, 1)), Scalar(1, "1", Mark(1, 4)))
    assert node == Mapping((a, (Scalar("b", "b", Mark(2, 1)), items)), Mark(1, 1))


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffa: 1\nb: 2\n",
        b"\xef\xbb\xbfa: 1\nb: 2\n",
        "a: 1\r\nb: 2\r\n",
        "a: 1\rb: 2\r",
        "---\na: 1\nb: 2\n...\n",
    ],
)
def test_byte_order_mark_line_ends_and_document_marks_are_fine(text: str | bytes) -> None:
    assert plain(read_text(text, "space.yaml")) == {"a": 1, "b": 2}


def test_an_alias_stands_for_its_anchor_but_plain_values_share_nothing() -> None:
    value = plain(read_text("a: &a [1, &b 2]\nb: *a\nc: *b\n", "space.yaml"))
    assert value == {"a": [1, 2], "b": [1, 2], "c": 2}
    assert isinstance(value, dict)
    assert value["a"] is not value["b"]


# --- every code, with its exact message -------------------------------------------------------------------------------

AMBIGUOUS = "is read in two ways [ambiguous]\n  hint: quote it:"
REFUSED = [
    ("", "1:1: the file is empty [empty]"),
    ("# only a comment\n", "1:1: the file is empty [empty]"),
    ("---\n", "1:1: the file is empty [empty]"),
    ("a: no", f"1:4: 'no' {AMBIGUOUS} 'no', or write true or false"),
    ("On: 1", f"1:1: 'On' {AMBIGUOUS} 'On', or write true or false"),
    ("12:30:45", f"1:1: '12:30:45' {AMBIGUOUS} '12:30:45', or write a plain decimal number"),
    ("- 2020-01-01", f"1:3: '2020-01-01' {AMBIGUOUS} '2020-01-01', or write a plain decimal number"),
    ("0o17", f"1:1: '0o17' {AMBIGUOUS} '0o17', or write a plain decimal number"),
    ("017", f"1:1: '017' {AMBIGUOUS} '017', or write a plain decimal number"),
    ("08", f"1:1: '08' {AMBIGUOUS} '08', or write a plain decimal number"),
    ("0x1F", f"1:1: '0x1F' {AMBIGUOUS} '0x1F', or write a plain decimal number"),
    ("1_000", f"1:1: '1_000' {AMBIGUOUS} '1_000', or write a plain decimal number"),
    ("lr: .inf", "1:5: '.inf' is not a finite number [not-finite]"),
    ("lr: -.INF", "1:5: '-.INF' is not a finite number [not-finite]"),
    ("lr: .NaN", "1:5: '.NaN' is not a finite number [not-finite]"),
    ("lr: 1e999", "1:5: '1e999' is not a finite number [not-finite]"),
    ("n: 1234567890123456789", "1:4: integer '1234567890123456789' has more than 18 digits [too-large]"),
    (
        "a: 1\nb: 2\na: 3\n",
        "3:1: key 'a' repeats line 1 [duplicate-key]\n  hint: delete one of the two; the later one does not win",
    ),
    (
        "1: a\n1.0: b\n",
        "2:1: key '1.0' repeats line 1 [duplicate-key]\n  hint: delete one of the two; the later one does not win",
    ),
    ("? [a]\n: b\n", "1:3: a key must be a single word, not empty and not a collection [wrong-type]"),
    ("~: b", "1:1: a key must be a single word, not empty and not a collection [wrong-type]"),
    ("?\n: b", "1:2: a key must be a single word, not empty and not a collection [wrong-type]"),
    ("a: !!int 3", "1:4: tags are not supported: 'tag:yaml.org,2002:int' [tag]\n  hint: delete it"),
    (
        "!!python/object:os.system x",
        "1:1: tags are not supported: 'tag:yaml.org,2002:python/object:os.system' [tag]\n  hint: delete it",
    ),
    ("a: ! x", "1:4: tags are not supported: '!' [tag]\n  hint: delete it"),
    ("a: &x {b: 1}\nc: {<<: *x}", "2:5: merge keys '<<' are not supported [merge-key]\n  hint: write the keys out"),
    ("- &base 1\n- *bas\n", "2:3: no anchor of the name 'bas' before this alias [alias]\n  hint: did you mean 'base'?"),
    ("*x", "1:1: no anchor of the name 'x' before this alias [alias]"),
    ("&a [1, *a]", "1:8: alias '*a' stands inside its own anchor [alias]"),
    ("&a [1, &a 2]", "1:8: anchor '&a' repeats line 1 [alias]"),
    ("a\n---\nb\n", "2:1: a second document starts here [several-documents]"),
    ("[" * 33, "1:33: nested more than 32 deep [too-deep]"),
    ("-\n" * 50_000, "50000:2: more than 50,000 values [too-large]"),
    ("#" * 250_001, "1:1: the file has more than 250,000 bytes [too-large]"),
    ("é" * 125_001, "1:1: the file has more than 250,000 bytes [too-large]"),
    (b"a: 1\nb: \xff\n", "2:4: byte 0xff is not UTF-8 [syntax]\n  hint: save the file as UTF-8"),
    ("a: \ud800", "1:4: byte 0xed is not UTF-8 [syntax]\n  hint: save the file as UTF-8"),
    ("a: 1".encode("utf-16"), "1:1: byte 0xff is not UTF-8 [syntax]\n  hint: save the file as UTF-8"),
    ("a: 1\r\nb: x\0y", "2:5: character '\\x00' is not allowed [syntax]"),
    (
        "a:\n\tb: 1\n",
        "2:1: found character '\\t' that cannot start any token [syntax]\n  hint: indent with spaces, not tabs",
    ),
    (
        "a: [1,\n  2\nb: 3\n",
        "3:2: expected ',' or ']', but got ':' [syntax]\n  hint: while parsing a flow sequence that starts at line 1",
    ),
    ("%YAML 1." + "1" * 5000 + "\n--- a", "1:1: cannot be read as YAML (ValueError) [syntax]"),
    (
        "a: 1\nb: '\\",
        "2:6: found unexpected end of stream [syntax]\n  hint: while scanning a quoted scalar that starts at line 2",
    ),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED, ids=range(len(REFUSED)))
def test_a_problem_has_place_code_and_hint(text: str | bytes, problem: str) -> None:
    with pytest.raises(SpecError, match=exactly(problem)):
        read_text(text, "space.yaml")


def test_all_problems_are_listed_in_order_also_before_one_that_ends_the_reading() -> None:
    text = "a: !t yes\na: .inf\nb: [0x1, *z]\nc: 'open"
    with pytest.raises(SpecError, match="; nothing was written") as caught:
        read_text(text, "space.yaml")
    places = [(p.line, p.column, p.code) for p in caught.value.problems]
    assert places == [
        (1, 4, "tag"),
        (1, 4, "ambiguous"),
        (2, 4, "not-finite"),
        (3, 5, "ambiguous"),
        (3, 10, "alias"),
        (4, 9, "syntax"),
    ]
    assert str(caught.value).endswith("\n6 problems; nothing was written")


def test_limits_are_kept_exactly() -> None:
    assert plain(read_text("[" * 32 + "]" * 32, "space.yaml"))
    most = plain(read_text("-\n" * 49_999, "space.yaml"))
    assert isinstance(most, list)
    assert len(most) == 49_999
    assert plain(read_text("a" + " " * 249_999, "space.yaml")) == "a"


def test_an_alias_counts_as_if_written_out() -> None:
    deep = "- &a " + "[" * 20 + "]" * 20 + "\n- " + "[" * 12 + "*a" + "]" * 12
    with pytest.raises(SpecError, match=exactly("2:15: nested more than 32 deep [too-deep]")):
        read_text(deep, "space.yaml")
    wide = "- &a [" + "x," * 24_998 + "]\n- *a\n- x\n"
    with pytest.raises(SpecError, match=exactly("4:3: more than 50,000 values [too-large]")):
        read_text(wide + "- one too many", "space.yaml")


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_long_list_of_problems_is_cut_but_counted() -> None:
    problems = Problems("space.yaml")
    for line in range(250, 0, -1):
        problems.add(Mark(line, 1), "no", "tag")
    assert len(problems) == 250
    with pytest.raises(
        SpecError, match=r"\Aspace.yaml:1:1: (?s:.)*\n\.\.\. and 150 more\n250 problems; nothing was written\Z"
    ) as caught:
        problems.raise_if_any()
    assert len(caught.value.problems) == 250


def test_the_same_problem_is_listed_once() -> None:
    problems = Problems("space.yaml")
    problems.raise_if_any()
    problems.add(Mark(2, 3), "unknown key 'a'", "unknown-key", "did you mean 'b'?")
    problems.add(Mark(2, 3), "unknown key 'a'", "unknown-key", "did you mean 'b'?")
    with pytest.raises(SpecError, match=exactly("2:3: unknown key 'a' [unknown-key]\n  hint: did you mean 'b'?")):
        problems.raise_if_any()


def test_a_spec_error_survives_pickling() -> None:
    error = SpecError([Problem("f", 2, 1, "b", "tag"), Problem("f", 1, 1, "a", "tag", "c")])
    copy = pickle.loads(pickle.dumps(error))
    assert copy.problems == error.problems
    assert str(copy) == str(error) == "f:1:1: a [tag]\n  hint: c\nf:2:1: b [tag]\n2 problems; nothing was written"


def test_nearest_is_deaf_to_case_and_gives_up_on_what_is_far_or_long() -> None:
    assert nearest("kernal", ["depth", "kernel"]) == "kernel"
    assert nearest("KERNEL", ["depth", "Kernel"]) == "Kernel"
    assert nearest("zzz", ["depth", "kernel"]) is None
    assert nearest("a" * 101, ["a" * 100]) is None
    assert nearest("a", []) is None


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_reads_like_its_text(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE, encoding="utf-8")
    assert read(path) == read(str(path)) == read_text(SPACE, "space.yaml")


def test_problems_of_a_file_name_it(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_bytes(b"a: no")
    with pytest.raises(SpecError, match=rf"\A{re.escape(str(path))}:1:4: 'no' is read in two ways \[ambiguous\]\n"):
        read(path)


def test_what_is_there_is_not_the_nearest_of_itself(tmp_path: Path) -> None:
    """Where a folder stands in the place of a file."""
    (tmp_path / "menu").mkdir()
    assert nearest_file(tmp_path / "menu") is None
    (tmp_path / "menu.json").touch()
    assert nearest_file(tmp_path / "menu") == "did you mean 'menu.json'?"


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").touch()
    (tmp_path / "notes.txt").touch()
    path = tmp_path / "spaec.yaml"
    message = f"{path}:1:1: no such file: 'spaec.yaml' [missing-file]\n  hint: did you mean 'space.yaml'?\n1 problem;"
    with pytest.raises(SpecError, match=re.escape(message)):
        read(path)
    with pytest.raises(SpecError, match=r"zz:1:1: no such file: 'zz' \[missing-file\]\n1 problem;"):
        read(tmp_path / "zz")
    message = "no such file: 'space.yaml' [missing-file]\n  hint: there is no folder 'no'\n"
    with pytest.raises(SpecError, match=re.escape(message)):
        read(tmp_path / "no" / "space.yaml")


def test_what_is_not_a_regular_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SpecError, match=re.escape(f"{path}:1:1: not a regular file [unreadable]\n1 problem;")):
            read(path)


@pytest.mark.parametrize(
    ("name", "problem"), [("a" * 300, "cannot be read: File name too long"), ("a\0b", r"no such file: 'a\\x00b'")]
)
def test_impossible_file_names_are_problems(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(SpecError, match=rf":1:1: {problem} \["):
        read(tmp_path / name)


def test_a_large_file_is_refused_before_all_of_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # sparse: reading it all would take the machine down
    with pytest.raises(SpecError, match=re.escape(f"{path}:1:1: the file has more than 250,000 bytes [too-large]\n")):
        read(path)


# --- hostile input ----------------------------------------------------------------------------------------------------
