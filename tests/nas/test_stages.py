"""Profiling and fitting as stages: which networks they use, what spaces they can cope with, what they refuse."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from nas import files
from nas.evaluate import Evaluator
from nas.experiment import Experiment, load
from nas.stages import fit as fit_stage
from nas.stages import profile as profile_stage
from nas.stages.fit import fitted, subnets
from nas.stages.profile import FITTED, HELD_OUT, LEAST_JUDGED, held_out, judge, profiled, read_table
from nas.store import Store
from nas.terminal import Progress, Terminal
from predictors.latency import Table, TableError, Timing, fit, networks_to_time
from predictors.latency.plan import distinct_keys
from predictors.metrics import mape
from supernets import TrainingDiverged
from tests.nas.tiny import Finished, asked

SMALL = "model: {family: convnet, stages: [{width: %s, kernel: %s}]}\n"
SPACES = {1: ("4", "3"), 2: ("{choice: [4, 8]}", "3"), 6: ("{choice: [4, 8, 16]}", "{choice: [1, 3]}")}


def progress() -> Progress:
    """One that says nothing."""
    return Progress(Terminal(quiet=True), "test")


def small(folder: Path, size: int) -> Experiment:
    """An experiment on a space of so many networks."""
    made = asked(folder, SMALL % SPACES[size])
    assert made.space.size == size
    return made


# --- Which subnets ----------------------------------------------------------------------------------------------------


def test_subnets_to_learn_from_and_to_judge_by_are_different(tmp_path: Path) -> None:
    """As many as asked for; the judges drawn by ``space.sample``; some in one precision throughout."""
    made = asked(tmp_path)
    made = dataclasses.replace(made, search=dataclasses.replace(made.search, evaluations=100))
    learned, held = subnets(made, 0)
    assert (len(learned), len(held)) == (100, fit_stage.HELD_OUT)
    assert len({*learned, *held}) == 160
    assert subnets(made, 0) == (learned, held)
    assert subnets(made, 1)[0] != learned
    names = made.space.outline.precision_choices
    alike = [a for a in learned if len({v for k, v in a.items() if k in names}) == 1]
    assert len(alike) >= 10  # a fifth were drawn so, some of them twice


@pytest.mark.parametrize("size", list(SPACES))
def test_a_space_of_few_networks_has_subnets_to_learn_from(tmp_path: Path, size: int) -> None:
    """At most a quarter is held out, and never all."""
    learned, held = subnets(small(tmp_path, size), 0)
    assert held
    assert learned
    assert len({*learned, *held}) <= size
    assert len(held) <= max(1, size // 4)


@pytest.mark.parametrize("size", list(SPACES))
def test_a_space_of_few_networks_has_a_latency_model(tmp_path: Path, size: int) -> None:
    """Judged by networks that it saw, where there are no others; every figure is a number."""
    made = small(tmp_path, size)
    target = made.device.target()
    networks = networks_to_time(made.space, 0, *FITTED[True])
    judges = held_out(made, 0, networks)
    assert judges
    rows = {str(key): Timing(0.01, 0.01, 0.0, 15) for key in distinct_keys(made.space, target)}
    times = {
        a.to_json(): Timing(0.05 + 0.01 * i, 0.05 + 0.01 * i, 0.0, 15) for i, a in enumerate(made.space.enumerate())
    }
    model = fit(made.space, Table({}, 0.001, rows, times), target.menu, 1, networks)
    facts = judge(model, judges)
    assert np.isfinite([facts["mape"], facts["tau"], facts["spread"], model.error]).all()


def test_judges_of_the_latency_model_are_unseen_and_enough(tmp_path: Path) -> None:
    """At least 20 networks, drawn uniformly, none of which the fit has seen."""
    made = asked(tmp_path)
    networks = networks_to_time(made.space, 0, *FITTED[True])
    judges = held_out(made, 0, networks)
    assert len(judges) == HELD_OUT >= 20
    assert not set(judges) & set(networks)


# --- Tables from files ------------------------------------------------------------------------------------------------


def test_a_recorded_table_gives_the_model_that_was_measured(finished: Finished, tmp_path: Path) -> None:
    """The same factors and the same errors; nothing goes into the store."""
    store = Store(tmp_path / "store")
    model, facts, entry = profiled(load(finished.source), 0, store, finished.table, progress())
    assert entry is None
    assert not (tmp_path / "store").exists()
    recorded = finished.search.result()["latency_model"]
    assert facts == recorded
    assert model.factors == pytest.approx(list(recorded["factors"].values()))
    measured, predicted = np.array(facts["measured_ms"]), np.array(facts["predicted_ms"])
    assert facts["mape"] == pytest.approx(mape(predicted, measured))


def test_a_table_of_another_seed_lacks_networks(finished: Finished, tmp_path: Path) -> None:
    """The networks that a fit needs are drawn by the seed."""
    with pytest.raises(
        TableError, match=r"table\.json: has not measured \d+ of the \d+ networks of this space and seed\Z"
    ):
        profiled(load(finished.source), 1, Store(tmp_path), finished.table, progress())


def test_a_table_that_lacks_judges_is_refused(finished: Finished, tmp_path: Path) -> None:
    """Not only what the fit needs must be there; but a limit of time may have left out some, and then few judge."""
    made = load(finished.source)
    data = files.read_json(finished.table)
    judges = held_out(made, 0, networks_to_time(made.space, 0, *FITTED[True]))
    for judge_of in judges[LEAST_JUDGED:]:
        del data["networks"][judge_of.to_json()]
    files.write_json(tmp_path / "table.json", data)
    _, facts, _ = profiled(made, 0, Store(tmp_path), tmp_path / "table.json", progress())
    assert facts["networks"] == LEAST_JUDGED
    del data["networks"][judges[0].to_json()]
    files.write_json(tmp_path / "table.json", data)
    with pytest.raises(TableError, match=r"has not measured 17 of the \d+ networks"):
        profiled(made, 0, Store(tmp_path), tmp_path / "table.json", progress())


def test_a_table_that_cannot_be_read_is_named(finished: Finished, tmp_path: Path) -> None:
    """No such file, no JSON, no table."""
    for name, content in (("a.json", None), ("b.json", b"{"), ("c.json", b"{}"), ("d.json", b"\xff")):
        if content is not None:
            files.write_atomic(tmp_path / name, content)
        with pytest.raises(TableError, match=name):
            read_table(tmp_path / name, load(finished.source), 0)


@pytest.mark.parametrize(("name", "other"), [("backend", "other"), ("threads", 2), ("batch", 8)])
def test_a_table_measured_otherwise_is_refused(finished: Finished, tmp_path: Path, name: str, other: object) -> None:
    """Times of two threads say nothing about one."""
    data = files.read_json(finished.table)
    data["device"][name] = other
    files.write_json(tmp_path / "table.json", data)
    with pytest.raises(TableError, match=rf"measured with {name} {other!r}, but the experiment asks for"):
        read_table(tmp_path / "table.json", load(finished.source), 0)


# --- Fit --------------------------------------------------------------------------------------------------------------


def test_evaluations_come_from_the_store(
    finished: Finished, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluated once; the predictor fitted again is the same."""
    made = load(finished.source)
    store = Store(finished.runs / "store")
    (trained,) = [
        store.entry("train", files.read_json(p)["inputs"]) for p in finished.runs.glob("store/train/*/manifest.json")
    ]

    def never(*arguments: object) -> object:
        raise AssertionError("a subnet was evaluated again")

    monkeypatch.setattr(evaluator, "logits", never)
    _, facts = fitted(made, 0, store, trained, evaluator, progress())
    assert facts == finished.search.result()["accuracy_predictor"]


def test_a_supernet_without_finite_answers_is_said_to_have_diverged(
    finished: Finished, evaluator: Evaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not that NaN cannot be written."""
    monkeypatch.setattr(evaluator, "logits", lambda a, split, c: torch.full((len(split), 10), torch.nan))
    store = Store(tmp_path)
    with pytest.raises(TrainingDiverged, match=r"\Asubnet [0-9a-f]{16}: its loss is not finite after the training\Z"):
        fitted(load(finished.source), 0, store, store.entry("train", {}), evaluator, progress())


def test_a_table_is_read_by_the_names_of_its_space(finished: Finished) -> None:
    """Every key of the space has a row, every network of the fit a time, and the device is written down."""
    made = load(finished.source)
    table = Table.from_json(files.read_json(finished.table), "t")
    assert set(table.rows) == set(map(str, distinct_keys(made.space, made.device.target())))
    assert len(table.networks) == len(networks_to_time(made.space, 0, *FITTED[True])) + HELD_OUT
    assert table.device == made.device.target().fingerprint()
    assert finished.table.name == profile_stage.TABLE
