"""The main job, whole, on a cut-down space: what a run leaves behind, and that it fits together."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml
from safetensors.numpy import load as load_safetensors

import nas
from nas import experiment, files
from nas.ledger import Ledger
from nas.store import Store
from predictors.energy import energy_pj
from predictors.latency import Table
from predictors.latency.backends import onnxruntime as backend
from spaces import Architecture, Space
from tests.nas.tiny import Finished

KEY = 16


@pytest.fixture(scope="module")
def result(finished: Finished) -> dict[str, Any]:
    """``result.json`` as another program reads it."""
    found = files.read_json(finished.folder / "result.json")
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def space(finished: Finished) -> Space:
    """The searched space."""
    return experiment.load(finished.source).space


def test_the_run_folder_holds_what_the_design_says(finished: Finished) -> None:
    """A run is its folder: nothing else is needed to read it."""
    names = {path.name for path in finished.folder.iterdir()}
    assert {"experiment.yaml", "ledger.jsonl", "exports", "result.json", "report.html", "log.jsonl"} <= names
    assert {p.name for p in (finished.runs / "store").iterdir()} == {"train", "profile", "fit"}


def test_nothing_temporary_stays(finished: Finished) -> None:
    """No half-written file, no checkpoint of a finished stage."""
    left = [p.name for p in finished.runs.rglob("*") if p.name.startswith((".tmp", "checkpoint"))]
    assert left == []


def test_the_result_has_the_schema_of_the_design(result: dict[str, Any], space: Space) -> None:
    """Other programs read these names and types."""
    assert result["run"] == "tiny-1"
    assert result["space"] == {"name": "tiny", "size": space.size, "searched": space.size}
    assert result["metric"] == {"name": "top-1 accuracy", "unit": "%", "sense": "max"}
    assert set(result["budget"]) == {"latency_ms"}
    assert isinstance(result["budget_met"], bool)
    assert result["chosen"] is None or len(result["chosen"]) == KEY
    assert set(result["seconds"]) == {"build", "train", "profile", "fit", "search", "verify"}
    assert {"backend", "threads", "batch", "processor", "onnxruntime"} <= set(result["device"])
    assert result["finalists"]
    for row in result["finalists"]:
        assert len(row["key"]) == KEY
        assert isinstance(row["architecture"], dict)
        assert set(row["quality"]) == {"predicted", "supernet", "exported"}
        assert set(row["latency_ms"]) == {"predicted", "measured", "measured_upper", "raw"}
        assert all(v > 0 for v in row["latency_ms"].values())
        assert all(0 <= v <= 100 for v in row["quality"].values())
        assert isinstance(row["size_bytes"], int)
        assert all(isinstance(n, int) for n in row["kernels"].values())
        assert isinstance(row["container"], list)
        assert row["simulated"] == []
    for row in result["baselines"]:
        assert {"name", "key", "architecture", "quality", "latency_ms", "size_bytes"} <= set(row)


def test_the_budget_is_a_share_of_the_largest_float_network_measured_here(
    finished: Finished, result: Any, space: Space
) -> None:
    """``latency_share`` became milliseconds, from the table of this device."""
    table = Table.from_json(files.read_json(finished.table), "t")
    assert result["budget"]["latency_ms"] == pytest.approx(0.95 * table.networks[space.largest.to_json()].ms)


def test_whether_the_budget_is_met_follows_from_the_rows(result: dict[str, Any]) -> None:
    """The chosen network keeps it by its measured upper bound; if there is none, no finalist does."""
    limit = result["budget"]["latency_ms"]
    keep = [row for row in result["finalists"] if row["latency_ms"]["measured_upper"] <= limit]
    assert result["budget_met"] == bool(keep) == (result["chosen"] is not None)
    assert result["chosen"] in {row["key"] for row in keep} | ({None} if not keep else set())
    assert all(row["latency_ms"]["measured"] <= row["latency_ms"]["measured_upper"] for row in result["finalists"])


def test_baselines_are_in_the_same_table(result: dict[str, Any], space: Space) -> None:
    """Largest float, largest 8-bit, best float-only of the same search; random search where it found something."""
    rows = {row["name"]: row for row in result["baselines"]}
    assert {"largest float", "largest 8-bit", "best float-only"} <= set(rows)
    assert rows["largest float"]["key"] == space.largest.key
    assert rows["largest 8-bit"]["key"] == space.extreme(max, "w8a8").key
    precisions = {v for k, v in rows["best float-only"]["architecture"].items() if k.endswith("precision")}
    assert precisions == {"float"}
    assert all(row["quality"]["exported"] is not None for row in rows.values())


def test_every_network_of_the_result_is_of_the_space_and_its_key_is_its_own(result: Any, space: Space) -> None:
    """Architectures are validated by the space, keys computed again; the search's trials too."""
    for row in [*result["finalists"], *result["baselines"]]:
        assert space.architecture(row["architecture"]).key == row["key"]
    assert len(result["trials"]) == len({row["key"] for row in result["trials"]}) <= 60
    assert {row["key"] for row in result["front"]} <= {row["key"] for row in result["trials"]}


