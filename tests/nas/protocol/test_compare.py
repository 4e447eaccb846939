"""Strategies side by side on a small table whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.evaluators import Failed
from nas.evaluators.tabular import Tabular, WrongTable, read_table
from nas.protocol.compare import Task, compare, covered, regrets, run
from spaces import Space, from_text
from tests.nas.test_cli import nas, refused

SPACE = "model: {family: choices, choices: {a: {range: [0, 7]}, b: {range: [0, 7]}, c: {choice: [x, y, z]}}}\n"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(space, table): the best is a = 5, b = 2, c = y; one architecture is missing."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    lines = ["arch,signal,truth,ms"]
    for a in list(from_text(SPACE).enumerate())[1:]:
        off = abs(int(a["a"]) - 5) + abs(int(a["b"]) - 2) + (a["c"] != "y")
        text = json.dumps(dict(a)).replace('"', '""')
        lines.append(f'"{text}",{90 - off + 0.01 * int(a["a"])},{90 - off},{1 + int(a["a"])}')
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "space.yaml", folder / "table.csv"


@pytest.fixture(scope="module")
def data(table: tuple[Path, Path]) -> Tabular:
    """The table as read."""
    return read_table(table[1], from_text(SPACE))


def test_a_table_answers_by_architecture(data: Tabular) -> None:
    """And says so where it has none."""
    space: Space = data.space
    best, missing = space.architecture({"a": 5, "b": 2, "c": "y"}), space.at(0)
    answers = replace(data, objectives={"quality": ("truth", 1.0), "latency_ms": ("ms", 1.0)})([best, missing])
    assert answers == [{"quality": 90.0, "latency_ms": 6.0}, Failed("not in the table")]


def test_regret_is_of_the_truth_of_what_the_signal_likes(data: Tabular) -> None:
    """It never looks at the truth to choose."""
    task = Task(data, "signal", "truth", None, 10)
    rows = np.array([data.rows[data.space.architecture({"a": a, "b": 2, "c": "y"}).key] for a in (0, 3, 6, 5, 7)])
    assert regrets(task, rows).tolist() == [5.0, 2.0, 1.0, 0.0, 0.0]


def test_a_whole_space_is_covered_whole(data: Tabular) -> None:
    """The hypervolume of everything is that of the front."""
    task = Task(data, "signal", "truth", "ms", 400)
    assert covered(task, np.arange(len(data.columns["ms"]))) == pytest.approx(1)
    trace = run("random", task, 0)
    assert sorted(trace.rows) == [-1, *range(data.space.size - 1)]
    assert trace.wasted == 1


def test_strategies_that_learn_beat_random_search(data: Tabular) -> None:
    """On a hill; and too few seeds are warned about."""
    found = compare(Task(data, "signal", "truth", "ms", 40), ["local_search", "predictor_guided"], 6)
    rows = {row["strategy"]: row for row in found["strategies"]}
    assert list(rows) == ["random", "local_search", "predictor_guided"]
    assert rows["predictor_guided"]["mean_regret"] < rows["random"]["mean_regret"]
    assert rows["local_search"]["mean_regret"] < rows["random"]["mean_regret"]
    assert rows["local_search"]["ri"] > 0 == rows["random"]["ri"]
    assert 0 < rows["random"]["hypervolume"] <= 1
    assert len(rows["random"]["curve"]) >= 38
    assert found["warnings"] == ["6 seeds are too few to tell methods apart; take 8 or more"]


def test_the_command_prints_and_writes(table: tuple[Path, Path], tmp_path: Path) -> None:
    """Table, CSV, JSON and a page that loads nothing."""
    space, csv = table
    arguments = ["bench", "strategies", "--space", space, "--table", csv, "--objective", "signal", "--score", "truth",
                 "--evaluations", "20", "--seeds", "8", "--strategies", "local_search"]  # fmt: skip
    done = nas(*arguments, "--json", "--out", tmp_path)
    found = json.loads(done.stdout)
    assert [row["strategy"] for row in found["strategies"]] == ["random", "local_search"]
    assert found["warnings"] == []
    assert json.loads((tmp_path / "result.json").read_text()) == found
    assert (tmp_path / "table.csv").read_text().startswith("strategy,median_regret,")
    page = (tmp_path / "curves.html").read_text()
    assert "local_search" in page
    assert 'src="http' not in page
    assert "median regret" in nas(*arguments).stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--objective": "signl"},
         "the table has no column of numbers 'signl' [unknown-name]\n  hint: did you mean 'signal'?"),
        ({"--strategies": "local_serch"},
         "unknown strategy 'local_serch' [unknown-name]\n  hint: did you mean 'local_search'?"),
        ({"--sense": "up"}, "--sense up: write max or min [unknown-name]"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(table: tuple[Path, Path], change: dict[str, str], message: str) -> None:
    """Before anything runs."""
    options = {"--space": str(table[0]), "--table": str(table[1]), "--objective": "signal", **change}
    refused(nas("bench", "strategies", *(part for option in options.items() for part in option)), message)


def test_a_table_that_does_not_fit_is_refused_with_its_line(tmp_path: Path) -> None:
    """Line, and what is wrong there."""
    space = from_text(SPACE)
    for text, message in (
        ("a,b\n1,2\n", r"t.csv:1: the table needs a column 'arch' and at least one row \[missing-key\]"),
        ('arch,v\n"{""a"": 9}",2\n', r"t.csv:2: not an architecture of space"),
        ("arch,v\nxyz,2\n", r"t.csv:2: space .* has no published notation"),
    ):
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        with pytest.raises(WrongTable, match=message):
            read_table(tmp_path / "t.csv", space)
    with pytest.raises(WrongTable, match=r"cannot be read: .* \[missing-file\]"):
        read_table(tmp_path / "none.csv", space)


def test_a_budget_known_ahead_wastes_nothing(data: Tabular) -> None:
    """And one that is not is learned by breaking it; the regret is from the best that keeps it."""
    blind = Task(data, "signal", "truth", "ms", 60, limit=4.0)
    told = replace(blind, ahead="ms")
    for name in ("random", "local_search", "predictor_guided", "nsga2"):
        assert run(name, told, 0).wasted == 0
    assert run("random", blind, 0).wasted > 20
    trace = run("local_search", told, 1)
    best = max(data.columns["truth"][data.columns["ms"] <= 4])
    assert best == 88.0
    assert regrets(told, trace.rows)[-1] == 0
    rows = np.array([-1, data.rows[data.space.architecture({"a": 5, "b": 2, "c": "y"}).key], trace.rows[-1]])
    assert (regrets(told, rows)[:2] == 88 - data.columns["truth"].min()).all()  # not in the table, over the limit


def test_limits_are_about_a_second_column(table: tuple[Path, Path]) -> None:
    """Told before anything runs."""
    message = "--limit and --ahead are about the column of --second: give it [missing-key]"
    arguments = ["--space", table[0], "--table", table[1], "--objective", "signal", "--limit", "3"]
    refused(nas("bench", "strategies", *arguments), message)
