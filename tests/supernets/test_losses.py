"""Losses by hand: of classes, of the tokens of a sequence, of pictures."""

from __future__ import annotations

import pytest
import torch

from supernets.training.losses import LOSSES


def test_a_sequence_is_as_many_classes() -> None:
    """The loss of windows is that of their tokens side by side, against targets and against a teacher."""
    generator = torch.Generator().manual_seed(0)
    logits, teacher = (torch.randn(2, 5, 7, generator=generator, requires_grad=True) for _ in range(2))
    labels = torch.randint(0, 7, (2, 5), generator=generator)
    hard, soft = LOSSES["cross_entropy"]
    assert torch.equal(hard(logits, labels, 0.1), hard(logits.flatten(0, 1), labels.flatten(), 0.1))
    assert torch.equal(soft(logits, teacher), soft(logits.flatten(0, 1), teacher.flatten(0, 1)))
    by_hand = -logits.log_softmax(-1).gather(-1, labels[..., None]).mean()
    assert hard(logits, labels).item() == pytest.approx(by_hand.item())
    soft(logits, teacher).backward()
    assert teacher.grad is None


def test_pictures_are_compared_pixel_by_pixel() -> None:
    """Mean absolute error; the teacher's picture gets no gradient."""
    hard, soft = LOSSES["l1"]
    made, target = torch.zeros(1, 3, 2, 2, requires_grad=True), torch.full((1, 3, 2, 2), 0.25, requires_grad=True)
    assert hard(made, target).item() == hard(made, target, 0.1).item() == 0.25
    soft(made, target).backward()
    assert target.grad is None
    assert made.grad is not None