def test_the_front_rises_in_latency_and_quality(result: dict[str, Any]) -> None:
    """No point of it is beaten by another; quality is in percent, monotone in what was searched for."""
    for slow, fast in ((b, a) for a, b in pairwise(result["front"])):
        assert slow["latency_ms"] > fast["latency_ms"]
        assert slow["quality"] >= fast["quality"]


def test_exports_are_there_and_are_the_files_that_the_ledger_recorded(finished: Finished, result: Any) -> None:
    """Model, architecture, weights and card; the digest of the model is the recorded one."""
    recorded = {r["key"]: r for r in Ledger.read(finished.folder / "ledger.jsonl") if r["kind"] == "export"}
    for row in result["finalists"]:
        model = finished.folder / row["model"]
        assert files.file_digest(model) == recorded[row["key"]]["sha256"]
        assert model.stat().st_size == row["size_bytes"]
        assert {p.name for p in model.parent.iterdir()} == {
            "model.onnx", "architecture.json", "outline.json", "weights.safetensors", "data.json", "card.md",
        }  # fmt: skip
        text = (model.parent / "architecture.json").read_text(encoding="utf-8")
        about = json.loads(text)
        assert Architecture(about["architecture"]).key == about["key"] == row["key"] == model.parent.name
        assert row["key"] in (model.parent / "card.md").read_text(encoding="utf-8")
        assert load_safetensors((model.parent / "weights.safetensors").read_bytes())


def test_an_exported_model_is_what_its_row_says(finished: Finished, result: Any, space: Space) -> None:
    """Checked by onnx, run by the runtime, on as many integer kernels as it has integer layers."""
    for row in result["finalists"]:
        data = (finished.folder / row["model"]).read_bytes()
        onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
        layers = space.outline.layers(space.architecture(row["architecture"]))
        convs = sum(y.kind == "conv" and y.runs8 for y in layers)
        assert row["kernels"].get("QLinearConv", 0) == convs
        four = {y.path for y in layers if y.kind in ("conv", "linear") and y.precision.name == "w4a8"}
        assert set(row["container"]) == four
        assert backend.audit(data, [y.path for y in layers if y.kind == "conv"]).unintended(
            {y.path: y.runs8 for y in layers if y.kind == "conv"}
        ) == []  # fmt: skip


