"""Examples from a stretch of text, by what the network does: goes on with it, fills gaps, or goes on with another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas.data.splits import Split
from nas.data.tasks import MaskedToken, NextToken, Task
from nas.datasets import Reads
from spaces.randomness import generator
from supernets.training.losses import IGNORED

ASKED, HIDDEN, REPLACED = 0.15, 0.8, 0.1
"""Share of the tokens that are asked for; of these, the shares that the mask hides and that another token replaces."""

Example = Callable[[Tensor, np.random.Generator], tuple[Tensor, Tensor]]
"""From stretches of tokens (n, span) to inputs and targets (n, t)."""


@dataclass(frozen=True)
class Window:
    """What a network of ``length`` tokens gets of a text: stretches of ``span`` tokens, one every ``length``."""

    length: int
    span: int
    task: Task
    example: Example

    def split(self, tokens: Tensor) -> Split:
        """All windows of a part (n,), from its start; draws are the same in every run."""
        stretches = tokens.unfold(0, self.span, self.length)
        return Split(*self.example(stretches, generator(0, "data.windows")))


@dataclass(frozen=True)
class Moved:
    """Windows of ``tokens`` (n,), each moved on by less than its length."""

    tokens: Tensor
    window: Window

    def __call__(self, split: Split, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        length, span = self.window.length, self.window.span
        starts = rows * length + torch.from_numpy(rng.integers(0, length, len(rows)))
        starts = starts.clamp(max=len(self.tokens) - span)
        return self.window.example(self.tokens[starts[:, None] + torch.arange(span)], rng)


def window_of(reads: Reads, length: int, vocabulary: int) -> Window:
    """For a network that ``reads`` so; of ``gaps`` the mask is the number after those of the ``vocabulary``."""
    kinds: Mapping[str, tuple[int, Task, Example]] = {
        "gaps": (length, MaskedToken(), Gaps(vocabulary)),
        "pairs": (2 * length, NextToken(), continuation),
        "tokens": (length + 1, NextToken(), following),
    }
    return Window(length, *kinds[reads])


def following(stretch: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Tokens (n, t), and the next of each."""
    return stretch[:, :-1], stretch[:, 1:]


def continuation(stretch: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The first half for the encoder; for the decoder, which is to give the second half, what stands before each token.

    Inputs (n, 2, t).
    """
    length = stretch.shape[1] // 2
    return torch.stack([stretch[:, :length], stretch[:, length - 1 : -1]], dim=1), stretch[:, length:]


@dataclass(frozen=True)
class Gaps:
    """Some tokens to be found again. Source: Devlin et al. 2019, "BERT", appendix A.1: 15 %, of which 80 % are masked,
    10 % replaced by random tokens, 10 % left. Differs: one in each window at least.

    ``mask``: its number, and that of the tokens that there are.
    """

    mask: int

    def __call__(self, stretch: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        n, length = stretch.shape
        asked = rng.random((n, length)) < ASKED
        asked[np.arange(n), rng.integers(length, size=n)] = True
        draw = torch.from_numpy(np.where(asked, rng.random((n, length)), 1.0))
        other = torch.from_numpy(rng.integers(self.mask, size=(n, length)))
        inputs = stretch.masked_fill(draw < HIDDEN, self.mask)
        inputs = inputs.where((draw < HIDDEN) | (draw >= HIDDEN + REPLACED), other)
        return inputs, stretch.masked_fill(~torch.from_numpy(asked), IGNORED)
