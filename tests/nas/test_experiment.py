"""Reading a ``space.yaml``: names, every default, and the same again from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nas import experiment
from nas.data import DATASETS
from nas.datasets import ENTRY, KINDS
from nas.experiment import BACKENDS, LIMITS, load
from nas.objectives import OBJECTIVES
from nas.schemes import SCHEMES
from nas.strategies import STRATEGIES
from predictors.latency import backends
from spaces.datasets import ANY_SHAPE, SHAPES
from supernets import training
from tests.nas.test_schemes import defaults as scheme_defaults
from tests.nas.tiny import MODEL, of

SHARED = Path(__file__).parents[3] / "shared" / "data"


# --- Names and defaults -----------------------------------------------------------------------------------------------


def test_names_are_those_of_the_registries() -> None:
    """The lists that reading needs without loading torch are the ones that running has."""
    assert set(SCHEMES) == set(training.SCHEMES)
    assert set(experiment.STRATEGIES) == set(STRATEGIES)
    assert set(KINDS) == set(DATASETS)
    assert {*SHAPES, *ANY_SHAPE, ENTRY} == set(KINDS)
    assert set(BACKENDS) == set(backends.BACKENDS)
    assert set(LIMITS) - {"latency_share"} <= set(OBJECTIVES)


def test_only_the_model_has_no_default(tmp_path: Path) -> None:
    """Everything else is as the design says."""
    made = of(tmp_path, MODEL)
    assert made.space.name == "space"
    assert (made.data, made.root) == (experiment.Data("digits", None, 64), None)
    assert made.train == experiment.Train("sandwich", 80, 3e-3, 1e-4, 1, 0.0, scheme_defaults("sandwich"))
    assert made.device == experiment.Device("onnxruntime", 1, 1)
    assert made.search.strategy == "optuna:nsga2"
    assert made.search.objectives == ("quality", "latency_ms", "size_bytes")
    assert made.search.budget == {}


def test_what_is_written_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key of every section."""
    monkeypatch.setattr(experiment, "cores", lambda: 4)
    made = of(
        tmp_path,
        f"""\
name: mine
data: {{dataset: digits, root: ., batch: 8}}
{MODEL}
train:
  {{scheme: sandwich, epochs: 3, learning_rate: 1, weight_decay: 0, threads: 2, learning_rate_floor: 0.05, subnets: 3,
   smoothing: 0.1, distillation: 1, zero_residuals: true}}
device: {{backend: onnxruntime, threads: 4, batch: 16}}
search:
  strategy: random
  trials: 7
  evaluations: 21
  evaluator: supernet
  finalists: 1
  objectives: [latency_ms, quality, macs]
  budget: {{latency_ms: 0.5, size_bytes: 4000}}
export: {{format: onnx}}
""",
    )
    assert made.space.name == "mine"
    assert made.root is not None
    assert made.root.resolve() == tmp_path.resolve()
    assert made.train.recipe().learning_rate == 1.0
    options = {"subnets": 3, "smoothing": 0.1, "distillation": 1.0, "zero_residuals": True}
    assert made.train == experiment.Train("sandwich", 3, 1.0, 0.0, 2, 0.05, options)
    assert (made.device.target().threads, made.device.target().batch) == (4, 16)
    assert made.search == experiment.Search(
        "random", 7, 21, 1, ("latency_ms", "quality", "macs"), {"latency_ms": 0.5, "size_bytes": 4000.0}, "supernet"
    )


@pytest.mark.parametrize("name", ["digits"])
def test_the_zoo_can_be_searched(name: str) -> None:
    """Its budget is a share, so that it means something on every machine."""
    made = load(name)
    assert made.space.size >= 10**6
    assert set(made.search.budget) == {"latency_share"}


# --- Budgets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"latency_ms": 0.5}, {"latency_ms": 0.5, "size_bytes": 9.0}),
        ({"latency_share": 0.1}, {"latency_share": 0.1, "size_bytes": 9.0}),
        ({"size_bytes": 5.0}, {"latency_share": 0.2, "size_bytes": 5.0}),
        ({"latency_ms": None, "latency_share": None}, {"latency_share": 0.2, "size_bytes": 9.0}),
    ],
)
def test_a_limit_of_the_command_line_replaces_that_of_the_file(tmp_path: Path, given: Any, expected: Any) -> None:
    """A latency in either form replaces both forms; other limits stay."""
    made = of(tmp_path, MODEL + "search: {budget: {latency_share: 0.2, size_bytes: 9}}\n")
    assert made.with_budget(**given).search.budget == expected
    assert made.search.budget == {"latency_share": 0.2, "size_bytes": 9.0}


def test_a_budget_given_exactly_replaces_everything(tmp_path: Path) -> None:
    """Nothing of the file's budget stays."""
    made = of(tmp_path, MODEL + "search: {budget: {latency_share: 0.2, size_bytes: 9}}\n")
    assert made.with_limits({"latency_ms": 1.0}).search.budget == {"latency_ms": 1.0}


# --- Resolved ---------------------------------------------------------------------------------------------------------


def test_a_resolved_file_means_the_same_in_another_folder(tmp_path: Path) -> None:
    """A run's experiment.yaml: name, budget and data folder do not depend on where it lies."""
    (tmp_path / "data").mkdir()
    made = of(tmp_path, f"data: {{root: data}}\n{MODEL}train: {{epochs: 3}}\n").with_budget(latency_ms=0.1 + 0.2)
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "experiment.yaml"
    path.write_text(made.resolved(), encoding="utf-8")
    again = load(path)
    assert again.root == (tmp_path / "data").resolve()
    assert again.search.budget == {"latency_ms": 0.1 + 0.2}
    assert (again.space.name, again.space.digest) == (made.space.name, made.space.digest)
    assert (again.train, again.device) == (made.train, made.device)


@settings(max_examples=20, deadline=None)
@example(name="08", limit=1.0)
@example(name="1e5", limit=1e22)
@example(name="no", limit=1e-7)
@example(name="0x1f", limit=0.1)
@given(
    name=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,12}", fullmatch=True),
    limit=st.floats(min_value=1e-300, max_value=1e300),
)
def test_any_name_and_budget_survive_being_resolved(
    tmp_path_factory: pytest.TempPathFactory, name: str, limit: float
) -> None:
    """Names that look like numbers, dates or ``no``, and limits to the last bit."""
    folder = tmp_path_factory.mktemp("resolved")
    made = of(folder, f"name: {name!r}\n{MODEL}").with_budget(latency_ms=limit)
    (folder / "again.yaml").write_text(made.resolved(), encoding="utf-8")
    again = load(folder / "again.yaml")
    assert again.space.name == name
    assert again.search.budget == {"latency_ms": limit}


@pytest.mark.skipif(not (SHARED / "fashion_mnist").is_dir(), reason="no shared/data/fashion_mnist beside this checkout")
def test_a_real_data_folder_is_accepted(tmp_path: Path) -> None:
    """An absolute root stays what it is."""
    made = of(tmp_path, f"data: {{dataset: fashion_mnist, root: {SHARED / 'fashion_mnist'}}}\n{MODEL}")
    assert made.space.outline.input_shape == (1, 28, 28)
    assert made.root == SHARED / "fashion_mnist"
