"""Tables of others: what is sound is imported as it stands, everything else is refused with its place."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spaces
from nas import imported
from nas.evaluators.tabular import read_table
from nas.terms import WRONG_INPUT
from predictors.latency import TableError
from spaces.randomness import generator

NETWORKS = [
    "".join(map(str, digits)) for digits in dict.fromkeys(map(tuple, generator(0, "test").integers(9, size=(30, 22))))
]
COST = 1 + np.arange(9) % 4 + np.arange(9) / 9


def row(i: int) -> list[str]:
    """A row of a table in FBNet's layout: two devices, one of them in two batch sizes."""
    ms = 1 + sum(COST[int(c)] for c in NETWORKS[i])
    return [str(i), NETWORKS[i], f"{ms:.3f}", f"{1.5 * ms + 2:.3f}", f"{2 * ms + i % 3:.3f}"]


HEAD = ["index", "ops", "gpu_1", "gpu_32", "phone"]
ROWS = [row(i) for i in range(len(NETWORKS))]


def file_of(folder: Path, rows: list[list[str]], head: list[str] = HEAD, name: str = "table.csv") -> Path:
    """A CSV file."""
    path = folder / name
    path.write_text("\n".join(",".join(cells) for cells in [head, *rows]) + "\n")
    return path


def changed(*changes: tuple[int, int, str]) -> list[list[str]]:
    """The rows with some cells (row, column, text) replaced."""
    rows = [list(cells) for cells in ROWS]
    for i, j, text in changes:
        rows[i][j] = text
    return rows


def test_what_is_imported_is_read_by_the_table_evaluator(tmp_path: Path) -> None:
    """In milliseconds, with a header that says from what."""
    found, header = imported.import_table(file_of(tmp_path, ROWS), "ms")
    predicted, header["transfer"] = imported.transferred(found, "phone", 10)
    imported.write(tmp_path / "out", found, header, {"phone": predicted})
    table = read_table(tmp_path / "out/table.csv", spaces.load("fbnet"))
    assert table.column("phone").tolist() == [float(cells[4]) for cells in ROWS]
    np.testing.assert_array_equal(table.column("phone predicted"), predicted)
    said = json.loads((tmp_path / "out/table.json").read_text())
    assert (said["unit"], said["space"], said["devices"]) == ("ms", "fbnet", ["gpu_1", "gpu_32", "phone"])
    assert said["transfer"]["known"] == ["gpu_1", "gpu_32"]
    again, _ = imported.import_table(tmp_path / "out/table.csv", "ms", "fbnet", ["phone"])
    assert again.ms["phone"].tolist() == found.ms["phone"].tolist()


def test_the_unit_is_converted(tmp_path: Path) -> None:
    """Microseconds become milliseconds."""
    in_us = [[*cells[:2], *(str(1000 * float(ms)) for ms in cells[2:])] for cells in ROWS]
    found, _ = imported.import_table(file_of(tmp_path, in_us), "us")
    np.testing.assert_allclose(found.ms["gpu_1"], [float(cells[2]) for cells in ROWS])


def test_a_file_with_an_index_only_takes_its_networks_from_another(tmp_path: Path) -> None:
    """As the latencies of NAS-Bench-201 come."""
    names = file_of(tmp_path, [["0", "|a"], ["1", "|b"]], ["index", "arch_str"], "names.csv")
    bare = file_of(tmp_path, [["0", "5"], ["7", "6"]], ["index", "phone"])
    message = f"{bare}:3: column 'index': '7' is not in names.csv [foreign]"
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        imported.import_table(bare, "ms", names=names)


def test_a_transfer_reads_no_time_of_the_new_device_but_its_samples(tmp_path: Path) -> None:
    """All others NaN: the same samples and predictions."""
    found, _ = imported.import_table(file_of(tmp_path, ROWS), "ms")
    predicted, facts = imported.transferred(found, "phone", 10)
    hidden = np.full(len(ROWS), np.nan)
    hidden[facts["rows"]] = found.ms["phone"][facts["rows"]]
    again, same = imported.transferred(replace(found, ms={**found.ms, "phone": hidden}), "phone", 10)
    assert same["rows"] == facts["rows"]
    np.testing.assert_array_equal(again, predicted)


