"""Kernels that others measured: read as nn-Meter writes them, summed to networks, searched with, refused with place."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas import files
from nas.imported_kernels import import_kernels, is_kernels
from nas.stages import kernels as stage
from nas.terms import WRONG_INPUT
from predictors.latency import TableError, Target
from predictors.latency.amounts import amounts
from predictors.latency.interpolation import Interpolation
from predictors.latency.kernels import Entry, kind, read
from predictors.latency.key import BoundaryKey, Key, LayerKey
from predictors.latency.plan import distinct_keys
from predictors.latency.sums import sums_of
from predictors.metrics import mape
from spaces import Space
from spaces.randomness import generator
from tests.examples import convnet, mobile
from tests.kernel_files import as_file
from tests.nas.commands import nas
from tests.nas.tiny import TINY, asked

CONV = {"HW": 13, "CIN": 212, "COUT": 176, "KERNEL_SIZE": 1, "STRIDES": 1}
"""The example of nn-Meter's documentation, as the time below."""
POOL = {"HW": 7, "CIN": 8}
TIME = "37.53 +- 0.314"
PRECISION = "{choice: [float, w8a8], per: layer}"
MIXED = TINY.replace("[float, w8a8, w4a8]", "[float, w8a8]")
CONVNET = convnet("[{depth: {choice: [1, 2]}, width: {choice: [4, 8]}, residual: true}]", precision=PRECISION)
MOBILE = mobile(PRECISION, "hard_swish")


def ms_of(key: Key) -> float:
    """A made-up device."""
    found = amounts(key)
    return 0.01 + 1e-6 * found.macs + 1e-5 * (found.read + found.written)


def layer(op: str, *sizes: int, after: str = "none", groups: int = 1, others: int = 0) -> LayerKey:
    """A float key of (kernel, stride, c_in, c_out, h)."""
    taps, stride, c_in, c_out, h = sizes
    forms = ("f32", "f32", "f32", after, groups)
    return LayerKey(op, taps, stride, c_in, c_out, h, h, 1, *forms, others=others)


def put(folder: Path, **named: object) -> Path:
    """JSON files of these names."""
    folder.mkdir(exist_ok=True)
    for name, data in named.items():
        (folder / f"{name}.json").write_text(json.dumps(data))
    return folder


def one(kernel: str, config: dict[str, Any], latency: object = 0.5) -> list[Entry]:
    """A file of one row."""
    return [Entry("file", kernel, config, latency)]


def rows_of(keys: Sequence[Key]) -> list[Entry]:
    """A file that has all these."""
    return [
        Entry(name, kernel, said["config"], said["latency"])
        for kernel, named in as_file({key: ms_of(key) for key in keys}).items()
        for name, said in named.items()
    ]


OTHER = one("fc", {"CIN": 1000, "COUT": 1000}, 0.01)
"""A table has two rows."""


# --- Reading ----------------------------------------------------------------------------------------------------------


def test_shapes_and_times_of_nn_meter_lie_in_two_files(tmp_path: Path) -> None:
    """What was never timed, or in vain, is counted; of several times of one layer the median counts."""
    shapes = {"YB2F4N": {"model": "x", "shapes": [[13, 13, 212]], "config": CONV}, "LATE": {"config": CONV}}
    folder = put(
        tmp_path / "results", prior={"conv-bn-relu": shapes}, profiled={"conv-bn-relu": {"YB2F4N": {"latency": TIME}}},
        more={
            "conv-relu": {"A": {"config": CONV, "latency": 38.53}}, "se": {"B": {"config": CONV, "latency": 1.0}},
            "global-avgpool": {
                "C": {"config": POOL, "latency": 0.4}, "D": {"config": POOL, "latency": 0.6},
                "E": {"config": POOL, "latency": "0.0 +- 0.0"},
            },
        },
    )  # fmt: skip
    found, header = import_kernels(folder, "ms")
    assert found.keys == (layer("conv", 1, 1, 212, 176, 13, after="relu"), layer("pool", 1, 1, 8, 8, 7))
    assert found.ms.tolist() == [pytest.approx(38.03), 0.5]
    assert (dict(found.left_out), header["untimed"]) == ({"se": 1}, 2)
    assert header["kernels"] == {"conv f32": 1, "pool": 1}
    assert import_kernels(folder, "us")[0].ms.tolist() == [pytest.approx(0.03803), 0.0005]


