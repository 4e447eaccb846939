"""Who answers a search's questions, one file each: a table, predictors, or the supernet itself."""

from __future__ import annotations

from nas.evaluators.base import Evaluator, Failed, Values, results

__all__ = ["Evaluator", "Failed", "Values", "results"]  # the evaluators themselves load more: import their files