def test_families_are_devices_in_all_batch_sizes() -> None:
    """A number at the end counts only if another device differs in it alone."""
    devices = ["1080ti_1", "1080ti_32", "silver_4114", "silver_4210r", "essential_ph_1", "phone"]
    found = [imported.family(device, devices) for device in devices]
    assert found == ["1080ti", "1080ti", "silver_4114", "silver_4210r", "essential_ph_1", "phone"]


LAYERS = "half of the networks, of {layers} layers and {macs} MACs, take {ms} ms"
FBNET = NETWORKS[0]

BAD = {
    "nan": (changed((1, 4, "nan")), HEAD, "{file}:3: column 'phone': 'nan' is not a time in ms [bad-value]"),
    "negative": (changed((0, 2, "-3")), HEAD, "{file}:2: column 'gpu_1': '-3' is not a time in ms [bad-value]"),
    "zero": (changed((0, 2, "0")), HEAD, "{file}:2: column 'gpu_1': '0' is not a time in ms [bad-value]"),
    "text": (changed((0, 2, "fast")), HEAD, "{file}:2: column 'gpu_1': 'fast' is not a time in ms [bad-value]"),
    "missing cell": (changed((2, 3, "")), HEAD, "{file}:4: column 'gpu_32': the time is missing [bad-value]"),
    "duplicate": (changed((5, 1, FBNET)), HEAD, "{file}:7: column 'ops': the network of line 2 again [duplicate]"),
    "missing row": (ROWS[:3] + ROWS[4:], HEAD, "{file}:5: column 'index': '4' where 3 is due [missing-row]"),
    "short row": ([*ROWS[:2], ROWS[2][:3]], HEAD, "{file}:4: fewer cells than the 5 columns [syntax]"),
    "long row": ([*ROWS[:2], [*ROWS[2], "1"]], HEAD, "{file}:4: more cells than the 5 columns [syntax]"),
    "foreign": (
        changed((0, 1, "12")),
        HEAD,
        "{file}:2: column 'ops': '12': expected 22 digits, got 2 [syntax]",
    ),
    "column twice": (ROWS, [*HEAD[:4], "gpu_1"], "{file}:1: column 'gpu_1' stands twice [duplicate]"),
    "unit in a name": (
        ROWS,
        [*HEAD[:4], "phone_us"],
        "{file}:1: column 'phone_us': the name says us, but --unit says ms [wrong-unit]",
    ),
    "all at once": (
        changed((0, 4, "nan"), (1, 4, "-1"), (2, 1, "x")),
        HEAD,
        "{file}:4: column 'ops': 'x': expected 22 digits, got 1 [syntax]\n"
        "{file}:2: column 'phone': 'nan' is not a time in ms [bad-value]\n"
        "{file}:3: column 'phone': '-1' is not a time in ms [bad-value]",
    ),
    "too many": (
        changed(*((i, 4, "nan") for i in range(25))),
        HEAD,
        "\n".join(f"{{file}}:{i + 2}: column 'phone': 'nan' is not a time in ms [bad-value]" for i in range(20))
        + "\nand 5 more problems",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_refused_with_file_row_and_column(tmp_path: Path, case: str) -> None:
    """Every problem at once, up to twenty."""
    rows, head, message = BAD[case]
    path = file_of(tmp_path, rows, head)
    with pytest.raises(TableError, match=rf"\A{re.escape(message.format(file=path))}\Z"):
        imported.import_table(path, "ms")


@pytest.mark.parametrize(("factor", "unit"), [(0.1, "us"), (1e7, "ms")])
def test_a_unit_that_cannot_be_is_refused(tmp_path: Path, factor: float, unit: str) -> None:
    """Milliseconds called microseconds, and times of a machine slower than any."""
    rows = [[*cells[:2], *(f"{factor * float(ms):.3f}" for ms in cells[2:])] for cells in ROWS]
    path = file_of(tmp_path, rows)
    with pytest.raises(TableError, match=r"\[wrong-unit\]\Z") as error:
        imported.import_table(path, unit)
    said = str(error.value).splitlines()
    form = r"half of the networks, of \d+ layers and \S+ MACs, take \S+ ms: that cannot be in (us|ms) \[wrong-unit\]"
    assert len(said) == 3
    assert all(re.fullmatch(rf"{re.escape(str(path))}: column '\w+': {form}", line) for line in said)


def test_names_are_checked(tmp_path: Path) -> None:
    """Unit, device, predictor, device of the transfer; the nearest is named."""
    path = file_of(tmp_path, ROWS)
    cases = [
        ({"unit": "mss"}, "unknown unit 'mss' [unknown-name]\n  hint: did you mean 'ms'?"),
        ({"devices": ["phon"]}, f"{path}:1: unknown device 'phon' [unknown-name]\n  hint: did you mean 'phone'?"),
        ({"predictor": "tree"}, "unknown predictor 'tree' [unknown-name]\n  hint: did you mean 'trees'?"),
    ]
    for options, message in cases:
        with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
            imported.import_table(path, **{"unit": "ms", **options})  # type: ignore[arg-type]
    found, _ = imported.import_table(path, "ms")
    message = (
        "transfer to 'phone': 31 samples of 30 networks and 2 devices of other families: "
        "needs 2 samples and 1 device [out-of-range]"
    )
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        imported.transferred(found, "phone", 31)


def test_a_header_of_another_device_unit_thread_count_or_content_is_refused(tmp_path: Path) -> None:
    """The header of a table that lies beside it, all at once."""
    path = file_of(tmp_path, ROWS)
    path.with_suffix(".json").write_text('{"unit": "us", "threads": 4, "sha256": "0", "devices": ["gpu_1", "gpu_32"]}')
    header = path.with_suffix(".json")
    message = (
        f"{header}: the unit is 'us', but --unit says ms [wrong-unit]\n"
        f"{header}: the digest is another: table.csv was changed after it was written [damaged]\n"
        f"{header}: measured with 4 threads, but --threads says 1 [foreign]\n"
        f"{header}: column 'phone' is no device of the header [foreign]"
    )
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        imported.import_table(path, "ms", threads=1)


def test_the_command_writes_the_table_or_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and no folder when something is wrong."""
    from typer.testing import CliRunner

    from nas.cli import app

    out = tmp_path / "out"
    asked = ["profile", "--import", str(file_of(tmp_path, ROWS)), "--out", str(out), "--json", "--unit"]
    assert CliRunner().invoke(app, [*asked, "us"]).exit_code == WRONG_INPUT
    assert not out.exists()
    done = CliRunner().invoke(app, [*asked, "ms"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["networks"] == len(ROWS)
    with (out / "table.csv").open() as stream:
        assert len(list(csv.reader(stream))) == len(ROWS) + 1


def test_a_search_refuses_an_imported_table(tmp_path: Path) -> None:
    """It has no times of layers; the message says what it is good for."""
    from nas.experiment import load
    from nas.stages.profile import read_table as read_layers

    path = tmp_path / "table.json"
    path.write_text(json.dumps({"schema": imported.IMPORTED}))
    message = (
        f"{path}: whole networks that others measured; a search prices layers of its device [foreign-table]\n"
        "  hint: compare strategies on it with: nas bench strategies --space SPACE --table table.csv --objective DEVICE"
    )
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        read_layers(path, load("digits"), 0)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """Like any that does not say which networks it is about."""
    path = tmp_path / "empty.csv"
    path.write_text("")
    message = (
        f"{path}:1: no column names a network [missing-key]\n  hint: ofa: ks, expand, depth, resolution; "
        "nasbench201: arch_str; fbnet: ops; arch: arch; or HAT's ten features"
    )
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        imported.import_table(path, "ms")
