"""Evaluators: answers in order, and a failure is one architecture's own."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from nas.evaluate import Evaluator as Judge
from nas.evaluate import Quality
from nas.evaluators import Failed, results
from nas.evaluators.predictor import Predictions
from nas.evaluators.supernet import Subnets
from nas.evaluators.tabular import WrongTable, whole_table
from nas.testing.strategies import example, score
from spaces import Architecture


class Costs:
    """Stands for the predictors."""

    def __call__(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        return [score(a) for a in architectures]


def judged(*answers: float | Exception) -> list[object]:
    """What the supernet's evaluator says where judging gives these log-likelihoods."""
    left = list(answers)

    def judge(architecture: Architecture) -> Quality:
        answer = left.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return Quality(50.0, answer)

    evaluate = Subnets(cast(Judge, judge), cast(Predictions, Costs()))
    return list(evaluate([example().at(i) for i in range(len(answers))]))


def test_the_supernets_quality_is_on_the_predictors_scale() -> None:
    """Minus the logarithm of the loss; costs are the predictors'."""
    (found,) = judged(-0.5)
    assert found == {**score(example().at(0)), "quality": pytest.approx(-math.log(0.5))}


def test_what_fails_fails_alone() -> None:
    """An error and a loss that is no number; the architectures beside them have their values."""
    found = judged(-0.5, RuntimeError("out of memory"), math.nan, -2.0)
    assert found[1:3] == [Failed("RuntimeError: out of memory"), Failed("its loss is nan")]
    assert [isinstance(f, dict) for f in found] == [True, False, False, True]


def test_an_interruption_is_no_failure() -> None:
    """Ctrl-C stops the search."""
    with pytest.raises(KeyboardInterrupt, match="pressed"):
        judged(cast(Exception, KeyboardInterrupt("pressed")))


def test_answers_become_results_of_consecutive_trials() -> None:
    """Failures with their reason, and never usable."""
    a, b = example().at(0), example().at(1)
    made = results(7, [a, b], [{"quality": 1.0}, Failed("no device")])
    assert [(r.trial, r.architecture, dict(r.values), r.status, r.error) for r in made] == [
        (7, a, {"quality": 1.0}, "ok", None), (8, b, {}, "failed", "no device")
    ]  # fmt: skip
    assert [r.usable for r in made] == [True, False]


def test_a_table_of_few_networks_is_refused(tmp_path: Path) -> None:
    """Strategies would ask for others, and learn nothing."""
    path = tmp_path / "table.csv"
    path.write_text('arch,ms\n"' + example().at(0).to_json().replace('"', '""') + '",1.0\n')
    has = f"1 of the {float(example().size):.3g} networks of space {example().name}"
    message = f"{path}: the table has {has}: strategies would ask for others [incomplete-table]"
    with pytest.raises(WrongTable, match=re.escape(message)):
        whole_table(path, example())
