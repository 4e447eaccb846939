"""What each operation does to channels: a convolution, the operation, and what reads it, sliced and extracted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.randomness import generator
from supernets import Wrapped, extract, wrap
from supernets.functions.operations import KNOWN, OPAQUE, PYTHON, UnknownOperation, operation
from supernets.wrapping.rules import RULES

Function = Callable[[Tensor], Tensor]


class Sandwich(nn.Module):
    """Channels made by a convolution (b, 16, 6, 6), the function, a linear layer over all that comes out."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.function = function
        with torch.no_grad():
            y = function(self.stem(torch.zeros(2, 3, 6, 6)))
        self.reader = nn.Conv2d(y.shape[1], 4, 1) if y.dim() == 4 else None
        self.head = nn.Linear(4 if self.reader is not None else prod(y.shape[1:]), 5)
        if isinstance(function, nn.Module):
            for parameter in function.parameters():
                nn.init.normal_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Five values."""
        y = self.function(self.stem(x))
        if self.reader is not None:
            return self.head(self.reader(y).mean((2, 3)))  # type: ignore[no-any-return]
        return self.head(y.flatten(1))  # type: ignore[no-any-return]


class Mixed(nn.Module):
    """Products with parameters that are no layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.zeros(16, 8)), nn.Parameter(torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        """Channels last and first again."""
        return (x.permute(0, 2, 3, 1) @ self.first + self.second).permute(0, 3, 1, 2)


class Table(nn.Module):
    """Rows of a table by numbers that are a buffer, as positions relative to each other have them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(11, 16))
        self.register_buffer("numbers", torch.arange(6)[:, None] - torch.arange(6) + 5)

    def forward(self, x: Tensor) -> Tensor:
        """A value for each channel and place."""
        rows = self.rows[self.numbers.view(-1)]  # type: ignore[operator]
        return x + rows.view(6, 6, -1).permute(2, 0, 1).unsqueeze(0)


ELASTIC: Mapping[str, Function] = {
    "adaptive_avg_pool": lambda x: F.adaptive_avg_pool2d(x, 3),
    "addcmul": lambda x: torch.addcmul(x, x, x.sigmoid(), value=0.5),
    "amax": lambda x: x.amax(dim=(2, 3)),
    "avg_pool": lambda x: F.avg_pool2d(x, 2, ceil_mode=True),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"),
    "cat": lambda x: torch.cat([x, x.relu(), -x], 1),
    "cat_of_itself_and_ones": lambda x: torch.cat([x, torch.ones_like(x)], 1),
    "cat_of_zeros": lambda x: torch.cat([x, x.new_zeros(x.shape[0], 4, 6, 6)], 1),
    "channel_shuffle": lambda x: F.channel_shuffle(x, 4),
    "chunk": lambda x: torch.cat(x.chunk(4, 1)[::-1], 1),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "conv1d": nn.Sequential(nn.Flatten(2), nn.Conv1d(16, 12, 3)),
    "conv3d": nn.Sequential(nn.Unflatten(2, (6, 1)), nn.Conv3d(16, 12, (3, 1, 3)), nn.Flatten(1)),
    "conv_transpose": nn.ConvTranspose2d(16, 12, 2, 2),
    "depthwise_with_multiplier": nn.Conv2d(16, 32, 3, groups=16),
    "dilated": nn.Conv2d(16, 8, 3, dilation=2, padding="same"),
    "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x),
    "expand": lambda x: x * x.mean((1, 2, 3), keepdim=True).expand(-1, 16, 6, 6),
    "full": lambda x: x + torch.full((16, 1, 1), 0.5),
    "glu": lambda x: F.glu(x, 1),
    "gram": lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2),
    "group_norm": nn.GroupNorm(4, 16),
    "grouped": nn.Conv2d(16, 24, (1, 3), (1, 2), (0, 1), groups=8),
    "instance_norm": nn.InstanceNorm2d(16, affine=True),
    "layer_norm": nn.Sequential(nn.Flatten(2), nn.LayerNorm([16, 36])),
    "layer_norm_by_hand": lambda x: (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-3).sqrt(),
    "linear_over_channels_last": nn.Sequential(
        nn.Unflatten(1, (16, 1)), nn.Flatten(1, 2), nn.Flatten(1), nn.Linear(576, 7)
    ),
    "logsumexp": lambda x: x.logsumexp(1),
    "masked_fill": lambda x: x.masked_fill(x > 0.3, float("-1")),
    "max_pool": lambda x: F.max_pool2d(x, 3, 2, 1),
    "mixed": Mixed(),
    "table": Table(),
    "movedim": lambda x: x.movedim(1, -1).flatten(1),
    "nearest": lambda x: F.interpolate(x, size=(4, 4)),
    "normalize": lambda x: F.normalize(x, dim=1),
    "padded_channels": lambda x: F.pad(x, (0, 0, 0, 0, 4, 4)),
    "padded_places": lambda x: F.pad(x, (1, 2, 1, 0), mode="reflect"),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "prelu": nn.PReLU(16),
    "repeat": lambda x: x.repeat(1, 3, 1, 1),
    "rolled_places": lambda x: x.roll((1, 2), (2, 3)).flip(2).cumsum(3),
    "slice": lambda x: x[:, 4:12],
    "softmax": lambda x: x.softmax(1),
    "split": lambda x: torch.cat([y * (i + 1) for i, y in enumerate(x.split([2, 6, 8], 1))], 1),
    "squeeze": lambda x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1),
    "stack": lambda x: torch.stack([x, x.exp()], 2).flatten(1, 2),
    "std": lambda x: x.std((2, 3)),
    "signs": lambda x: (x > 0).logical_not() * x,
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
}
KEPT: Mapping[str, Function] = {
    "argsort": lambda x: 0.1 * x.argsort(1) * x,
    "cumsum": lambda x: x.cumsum(1),
    "every_other": lambda x: x[:, ::2],
    "flip": lambda x: x.flip(1),
    "gather": lambda x: x[:, [3, 1, 2]],
    "index_put": lambda x: x + torch.eye(16)[:, :6, None],
    "one_channel": lambda x: x[:, 3],
    "roll": lambda x: x.roll(1, 1),
    "unbind": lambda x: torch.stack(x.unbind(1)[:3], 1),
    "unfold": lambda x: F.unfold(x, 2),
}


def checked(function: Function) -> Wrapped:
    """The largest subnet is the model, also of another batch; slices are extractions; JSON is read back elsewhere."""
    torch.manual_seed(0)
    module, x = Sandwich(function).eval(), torch.randn(2, 3, 6, 6)
    net = wrap(module, x, {"precision": ["float"]})
    with torch.no_grad(), net.active(net.space.largest, net.calibration):
        assert torch.equal(net(x), module(x))
        assert torch.equal(net(torch.cat([x, x])), module(torch.cat([x, x])))
    net, x = net.double(), x.double()
    for architecture in [*net.space.sample_many(3, generator(0, "test.operations")), net.space.extreme(min, "float")]:
        calibration = net.calibrate(architecture, [x])
        plain = extract(net, architecture, calibration)
        with torch.no_grad(), net.active(architecture, calibration):
            torch.testing.assert_close(net(x), plain(x), rtol=1e-9, atol=1e-9)
        assert net.space.cost([architecture])["parameters"][0] == sum(p.numel() for p in plain.parameters())
    return net


def stem(net: Wrapped) -> Any:
    """What the report says of the convolution."""
    return next(part for part in net.report.layers if part.path == "stem")


@pytest.mark.parametrize("name", sorted(ELASTIC))
def test_channels_stay_elastic(name: str) -> None:
    """Those before the operation can shrink."""
    assert stem(checked(ELASTIC[name])).output


@pytest.mark.parametrize("name", sorted(KEPT))
def test_channels_are_kept_where_single_ones_matter(name: str) -> None:
    """And the reason names the operation, or says that single places are read."""
    part = stem(checked(KEPT[name]))
    assert not part.output
    assert "output: " in part.reason


def test_every_known_operation_has_a_rule_or_is_opaque() -> None:
    """And no rule is for one that could not be run."""
    assert set(RULES) == (KNOWN | set(PYTHON)) - set(OPAQUE)
    assert {f"aten.{name}" for name in KNOWN if not hasattr(torch.ops.aten, name)} == set()


@pytest.mark.parametrize(
    "name", ["aten.from_file.default", "os.system", "aten.add.nothing", "eval", "aten.add_.Tensor"]
)
def test_other_operations_are_refused(name: str) -> None:
    """By name."""
    said = f"^operation '{name}' is none that a traced network may have \\[unknown-operation\\]$"
    with pytest.raises(UnknownOperation, match=said):
        operation(name)