def test_the_ledger_tells_the_run_in_order(finished: Finished) -> None:
    """One start, a fact per stage, tells of every search, exports before they are measured, tests last, one end."""
    records = Ledger.read(finished.folder / "ledger.jsonl")
    kinds = [r["kind"] for r in records]
    assert (kinds[0], kinds[-1]) == ("start", "done")
    assert (kinds.count("start"), kinds.count("done"), kinds.count("budget")) == (1, 1, 1)
    assert [r["stage"] for r in records if r["kind"] == "stage"] == [
        "build",
        "train",
        "profile",
        "fit",
        "search",
        "verify",
    ]
    told = [(r["search"], row["trial"]) for r in records if r["kind"] == "tell" for row in r["results"]]
    assert told == [(label, i) for label in ("main", "random", "float") for i in range(60)]
    assert kinds.index("export") < kinds.index("measurement") < kinds.index("test")
    tested = [r["key"] for r in records if r["kind"] == "test"]
    assert len(set(tested)) == len(tested)  # the test split is used once per network


def test_the_ledger_names_the_artefacts_that_the_store_holds(finished: Finished) -> None:
    """By digest; each is complete."""
    record = Ledger(finished.folder / "ledger.jsonl").last("artefacts")
    assert record is not None
    for stage, digest in record["digests"].items():
        manifest = files.read_json(finished.runs / "store" / stage / digest / "manifest.json")
        assert Store(finished.runs / "store").entry(stage, manifest["inputs"]).complete


def test_the_python_value_is_the_file(finished: Finished, result: dict[str, Any]) -> None:
    """``Search.result`` is what result.json holds, and ``front`` and ``chosen`` are parts of it."""
    assert json.loads(json.dumps(finished.search.result())) == result
    assert finished.search.chosen == result["chosen"]
    assert finished.search.front == result["front"]


def test_the_report_is_one_file_that_works_offline(finished: Finished, result: Any) -> None:
    """It names the run and the chosen network, and loads nothing from anywhere."""
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "tiny-1" in page
    assert result["finalists"][0]["key"] in page
    assert not re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)\s*=", page)


def test_the_models_of_latency_and_accuracy_are_reported(result: dict[str, Any]) -> None:
    """Their errors on networks that they did not see, all numbers finite."""
    latency, accuracy = result["latency_model"], result["accuracy_predictor"]
    assert latency["networks"] >= 20
    assert len(latency["predicted_ms"]) == len(latency["measured_ms"]) == latency["networks"]
    assert accuracy["held_out"] >= 50
    for value in (latency["mape"], latency["tau"], accuracy["tau"], accuracy["split_half_tau"]):
        assert math.isfinite(value)


def test_the_settings_of_the_run_mean_the_same_again(finished: Finished) -> None:
    """``experiment.yaml`` is a file that nas reads, of the same space, training and search."""
    mine, source = experiment.load(finished.folder / "experiment.yaml"), experiment.load(finished.source)
    assert mine.to_json() == source.to_json()
    assert Path(finished.folder / "experiment.yaml").read_text(encoding="utf-8").startswith("name: tiny")


def test_a_search_may_ask_the_supernet_itself_and_limit_counted_costs(finished: Finished, runs: Path) -> None:
    """With a strategy of ours nothing outside a counted limit is evaluated; the files keep it."""
    space = experiment.load(finished.source).space
    most = 0.4 * float(energy_pj(space.batch([space.largest]))[0])
    fewer = 0.8 * float(space.cost([space.largest])["parameters"][0])
    document = yaml.safe_load(finished.source.read_text(encoding="utf-8"))
    document["search"] |= {
        "strategy": "regularized_evolution", "evaluator": "supernet", "trials": 40,
        "budget": {"energy_pj": most, "parameters": fewer},
        "objectives": ["quality", "latency_ms", "energy_pj"],
    }  # fmt: skip
    source = runs.parent / "energy.yaml"
    source.write_text(yaml.safe_dump(document), encoding="utf-8")
    found = nas.search(source, runs=runs).result()
    assert found["budget_met"]
    assert found["wasted"]["main"] == found["wasted"]["random"] == 0.0
    assert all(row["costs"]["energy_pj"] <= most for row in found["finalists"])
    assert all(row["costs"]["parameters"] <= fewer for row in found["finalists"])
    assert all(point["energy_pj"] <= most for point in found["trials"])
