"""What cannot be wrapped: the message names the module, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from spaces import stored
from supernets import NotBuildable, NotWrappable, build, wrap
from tests.supernets.wrapping.models import SmallResNet, SmallViT


class Inner(nn.Module):
    """A function of a tensor as a module."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        """What the function makes of it."""
        return self.function(x)


def model(function: Callable[[Tensor], Any]) -> nn.Module:
    """A convolution, and the function in the module ``1.1``."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.ReLU(), Inner(function)))


def written(x: Tensor) -> Tensor:
    """Writes into a part."""
    x[:, 0] = 0
    return x


def numpys(x: Tensor) -> Tensor:
    """Leaves torch."""
    raise RuntimeError("this needs numbers.")


class Pair(NamedTuple):
    """An output of its own type."""

    first: Tensor


UNTRACEABLE: list[tuple[Callable[[Tensor], Any], str]] = [
    (
        numpys,
        "1.1: torch cannot trace it: this needs numbers [untraceable]\n"
        "  hint: make torch.export.export(module, example_input) work, or wrap the part that can be traced",
    ),
    (
        lambda x: x if x.sum() > 0 else -x,
        "1.1: which way it goes depends on the values that it computes [control-flow]\n"
        "  hint: use torch.where, or wrap the part without the condition",
    ),
    (
        lambda x: x.reshape(len(x), 8, -1),
        "the model: it works for a batch of 2 only [fixed-batch]\n"
        "  hint: use x.shape[0] or -1 for the batch size: len(x) and int() fix it",
    ),
    (
        written,
        "1.1: aten.fill_.Tensor writes into a part of a tensor, or into one that is also read under another shape "
        "[in-place]\n  hint: make a new tensor: torch.cat, torch.where, or the operation without _",
    ),
    (
        torch.linalg.inv,
        "1.1: operation aten.linalg_inv.default is not known [unknown-operation]\n"
        "  hint: write it with other operations of torch, or wrap the part without it",
    ),
    (
        Pair,
        "the model: its output has a Pair [wrong-output]\n"
        "  hint: return a tensor, or tuples, lists and dicts of tensors",
    ),
]


@pytest.mark.parametrize(("function", "said"), UNTRACEABLE, ids=[s.split("[")[1].split("]")[0] for _, s in UNTRACEABLE])
def test_what_cannot_be_traced_is_named(function: Callable[[Tensor], Any], said: str) -> None:
    """With the path of the module."""
    with pytest.raises(NotWrappable, match=f"^{re.escape(said)}$"):
        wrap(model(function), torch.randn(2, 3, 6, 6))


class Tied(nn.Module):
    """Two layers with one weight, and biases of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        """One after the other."""
        return self.second(self.first(x).relu())  # type: ignore[no-any-return]


def test_tied_parameters_that_differ_otherwise_are_refused() -> None:
    """A layer that is used twice, and a head tied to its embedding, are not."""
    said = (
        "second: its parameters are tied to those at first, and used otherwise there [tied]\n"
        "  hint: give each a parameter of its own, or leave one of them out of what is wrapped"
    )
    with pytest.raises(NotWrappable, match=f"^{re.escape(said)}$"):
        wrap(Tied(), torch.randn(2, 6))


CHOICES: list[tuple[type[nn.Module], dict[str, Any], str]] = [
    (
        SmallResNet,
        {"layers": {"one.1.second": [4, 9]}},
        "one.1.second: 9 channels are more than the 8 that it has [too-wide]\n  hint: write up to 8",
    ),
    (
        SmallResNet,
        {"layers": {"head": [3]}},
        "head: its output cannot be chosen here: an output of the network [not-elastic]\n"
        "  hint: leave it out, or choose the width of another layer",
    ),
    (
        SmallResNet,
        {"layers": {"one.1.secnd": [4]}},
        "choices: no convolution or linear layer at 'one.1.secnd' [unknown-layer]\n"
        "  hint: did you mean 'one.1.second'?",
    ),
    (
        SmallResNet,
        {"layers": {"one.1.second": [4], "one.0.second": [2]}},
        "one.0.second: its channels are those of another layer, with other widths [ambiguous]\n"
        "  hint: give both the same widths, or leave one out",
    ),
    (
        SmallViT,
        {"layers": {"blocks.0.attention.qkv": [18]}},
        "blocks.0.attention.qkv: 18 channels are no whole number of heads of 12 channels [indivisible-heads]\n"
        "  hint: write multiples of 12, up to 48",
    ),
    (SmallResNet, {"widht": [1]}, "unknown key 'widht' in choices [unknown-key]\n  hint: did you mean 'width'?"),
    (
        SmallResNet,
        {"width": [0.5, 2]},
        "choices: width must be shares above 0, up to 1, got [0.5, 2] [wrong-type]",
    ),
    (
        SmallResNet,
        {"layers": {"head": "all"}},
        "choices: layers.head must be whole numbers from 1, got 'all' [wrong-type]",
    ),
    (
        SmallResNet,
        {"precision": ["w9a8"]},
        "choices: precision 'w9a8': unknown precision 'w9a8': write float, or w<bits>a<bits> such as w8a8 "
        "[unknown-name]",
    ),
]


@pytest.mark.parametrize(("made", "choices", "said"), CHOICES)
def test_choices_that_do_not_fit_are_refused(made: type[nn.Module], choices: dict[str, Any], said: str) -> None:
    """Each by name, with what would fit."""
    with pytest.raises(NotWrappable, match=f"^{re.escape(said)}$"):
        wrap(made(), torch.randn(2, 3, 8, 8), choices)


def test_a_file_can_only_name_operations_of_the_list() -> None:
    """Whatever else is in an outline, nothing outside of the list is called."""
    data = stored.to_json(wrap(model(torch.tanh), torch.randn(2, 3, 6, 6)).space)
    record = next(r for r in data["outline"]["records"] if r["kind"] == "call")
    record["call"]["op"] = "aten.from_file.default"
    said = "1.1.tanh: operation 'aten.from_file.default' is none that a traced network may have [unknown-operation]"
    with pytest.raises(NotBuildable, match=f"^{re.escape(said)}$"):
        build(stored.from_json(data))
