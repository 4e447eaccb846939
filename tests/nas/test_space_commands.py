"""``nas space``: what it prints, and that its schema is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import spaces
from nas.datasets import ENTRY, KINDS
from nas.experiment import schema
from spaces.load import ZOO
from spaces.yaml import plain, read_file
from tests.nas.test_cli import nas, refused

SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_check_says_that_a_file_is_right(tmp_path: Path) -> None:
    """In words and as JSON."""
    assert nas("space", "check", "digits").stdout == "digits: no problems; 3,195,072 architectures of 17 choices\n"
    assert json.loads(nas("space", "check", "digits", "--json").stdout)["size"] == 3_195_072


def test_check_lists_every_problem_of_the_whole_file(tmp_path: Path) -> None:
    """Of sections that make no space, too."""
    source = tmp_path / "bad.yaml"
    source.write_text("model: {family: convnet, stages: [{widht: 3}]}\ntrain: {epochs: 0}\n", encoding="utf-8")
    done = nas("space", "check", source)
    assert done.exit_code == 2
    assert "bad.yaml:1:36: unknown key 'space.model.stages.0.widht' [unknown-key]" in done.stderr
    what = "'space.train.epochs' must be at least 1 and at most 100000, not 0 [out-of-range]"
    assert f"bad.yaml:2:17: {what}" in done.stderr
    assert done.stderr.endswith("2 problems; nothing was written\n")


def test_count_is_exact() -> None:
    """A number and nothing else."""
    assert nas("space", "count", "digits").stdout == "3195072\n"
    assert json.loads(nas("space", "count", "digits", "--json").stdout) == {"size": 3195072, "size_as_power": "10^6.5"}


def test_describe_prints_tree_size_and_costs() -> None:
    """With a limit, whether it can be kept."""
    text = nas("space", "describe", "digits", "--limit", "macs=1e6", "--limit", "parameters=5").stdout
    assert "stages\n  0\n    depth: 1, 2, 3\n" in text
    assert "3,195,072 architectures, about 10^6.5" in text
    assert "5: NOT kept by any of them" in text
    found = json.loads(nas("space", "describe", "digits", "--limit", "macs=1e6", "--json").stdout)
    assert found["costs"]["macs"]["reachable"] is True
    assert [c["name"] for c in found["choices"]][:2] == ["stages.0.depth", "stages.0.width"]


def test_sample_gives_one_architecture_per_line() -> None:
    """The same for the same seed; within limits if there are any."""
    space = spaces.load("digits")
    drawn = nas("space", "sample", "digits", "-n", "5", "--seed", "3").stdout
    assert drawn == nas("space", "sample", "digits", "-n", "5", "--seed", "3").stdout
    assert len({space.architecture(json.loads(line)) for line in drawn.splitlines()}) == 5
    limited = json.loads(nas("space", "sample", "digits", "-n", "5", "--limit", "macs=1e6", "--json").stdout)
    assert space.cost([space.architecture(values) for values in limited])["macs"].max() <= 1e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "digits", "--published"], "space digits has no published notation [no-notation]"),
        (["sample", "digits", "--limit", "macs"], "--limit macs: write NAME=NUMBER, like macs=3e8 [syntax]"),
        (["describe", "digits", "--limit", "macs=x"], "--limit macs=x: write NAME=NUMBER, like macs=3e8 [syntax]"),
        (["count", "digit"], "digit:1:1: no file and no zoo space of the name 'digit' [missing-file]\n"
         "  hint: did you mean 'digits'?\n1 problem; nothing was written"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(arguments: list[str], message: str) -> None:
    """With status 2."""
    refused(nas("space", *arguments), message)


# --- The schema -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", spaces.zoo())
def test_every_file_of_the_zoo_keeps_the_schema(name: str) -> None:
    """What the reader takes, an editor does not mark."""
    VALIDATOR.validate(plain(read_file(ZOO / f"{name}.yaml")))


def objects(node: Any) -> list[dict[str, Any]]:
    """Every closed object of the schema."""
    found = [node] if isinstance(node, dict) and node.get("additionalProperties") is False else []
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [*found, *(inner for part in parts for inner in objects(part))]


def test_keys_are_closed_and_known() -> None:
    """A mistyped key is marked, in every section of every family."""
    closed = objects(SCHEMA)
    assert len(closed) > 10
    document = plain(read_file(ZOO / "digits.yaml"))
    assert isinstance(document, dict)
    for section in ("data", "train", "device", "search", "export", "model"):
        wrong = {**document, section: {**document[section], "typo": 1}}
        assert not VALIDATOR.is_valid(wrong), section
    assert not VALIDATOR.is_valid({**document, "typo": 1})
    assert not VALIDATOR.is_valid({**document, "train": {**document["train"], "epochs": "many"}})
    assert not VALIDATOR.is_valid({key: value for key, value in document.items() if key != "model"})


def test_the_reader_refuses_no_key_that_the_schema_offers(tmp_path: Path) -> None:
    """Each key of each section, with a value of a wrong type: the problem is the value, and never the key."""
    for section, offered in SCHEMA["properties"].items():
        for key in offered.get("properties", {}):
            if section == "model":
                continue
            source = tmp_path / "space.yaml"
            source.write_text(
                f"model: {{family: convnet, stages: [{{}}]}}\n{section}: {{{key}: [[]]}}\n", encoding="utf-8"
            )
            assert "unknown key" not in nas("space", "check", source).stderr, (section, key)


@pytest.mark.parametrize("name", KINDS)
def test_each_dataset_has_keys_of_its_own_in_the_schema_and_in_the_reader(tmp_path: Path, name: str) -> None:
    """The reader knows all that the schema offers, and nothing else; an editor marks what is not there."""
    said = "entry: a:b" if name == ENTRY else f"dataset: {name}"
    (variant,) = [
        v["then"]["properties"]["data"]
        for v in SCHEMA["allOf"]
        if v["if"]["properties"].get("data", {}) in ({"required": [name]}, named(name), named(name, default=True))
    ]
    source = tmp_path / "space.yaml"
    for key in {*variant["properties"], "typo"} - {"dataset", "entry"}:
        text = "model: {family: convnet, input: [1, 8, 8], classes: 10, stages: [{}]}"
        source.write_text(f"data: {{{said}, {key}: [[]]}}\n{text}\n", encoding="utf-8")
        assert ("unknown key" in nas("space", "check", source).stderr) == (key == "typo"), (name, key)
    data = {"entry": "a:b"} if name == ENTRY else {"dataset": name}
    model = {"family": "convnet", "stages": []}
    assert VALIDATOR.is_valid({"data": data, "model": model})
    assert not VALIDATOR.is_valid({"data": {**data, "typo": 1}, "model": model})


def named(name: str, default: bool = False) -> dict[str, Any]:
    """The condition of the schema for a dataset."""
    first = {"not": {"required": ["entry"]}} if default else {"required": ["dataset"]}
    return {**first, "properties": {"dataset": {"const": name}}}


def test_the_schema_is_written_to_a_file(tmp_path: Path) -> None:
    """For an editor to point at."""
    assert nas("space", "schema", "--out", tmp_path / "schema.json").exit_code == 0
    assert json.loads((tmp_path / "schema.json").read_text()) == json.loads(nas("space", "schema").stdout) == SCHEMA
