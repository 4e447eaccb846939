"""The protocol of evaluators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nas.strategies.protocol import Result
from spaces import Architecture

Values = Mapping[str, float]


@dataclass(frozen=True)
class Failed:
    """No values, and why."""

    reason: str


class Evaluator(Protocol):
    """Values of several architectures at once."""

    def __call__(self, architectures: Sequence[Architecture]) -> Sequence[Values | Failed]:
        """By objective, in the order of ``architectures``; what failed says so, and the others do not suffer."""
        ...


def results(first: int, architectures: Sequence[Architecture], answers: Sequence[Values | Failed]) -> list[Result]:
    """What is told to the strategy and recorded: answers as results of the trials from ``first``."""
    return [
        Result(first + i, architecture, {}, "failed", answer.reason)
        if isinstance(answer, Failed)
        else Result(first + i, architecture, answer)
        for i, (architecture, answer) in enumerate(zip(architectures, answers, strict=True))
    ]