@pytest.mark.parametrize("first", ["kernel", "model_path"])
def test_a_csv_file_names_the_kernel_in_a_column(tmp_path: Path, first: str) -> None:
    """nn-Meter's own has the path of a model, and features at the end."""
    path = tmp_path / "conv.csv"
    name = "dwconv-bn-relu6" if first == "kernel" else "dwconv-bn-relu6_prior_XY"
    rows = f"{name},14,32,32,3,2,0.1,0.25\n{name},14,32,32,3,1,0.1,0.5\n"
    path.write_text(f"{first},HW,CIN,COUT,KERNEL_SIZE,STRIDES,feature_0,latency\n{rows}")
    keys = tuple(layer("conv", 3, stride, 32, 32, 14, after="relu6", groups=32) for stride in (1, 2))
    assert import_kernels(path, "ms")[0].keys == keys
    (tmp_path / "add.csv").write_text("model_path,HW,CIN,CIN,latency\nadd_prior_A,7,8,8,0.1\n")
    (tmp_path / "concat.csv").write_text("model_path,HW,CIN1,CIN2,CIN3,CIN4,latency\nconcat_A,7,8,4,2,0,0.1\n")
    (tmp_path / "notes.txt").write_text("kept")
    both = layer("add", 1, 1, 8, 8, 7), layer("concat", 1, 1, 8, 14, 7, others=3)
    assert set(import_kernels(tmp_path, "ms")[0].keys) == {*keys, *both}


@pytest.mark.parametrize(
    ("kernel", "config", "key"),
    [
        ("conv", CONV, layer("conv", 1, 1, 212, 176, 13)),
        ("conv-bn-hswish", CONV, layer("conv", 1, 1, 212, 176, 13, after="hard_swish")),
        ("conv-bn-bn-relu", CONV, layer("conv", 1, 1, 212, 176, 13, after="relu")),
        ("dwconv", {"HW": 7, "CIN": 8, "KERNEL_SIZE": 3, "STRIDES": 1}, layer("conv", 3, 1, 8, 8, 7, groups=8)),
        (
            "dwconv-swish", {**CONV, "STRIDES": 2, "COUT": 212},
            layer("conv", 1, 2, 212, 212, 13, after="swish", groups=212),
        ),
        ("fc-relu", {"CIN": 8, "COUT": 4}, layer("linear", 1, 1, 8, 4, 1, after="relu")),
        ("maxpool", {"HW": 8, "CIN": 4, "KERNEL_SIZE": 3, "POOL_STRIDES": 2}, layer("max_pool", 3, 2, 4, 4, 8)),
        ("avgpool", {"HW": 8, "CIN": 4, "KERNEL_SIZE": 2, "POOL_STRIDES": 2}, layer("avg_pool", 2, 2, 4, 4, 8)),
        ("global-avgpool", {"HW": 7, "CIN": 4}, layer("pool", 1, 1, 4, 4, 7)),
        ("add", {"HW": 7, "CIN": 4}, layer("add", 1, 1, 4, 4, 7)),
        ("addrelu", {"HW": 7, "CIN": 4}, layer("add", 1, 1, 4, 4, 7, after="relu")),
        ("concat", {"HW": 7, "CIN1": 4, "CIN2": 2}, layer("concat", 1, 1, 4, 6, 7)),
        ("concat", {"HW": 7, "CIN1": 4, "CIN2": 2, "CIN3": 1}, layer("concat", 1, 1, 4, 7, 7, others=3)),
        ("multiply", {"HW": 7, "CIN": 4}, layer("multiply", 1, 1, 4, 4, 7, others=1)),
        ("quantize", {"HW": 7, "CIN": 4}, BoundaryKey("quantize", 4, 7, 7)),
    ],
)  # fmt: skip
def test_every_kernel_becomes_the_row_of_a_layer(kernel: str, config: dict[str, Any], key: Key) -> None:
    assert key in read("file", one(kernel, config, 0.001) + OTHER, "ms").keys


def test_a_precision_may_stand_beside_the_shapes() -> None:
    keys = read("file", one("conv-relu", {**CONV, "PRECISION": "w8a8"}) + OTHER, "ms").keys
    assert keys[0] == replace(layer("conv", 1, 1, 212, 176, 13, after="relu"), weight="w8c", source="u8", target="u8")


@pytest.mark.parametrize("space", [CONVNET, MOBILE], ids=["convnet", "mobile"])
def test_what_a_space_needs_can_be_said_in_these_words(space: Space) -> None:
    """Every key comes back as it was, but for integers that become floats: these words do not say what is given."""
    keys = distinct_keys(space, Target())
    found = read("file", rows_of(keys), "ms")
    assert set(map(kind, keys)) == found.kinds()
    assert {key for key in keys if isinstance(key, BoundaryKey) or key.source == key.target} <= set(found.keys)


