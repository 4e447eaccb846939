"""Small models of one's own, with the habits that make models hard to take apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@contextmanager
def parts_of_encoders() -> Iterator[None]:
    """Without torch's single operation for a whole encoder layer, which rounds otherwise and traces as one."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def conv(c_in: int, c_out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, norm, ReLU in place."""
    layer = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """A basic block, with a projected shortcut where the shape changes."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = conv(c_in, c_out, 3, stride)
        self.second = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)
        self.shortcut = None if c_in == c_out else nn.Conv2d(c_in, c_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """With the sum in place."""
        y = self.norm(self.second(self.first(x)))
        y += x if self.shortcut is None else self.shortcut(x)
        return F.relu_(y)


class SmallResNet(nn.Module):
    """Two stages of basic blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8)
        self.one = nn.Sequential(Residual(8, 8), Residual(8, 8), Residual(8, 8))
        self.two = nn.Sequential(Residual(8, 16, 2), Residual(16, 16))
        self.head = nn.Linear(16 * 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Flattened by hand: each channel becomes 16 features."""
        y = F.max_pool2d(self.two(self.one(self.stem(x))), 1)
        return self.head(y.view(y.size(0), -1))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Queries, keys and values from one layer; products written out, or torch's own."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, c) unchanged."""
        b, t, c = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = (q * 0.5 @ k.transpose(-2, -1)).softmax(dim=-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(b, t, c))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Of a vision transformer, with a scale per feature."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width)
        self.attention = Attention(width, heads, fused)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * width, width))
        self.gamma = nn.Parameter(0.5 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, c) unchanged."""
        x = x + self.gamma * self.attention(self.norm1(x))
        return self.mlp(self.norm2(x)) + x  # type: ignore[no-any-return]


class SmallViT(nn.Module):
    """Class token, learned positions, three blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.position = nn.Parameter(torch.randn(1, 5, 16))
        self.blocks = nn.ModuleList([Block(16, 4, i % 2 == 0) for i in range(3)])
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        """From the class token."""
        y = self.patches(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(x.shape[0], -1, -1), y], dim=1) + self.position
        for block in self.blocks:
            y = block(y)
        return self.head(self.norm(y)[:, 0])  # type: ignore[no-any-return]


class Dense(nn.Module):
    """A norm over what was joined before it."""

    def __init__(self, c_in: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(c_in)
        self.conv = nn.Conv2d(c_in, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """More channels."""
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], dim=1)


class SmallDenseNet(nn.Module):
    """Joined channels, then flattened ones."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.Sequential(Dense(8, 4), Dense(12, 4), nn.AvgPool2d(2), Dense(16, 8))
        self.head = nn.Linear(24 * 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Flattened with torch.flatten."""
        return self.head(torch.flatten(self.layers(self.stem(x)), 1))  # type: ignore[no-any-return]


class Ugly(nn.Module):
    """Shuffled, split and shared channels; functions and operators instead of modules; two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.left = conv(8, 8, groups=8)
        self.shared = nn.Conv2d(16, 16, 3, padding=1)
        self.grouped = nn.Conv2d(16, 24, 3, padding=1, groups=4)
        self.gate = nn.Linear(24, 24)
        self.kernel = nn.Parameter(torch.randn(12, 12, 1, 1))
        self.mixing = nn.Parameter(torch.randn(12, 6))
        self.scale = nn.Parameter(torch.randn(24, 1, 1))
        self.register_buffer("offset", torch.randn(1, 16, 1, 1))
        self.norm = nn.GroupNorm(4, 24)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> dict[str, Any]:
        """Logits and features."""
        y = F.silu(self.stem(x), inplace=True)
        a, b = y.chunk(2, dim=1)
        y = torch.cat((self.left(a), b), 1)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)  # channel shuffle
        y = self.shared(torch.tanh(self.shared(y))) + self.offset
        y = self.norm(self.grouped(y)) * self.scale
        y = y * torch.sigmoid(self.gate(y.mean((2, 3))))[:, :, None, None]
        first, second = torch.split(y, [12, 12], dim=1)
        z = F.conv2d(first.mul_(second.clamp(min=0)), self.kernel)
        tokens = z.flatten(2).permute(0, 2, 1)
        features = torch.einsum("btc,cd->bd", tokens, self.mixing)
        return {"logits": self.head(features), "features": (features, second)}


class Words(nn.Module):
    """A language model whose head has the weight of its embedding; a mask that is a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 16)
        self.layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
        self.head = nn.Linear(16, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("mask", torch.full((6, 6), float("-inf")).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        """(b, 6) numbers to (b, 6, 11)."""
        return self.head(self.layer(self.embedding(x), src_mask=self.mask))  # type: ignore[no-any-return]


def _images() -> tuple[Tensor, ...]:
    return (torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)),)


def _sequences() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 5, 16, generator=generator), torch.randn(2, 4, 16, generator=generator)


def _numbers() -> tuple[Tensor, ...]:
    return (torch.randint(0, 11, (3, 6), generator=torch.Generator().manual_seed(1)),)


def _transformer() -> nn.Module:
    return nn.Transformer(16, 4, 2, 2, 24, batch_first=True)


MODELS: Mapping[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, ...]]]] = {
    "resnet": (SmallResNet, _images),
    "vit": (SmallViT, _images),
    "densenet": (SmallDenseNet, _images),
    "ugly": (Ugly, _images),
    "words": (Words, _numbers),
    "transformer": (_transformer, _sequences),
}
"""Name -> what makes the model, and its inputs."""


def made(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A model as if it had been trained, in ``eval()``, and inputs."""
    torch.manual_seed(0)
    model, inputs = MODELS[name]
    return trained(model()), inputs()


def trained(module: nn.Module) -> nn.Module:
    """Norms with gains of both signs, some of them 0, and statistics, as if it had been trained."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for m in module.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.weight.normal_(generator=generator)
                m.weight[0] = 0
                m.bias.normal_(std=0.3, generator=generator)
                assert m.running_mean is not None
                assert m.running_var is not None
                m.running_mean.normal_(std=0.3, generator=generator)
                m.running_var.uniform_(0.5, 2, generator=generator)
    return module.eval()
