"""``nas profile SPACE``: what is measured, what a limit leaves, what a search takes of it. On a clock of our own."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from nas import files, profiling
from nas.cli import app
from nas.experiment import load
from nas.stages import profile as stage
from nas.stages.profile import profiled, read_table
from nas.store import Store
from nas.terms import WRONG_INPUT
from predictors.latency import Table, TableError
from predictors.latency.backends.onnxruntime import OnnxRuntime
from predictors.latency.plan import distinct_keys
from tests.nas.test_stages import progress
from tests.nas.tiny import TINY, asked


class Device:
    """A clock that only timed calls move, by the size of their model. ``now`` in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.made = 0

    def prepared(self, model: bytes, threads: int) -> Any:
        """A call of one microsecond and one more for every thousand bytes."""
        self.made += 1
        seconds = 1e-6 * (1 + len(model) / 1000)

        def call() -> None:
            self.now += seconds

        return call


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    """In place of the real one, until the test ends."""
    made = Device()
    monkeypatch.setattr(OnnxRuntime, "prepared", staticmethod(made.prepared))
    monkeypatch.setattr(OnnxRuntime, "clock", lambda runtime, threads: lambda: made.now)
    monkeypatch.setattr(stage, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


MINUTES = 0.05  # enough for two thirds of the calls


def source(folder: Path) -> Path:
    """The file of a space of 169 keys."""
    path = folder / "tiny.yaml"
    path.write_text(TINY.replace("[4, 8]", "[4, 8, 12, 16, 20, 24]"), encoding="utf-8")
    return path


def test_a_limited_profile_is_completed_by_repeating_it_and_searches_take_the_last(
    device: Device, tmp_path: Path
) -> None:
    """Measured rows stay as they are; what was predicted is measured; a run keeps the table that it began with."""
    path, store = source(tmp_path), Store(tmp_path / "runs" / "store")
    space = load(path).space
    keys = {str(key) for key in distinct_keys(space, load(path).device.target())}
    first, facts = profiling.profile(path, MINUTES, runs=tmp_path / "runs")
    assert set(first.rows) | set(first.predicted) == keys
    assert not set(first.rows) & set(first.predicted)
    assert facts["rows"] == {"measured": len(first.rows), "predicted": len(first.predicted)}
    assert len(first.predicted) > 5
    assert 30 * MINUTES < device.now < 60 * MINUTES

    second, _ = profiling.profile(path, MINUTES / 10, runs=tmp_path / "runs")
    third, facts = profiling.profile(path, 3, runs=tmp_path / "runs")
    assert set(first.rows) < set(second.rows) < set(third.rows) == keys
    for name, timing in first.rows.items():
        assert third.rows[name] == timing
    assert facts["rows"]["predicted"] == 0
    assert facts["networks"] == len(third.networks) > len(first.networks)

    made = device.made
    assert profiling.profile(path, 3, runs=tmp_path / "runs")[0] == third
    model, _, entry = profiled(load(path), 0, store, None, progress())
    assert model.table == third
    assert device.made == made  # nothing was timed again
    assert entry is not None
    digests = [p.parent.name for p in store.root.glob("profile/*/manifest.json")]
    assert len(digests) == 3
    (begun,) = [d for d in digests if not Store(store.root).entry("profile", inputs(store, d)).inputs.get("after")]
    assert profiled(load(path), 0, store, None, progress(), used=begun)[0].table == first


def inputs(store: Store, digest: str) -> dict[str, Any]:
    """What an artefact was made from."""
    found: dict[str, Any] = files.read_json(store.root / "profile" / digest / "manifest.json")["inputs"]
    return found


def test_a_search_takes_a_limited_table_as_it_is(device: Device, tmp_path: Path) -> None:
    """Predicted rows answer; a key that no draw met is predicted too; nothing is measured again."""
    path = source(tmp_path)
    table, _ = profiling.profile(path, MINUTES, runs=tmp_path / "runs")
    made = device.made
    model, facts, _ = profiled(load(path), 0, Store(tmp_path / "runs" / "store"), None, progress())
    assert device.made == made
    assert model.table == table
    assert model.table.interpolation is not None
    mean, _ = model.predict(load(path).space.sample_many(200, stage.generator(0, "test")))
    assert (mean > 0).all()
    assert facts["networks"] >= stage.LEAST_JUDGED


def test_the_files_hold_every_row_and_answer_a_search(device: Device, tmp_path: Path) -> None:
    """CSV: measured rows with figures, predicted ones without. JSON: the table, how and on what it was measured."""
    path, out = source(tmp_path), tmp_path / "out"
    shell = [
        "profile",
        str(path),
        "--minutes",
        str(MINUTES),
        "--runs",
        str(tmp_path / "runs"),
        "--out",
        str(out),
        "--json",
    ]
    done = CliRunner().invoke(app, shell)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    with (out / "table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == profiling.COLUMNS
    origins = [row["origin"] for row in rows]
    assert {name: origins.count(name) for name in ("measured", "predicted")} == facts["rows"]
    assert [row["key"] for row in rows] == sorted(row["key"] for row in rows)
    written = json.loads((out / "table.json").read_text())
    table = Table.from_json(written, "t")
    for row in rows:
        timing = table.rows.get(row["key"])
        if timing is None:
            assert float(row["median_ms"]) == table.predicted[row["key"]]
            assert row["p20_ms"] == row["spread"] == row["rounds"] == ""
        else:
            assert (float(row["median_ms"]), float(row["p20_ms"])) == (timing.median_ms, timing.p20_ms)
    assert written["csv_sha256"] == files.file_digest(out / "table.csv")
    assert {"processor", "flags", "governor", "threads", "onnxruntime", "onnx"} <= set(written["device"])
    assert written["unit"] == "ms"
    assert written["measuring"]["rounds"] == 15
    assert read_table(out / "table.json", load(path), 0) == table

    written["call_ms"] *= 2
    (out / "table.json").write_text(json.dumps(written))
    message = f"{out / 'table.json'}: not what was written, its digest differs [damaged]"
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        read_table(out / "table.json", load(path), 0)


def test_the_table_for_people_says_what_is_predicted(device: Device, tmp_path: Path) -> None:
    """And how to have it measured."""
    shell = ["profile", str(source(tmp_path)), "--minutes", str(MINUTES), "--runs", str(tmp_path / "runs"), "--quiet"]
    said = CliRunner().invoke(app, shell).stdout
    for line in ("rows measured", "rows predicted", "of them within 5 %", "Kendall's tau", "sessions differ by"):
        assert line in said
    assert said.rstrip().endswith("predicted rows become measured ones: repeat the command")


def test_too_little_time_keeps_what_was_timed(device: Device, tmp_path: Path) -> None:
    """Nothing is made up; the next call goes on."""
    path = source(tmp_path)
    message = (
        "space tiny: 0 networks were timed, too few for a latency model [too-little-time]\n"
        "  hint: go on with more --minutes; what was timed is kept"
    )
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        profiling.profile(path, 0, runs=tmp_path / "runs")
    with pytest.raises(TableError, match="networks were timed, too few"):
        profiling.profile(path, 1e-6, runs=tmp_path / "runs")
    made = device.made
    table, _ = profiling.profile(path, 3, runs=tmp_path / "runs")
    whole, _ = profiling.profile(path, 3, runs=tmp_path / "others")
    assert set(table.rows) == set(whole.rows)
    assert device.made - made < 2 * made + 2 * len(whole.rows) + 8 * len(whole.networks)


ONE = "nas profile takes SPACE, to measure here, or --import FILE"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], f"{ONE} [ambiguous]"),
        (["digits", "--import", "t.csv"], f"{ONE}, not both [ambiguous]"),
        (["digits", "--unit", "ms"], "--unit belongs to --import, not to a measurement [unknown-key]"),
        (["--import", "t.csv", "--out", "x"], "--import needs --unit [missing-value]"),
        (["--import", "t.csv", "--unit", "ms"], "--import needs --out [missing-value]"),
    ],
)
def test_a_command_that_is_ambiguous_is_refused(given: list[str], message: str) -> None:
    """Status 2 and one line."""
    done = CliRunner().invoke(app, ["profile", *given])
    assert (done.exit_code, done.stderr) == (WRONG_INPUT, f"{message}\n")


def test_a_space_that_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    """Before anything is timed or written."""
    only = TINY.replace("[float, w8a8, w4a8]", "[w3a8]")
    path = asked(tmp_path, f"{only}device: {{simulated: true}}\n").source
    done = CliRunner().invoke(app, ["profile", str(path), "--runs", str(tmp_path / "runs")])
    assert done.exit_code == WRONG_INPUT
    assert "precision w3a8 has no ONNX form, it is simulated [not-exportable]" in done.stderr
    assert not (tmp_path / "runs").exists()