@pytest.mark.parametrize(
    ("config", "latency", "message"),
    [
        (CONV, "nan", "latency: 'nan' is not a time in ms [bad-value]"),
        (CONV, -1, "latency: -1 is not a time in ms [bad-value]"),
        (CONV, "", "latency: '' is not a time in ms [bad-value]"),
        (CONV, 1e8, "latency: 100000000.0 is not a time in ms [bad-value]"),
        (CONV, 10**400, f"latency: {str(10**400)[:60]} is not a time in ms [bad-value]"),
        (CONV, "1_0", "latency: '1_0' is not a time in ms [bad-value]"),
        (CONV, "1 +- x", "latency: '1 +- x' is not a time in ms [bad-value]"),
        (CONV, [1], "latency: [1] is not a time in ms [bad-value]"),
        (CONV, True, "latency: True is not a time in ms [bad-value]"),
        (CONV, "inf +- 0", "latency: 'inf +- 0' is not a time in ms [bad-value]"),
        ({**CONV, "COUT": 0}, 1, "COUT: 0 is not a whole number above 0 [bad-value]"),
        ({**CONV, "HW": "7.5"}, 1, "HW: '7.5' is not a whole number above 0 [bad-value]"),
        ({**CONV, "CIN": True}, 1, "CIN: True is not a whole number above 0 [bad-value]"),
        ({**CONV, "HW": "\u0661"}, 1, "HW: '\u0661' is not a whole number above 0 [bad-value]"),
        ({"HW": 3, "CIN": 3, "COUT": 3, "KERNEL_SIZE": 3}, 1, "STRIDES: it is missing [missing-key]"),
        (
            {**CONV, "PRECISION": "int8"}, 1,
            "PRECISION: unknown precision 'int8' [unknown-name]\n  hint: known: float, w8a8",
        ),
        (
            {**CONV, "PRECISION": ["w8a8"]}, 1,
            "PRECISION: unknown precision '['w8a8']' [unknown-name]\n  hint: did you mean 'w8a8'?",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row_is_said_with_its_place(config: dict[str, Any], latency: object, message: str) -> None:
    with pytest.raises(TableError, match=rf"\A{re.escape('file: ' + message)}\Z"):
        read("x", one("conv-bn-relu", config, latency), "ms")


@pytest.mark.parametrize(
    ("entries", "unit", "message"),
    [
        (OTHER, "msec", "unknown unit 'msec' [unknown-name]\n  hint: did you mean 'ms'?"),
        ([], "ms", "x: two kernels of layers are the least, not 0 [missing-row]"),
        (
            one("se", {}) + one("split", {}) + OTHER, "ms",
            "x: two kernels of layers are the least, not 1; those of se, split are none [missing-row]",
        ),
        (one("", CONV), "ms", "file: kernel: it is missing [missing-key]"),
        (one("concat", {"HW": 7, "CIN1": 4}), "ms", "file: CIN2: it is missing [missing-key]"),
        (
            one("dwconv", {**CONV, "COUT": 8}), "ms",
            "file: COUT: 8 is not CIN, as of depthwise kernels [bad-value]",
        ),
        (
            one("add", POOL, 0.05) + one("fc", {"CIN": 4, "COUT": 4}, 0.05), "us",
            "x: half of the kernels take less than 5e-05 ms: that cannot be in us [wrong-unit]",
        ),
        (
            one("conv", CONV, 2000) + one("fc", {"CIN": 4, "COUT": 4}, 2), "s",
            "x: no kernel does more than 3.153 multiplications in a millisecond: that cannot be in s [wrong-unit]",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(entries: list[Entry], unit: str, message: str) -> None:
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        read("x", entries, unit)


def test_what_is_wrong_with_files_is_said_with_all_places(tmp_path: Path) -> None:
    folder = put(
        tmp_path / "results", a={"conv": {"A": {"latency": 1}, "B": {"config": CONV, "latency": -1}}},
        b={"conv": {"B": {"config": {**CONV, "HW": 1}}}, "fc": 3},
    )  # fmt: skip
    message = (
        f"{folder}/b.json: conv, B: config stands in another file too [duplicate]\n"
        f"{folder}/b.json: fc: not names of kernels, each with its shapes and time [wrong-type]\n"
        f"{folder}/a.json: conv, A: no config says its shapes [missing-key]\n"
        f"{folder}/a.json: conv, B: latency: -1 is not a time in ms [bad-value]"
    )
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        import_kernels(folder, "ms")
    (folder / "c.json").write_text("{")
    with pytest.raises(TableError, match=r"c\.json.*\[syntax\]\Z"):
        import_kernels(folder, "ms")
    with pytest.raises(TableError, match=r"empty: no JSON or CSV file of kernels is in this folder \[missing-file\]\Z"):
        import_kernels(put(tmp_path / "empty"), "ms")
    path = tmp_path / "x.csv"
    path.write_text("CIN,latency\n3,3\n")
    message = f"{path}:1: no column 'kernel' [missing-key]\n  hint: such as conv-bn-relu, dwconv-bn or fc"
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        import_kernels(path, "ms")
    path.write_text("kernel,CIN,COUT,latency\nfc,3,3,1\n\nfc,3,4,1\n")
    with pytest.raises(TableError, match=r"x\.csv:3: an empty line, or a line break in a cell \[syntax\]\Z"):
        import_kernels(path, "ms")
    path = path.rename(tmp_path / "phone_us.csv")
    path.write_text("kernel,CIN,COUT,latency\nfc,3,3,1\nfc,3,4,1\n")
    with pytest.raises(TableError, match=r"phone_us\.csv: the name says us, but --unit says ms \[wrong-unit\]\Z"):
        import_kernels(path, "ms")


def test_tables_of_networks_are_none_of_kernels(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("ops,phone\n0,1\n")
    assert not is_kernels(path)
    assert not is_kernels(tmp_path / "missing.csv")
    assert is_kernels(tmp_path)


# --- What they are good for -------------------------------------------------------------------------------------------


def imported(folder: Path, keys: list[Key]) -> Path:
    """The table of a made-up device, as a command writes it."""
    put(folder, kernels=as_file({key: ms_of(key) for key in keys}))
    done = nas("profile", "--import", folder, "--unit", "ms", "--out", folder / "out")
    assert done.exit_code == 0, done.stderr
    return folder / "out" / "table.json"


def test_a_network_takes_the_sum_of_its_kernels(tmp_path: Path) -> None:
    """Of which half were never timed: within eight percent, and those that were exactly."""
    experiment = asked(tmp_path, MIXED)
    space = experiment.searched
    keys = distinct_keys(space, Target())
    drawn = space.sample_many(40, generator(1, "test"))
    some = [key for name in sorted(set(map(kind, keys))) for key in [k for k in keys if kind(k) == name][::2]]
    for path, share in ((imported(tmp_path / "all", keys), 1e-9), (imported(tmp_path / "some", some), 8.0)):
        recorded = stage.recorded(path)
        assert recorded is not None
        model, facts = stage.priced(space, Target(), recorded, path)
        predicted, deviation = model.predict(drawn)
        sums = sums_of(space, model.table, model.menu, 1, drawn).parts[:, :4].sum(axis=1)
        np.testing.assert_allclose(predicted, sums)
        whole, _ = stage.priced(space, Target(), read("x", rows_of(keys), "ms"), path)
        assert mape(predicted, whole.predict(drawn)[0]) < share
        np.testing.assert_allclose(deviation, predicted * facts["mape"] / 100)
        assert (facts["of"], facts["kernels"]) == ("kernels", len(keys))
        assert (facts["beyond"] > 0) == (share > 1)


def test_a_search_for_a_device_that_is_not_here(tmp_path: Path) -> None:
    """A file that runs, priced by the kernels; and nobody claims that its budget was verified."""
    experiment = asked(tmp_path, MIXED)
    path = imported(tmp_path / "phone", list(distinct_keys(experiment.searched, Target())))
    command = ["search", tmp_path / "tiny.yaml", "--table", path, "--runs", tmp_path / "runs"]
    done = nas(*command)
    message = (
        f"{path}: kernels of another device, on which nothing can be timed here [foreign-table]\n"
        "  hint: --no-remeasure searches by what they predict; the budget is then not verified\n"
    )
    assert (done.exit_code, done.stderr) == (WRONG_INPUT, message)
    done = nas(*command, "--no-remeasure")
    assert done.exit_code == 0, done.stderr
    assert "kernels it had not seen" in done.stdout
    assert "not verified: latencies are sums of kernels of another device" in done.stdout
    result = files.read_json(tmp_path / "runs" / "tiny-1" / "result.json")
    assert result["latency_model"]["of"] == "kernels"
    chosen = next(row for row in result["finalists"] if row["key"] == result["chosen"])
    card = (tmp_path / "runs" / "tiny-1" / chosen["model"]).with_name("card.md").read_text(encoding="utf-8")
    assert (
        f"Not measured for this card: not verified: latencies are sums of kernels of another device ({path})." in card
    )
    assert "Device:" not in card
    assert chosen["latency_ms"]["measured"] is None
    assert chosen["latency_ms"]["predicted"] <= result["budget"]["latency_ms"]
    imported(tmp_path / "phone", list(distinct_keys(experiment.searched, Target()))[1:])
    again = nas("evaluate", "tiny-1", chosen["key"], "--runs", tmp_path / "runs")
    changed = f"{path}: not the latency table that run 'tiny-1' began with [wrong-table]\n"
    assert (again.exit_code, again.stderr.split("  hint")[0]) == (WRONG_INPUT, changed)


def test_shapes_beyond_all_that_were_timed_are_counted() -> None:
    """Of their kind, in any of what they do."""
    timed = [layer("conv", 3, 1, 8, 16, 8), layer("conv", 3, 1, 32, 16, 16), layer("linear", 1, 1, 64, 64, 1)]
    found = read("file", rows_of(timed), "ms")
    asked_for = [layer("conv", 3, 1, 16, 16, 8), layer("conv", 5, 1, 16, 16, 8), layer("conv", 3, 1, 16, 64, 8)]
    assert found.beyond([*timed, *asked_for]) == [False, False, False, False, True, True]


def test_what_a_table_lacks_is_said(tmp_path: Path) -> None:
    """By kind of layer: of another kind nothing can be predicted."""
    experiment = asked(tmp_path, MIXED)
    keys = [key for key in distinct_keys(experiment.searched, Target()) if kind(key) not in ("conv w8c", "quantize")]
    path = imported(tmp_path / "phone", keys)
    done = nas("search", tmp_path / "tiny.yaml", "--table", path, "--no-remeasure", "--runs", tmp_path / "runs")
    message = (
        f"{path}: has no kernel of: conv w8c, quantize; space tiny has such layers [missing-row]\n"
        "  hint: it has: conv f32, dequantize, linear f32, linear w8c, pool\n"
    )
    assert (done.exit_code, done.stderr) == (WRONG_INPUT, message)
    assert not (tmp_path / "runs").exists()


def test_a_table_for_other_calls_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    experiment = asked(tmp_path, MIXED + "device: {batch: 4}\n")
    path = imported(tmp_path / "phone", list(distinct_keys(experiment.searched, Target())))
    recorded = stage.recorded(path)
    assert recorded is not None
    with pytest.raises(TableError, match=r"kernels of one image, but the experiment asks for batch 4 \[foreign\]\Z"):
        stage.priced(experiment.searched, experiment.device.target(), recorded, path)
    data = files.read_json(path)
    for change, problem in (
        ({"rows": data["rows"][:-1]}, r"its digest differs \[damaged\]"),
        ({"rows": [3]}, "damaged table"),
    ):
        other = {name: value for name, value in {**data, **change}.items() if name != "digest"}
        digest = data["digest"] if "differs" in problem else files.sha256(files.canonical_json(other))
        path.write_text(json.dumps({**other, "digest": digest}))
        with pytest.raises(TableError, match=problem):
            stage.recorded(path)


def test_nothing_is_written_over_what_was_read(tmp_path: Path) -> None:
    folder = put(tmp_path / "phone", kernels=as_file(dict.fromkeys(distinct_keys(CONVNET, Target()), 0.1)))
    for source in (folder, folder / "kernels.json"):
        done = nas("profile", "--import", source, "--unit", "ms", "--out", folder)
        message = f"{folder}: the source lies there: --out has to be another folder [ambiguous]\n"
        assert (done.exit_code, done.stderr) == (WRONG_INPUT, message)
    assert [path.name for path in folder.iterdir()] == ["kernels.json"]


def test_rare_kinds_are_known_beside_many_rows_of_another() -> None:
    """Of so many rows a part is read, but some of each kind."""
    many = {layer("conv", 3, 1, c_in, c_out, 7): 0.5 for c_in in range(1, 61) for c_out in range(1, 61)}
    ms = {**many, layer("pool", 1, 1, 8, 8, 7): 0.02, layer("pool", 1, 1, 16, 16, 7): 0.03}
    found = Interpolation.of(list(ms), list(ms.values()), 0.0)
    assert found.ms([layer("pool", 1, 1, 12, 12, 7)])[0] == pytest.approx(0.025, rel=0.3)


def test_options_of_tables_of_networks_are_refused(tmp_path: Path) -> None:
    folder = put(tmp_path / "phone", kernels={"conv": {"A": {"config": CONV, "latency": 1}}})
    done = nas("profile", "--import", folder, "--unit", "ms", "--out", tmp_path / "out", "--predictor", "mlp")
    message = f"--predictor belongs to tables of networks; {folder} has kernels [unknown-key]\n"
    assert (done.exit_code, done.stderr) == (WRONG_INPUT, message)
