"""The quantizer of one tensor of a supernet, under any of its specs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spaces import QuantSpec
from spaces.precision import name_of
from supernets.quantization.formats import Integers, Levels, fitted, uniform
from supernets.quantization.granularity import spread
from supernets.quantization.kernels import EAGER
from supernets.quantization.methods import Methods, methods, whole
from supernets.quantization.roundings import Draws, learned, start
from supernets.quantization.scales import SMALLEST, Grid
from supernets.quantization.straight import Clip, Limits, clipped, rounded, straight_through

Cut = Callable[[Tensor], Tensor]
"""The active slice of a table in the shape of the largest weight, or with an entry per output channel."""


@dataclass(frozen=True)
class Codes:
    """A tensor as it is stored: ``codes`` (the levels themselves where these are whole numbers), and the grid: steps
    (k,) and whole zero-points (k,); ``levels`` of a learned codebook."""

    codes: Tensor
    scale: Tensor
    zero: Tensor | None = None
    levels: Tensor | None = None


def decoded(stored: Codes, spec: QuantSpec, role: str) -> Tensor:
    """The values of codes: what :class:`ElasticQuantizer` computes with in evaluation, bit for bit."""
    found = methods(spec, role)
    level = found.levels(None, stored.levels).decode(stored.codes)
    if stored.zero is not None:
        level = level - spread(stored.zero, level, spec, role)
    return level * spread(stored.scale, level, spec, role)


class ElasticQuantizer(nn.Module):
    """Rounds the active slice of a weight, or an input, to the grid of any of its specs.

    Most rules compute the grid from the values that are there and keep nothing. For specs that learn, there is a table
    each: steps and offsets per channel, shares of rounding per weight, levels of a codebook, sized as the largest
    weight (``shape``) and sliced with it. An entry starts when it is first trained, from the values found then; 0 says
    that it has not. In evaluation, and without gradients, zero-points are whole and nothing is random.
    """

    def __init__(self, role: str, specs: Iterable[QuantSpec] = (), shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.role = role
        self.kernels = EAGER
        self._begun: set[str] = set()
        self.tables = nn.ParameterDict()
        for spec in dict.fromkeys(specs):
            channels = shape[0] if spec.granularity == "channel" else 1
            if spec.learned:
                self._add(spec, "scale", (channels,))
                if spec.offset != "none":
                    self._add(spec, "offset", (channels,))
            if spec.rounding == "adaround":
                self._add(spec, "share", shape)
            if spec.format.learned:
                self._add(spec, "levels", (1 << spec.bits,))

    def _add(self, spec: QuantSpec, table: str, shape: tuple[int, ...]) -> None:
        self.tables[_key(spec, self.role, table)] = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor, spec: QuantSpec, cut: Cut = lambda table: table, draws: Draws = None) -> Tensor:
        """``x`` on the grid of ``spec``, same shape, with the gradients of its methods."""
        return self.on(x, self.grid(x, spec, cut), spec, cut, draws)

    def grid(self, x: Tensor, spec: QuantSpec, cut: Cut = lambda table: table) -> Grid:
        """Steps (k,) and real zero-points (k,) of the active slice ``x``: computed from it, or out of the table."""
        found = methods(spec, self.role)
        if not spec.learned:
            return found.grid(x)
        names = ("scale", "offset") if spec.offset != "none" else ("scale",)
        keys = [_key(spec, self.role, name) for name in names]
        if not self._all_begun(keys[0], cut):
            scale, zero = found.grid(x)
            if not self._soft:
                return scale, zero
            for key, value in zip(keys, (scale, None if zero is None else -zero * scale), strict=False):
                assert value is not None
                self._start(key, value, cut)
        parts = [self._part(key, cut) for key in keys]
        scale = parts[0].abs().clamp_min(SMALLEST)
        return scale, None if len(parts) == 1 else -parts[1] / scale

    def on(self, x: Tensor, grid: Grid, spec: QuantSpec, cut: Cut = lambda table: table, draws: Draws = None) -> Tensor:
        """``x`` on a grid that was found before."""
        clip = self._clip(x, grid, spec)
        if clip is not None:
            return clipped(x, clip, self.kernels)
        found, hard = methods(spec, self.role), not self._soft
        scale, zero = found.fitted(grid, x, hard)
        real = zero is not None and not hard and spec.offset == "real"
        if spec.rounding == "adaround":
            return self._between(x, scale, zero, found, cut, hard)
        book = self._levels(x, scale, spec, hard) if spec.format.learned else None
        levels = found.levels(None if real else zero, None if book is None else book.detach())
        factor = _factor(spec, x.numel() / max(1, scale.numel()))
        limits: Limits = (spec.format.low, spec.format.high)
        if isinstance(levels, Integers):
            limits = levels.low, levels.high
        rounding = found.rounding.evaluation if hard else found.rounding.training
        y = rounded(x, scale, zero, levels, rounding, found.gradient, limits, factor, real, draws)
        if book is None or not book.requires_grad:
            return y
        chosen = book[Levels(book.detach()).index((x / scale).detach())] * scale
        return straight_through(y, chosen.detach()) + (chosen - chosen.detach())

    @torch.no_grad()
    def around(self, x: Tensor, spec: QuantSpec, cut: Cut = lambda table: table) -> tuple[Tensor, Tensor, Tensor]:
        """(level below, level above, value), all in units of the step: what evaluation decides between."""
        found, (column, moved) = methods(spec, self.role), self._whole(x, spec, cut)[1]
        levels = self._levels(x, column, spec, True) if spec.format.learned else None
        u = found.gradient.before(x / column)
        return *found.levels(moved, levels).around(u), u

    def _whole(self, x: Tensor, spec: QuantSpec, cut: Cut) -> tuple[Grid, Grid]:
        """The grid with whole zero-points, per row and in a shape to compute with."""
        scale, zero = self.grid(x, spec, cut)
        grid = scale, None if zero is None else whole(zero, spec)
        return grid, methods(spec, self.role).fitted(grid, x, True)

    @torch.no_grad()
    def codes(self, x: Tensor, spec: QuantSpec, cut: Cut = lambda table: table) -> Codes:
        """``x`` as it is stored and exported; what evaluation computes with is exactly this, decoded."""
        found = methods(spec, self.role)
        (scale, zero), (column, moved) = self._whole(x, spec, cut)
        levels = self._levels(x, column, spec, True) if spec.format.learned else None
        form = found.levels(moved, levels)
        u = found.gradient.before(x / column)
        if spec.rounding == "adaround":
            level = learned(form, u, self._share(x, column, form, spec, cut), True)
        else:
            level = found.rounding.evaluation(form, u, None)
        if moved is not None:
            level = level + moved
        code = level if spec.format.kind == "integer" else form.encode(level)
        return Codes(code, scale, zero, levels)

    def clip(self, x: Tensor, spec: QuantSpec) -> Clip | None:
        """How ``x`` is rounded, where that takes one pass and needs nothing of ``x`` but its size: by steps that have
        begun to be learned."""
        known = spec.learned and self._soft and self._all_begun(_key(spec, self.role, "scale"), lambda table: table)
        return self._clip(x, self.grid(x, spec), spec) if known else None

    def _clip(self, x: Tensor, grid: Grid, spec: QuantSpec) -> Clip | None:
        """Of a large tensor, on one grid of whole levels, in training."""
        plain = self.role == "input" and self._soft and (spec.rounding, spec.gradient) == ("nearest", "clipped")
        if not plain or spec.offset == "real" or spec.format.learned:
            return None
        found = methods(spec, self.role)
        scale, zero = found.fitted(grid, x, hard=False)
        levels = found.levels(zero)
        if scale.dim() or not isinstance(levels, Integers):
            return None
        return Clip(scale, zero, levels.low, levels.high, _factor(spec, x.numel()))  # type: ignore[arg-type]

    @property
    def _soft(self) -> bool:
        return self.training and torch.is_grad_enabled()

    def _between(
        self, x: Tensor, scale: Tensor, zero: Tensor | None, found: Methods, cut: Cut, hard: bool
    ) -> Tensor:  # fmt: skip
        """Learned rounding: the gradient goes to the shares and the scale, none to ``x``."""
        form = found.levels(zero)
        return learned(form, x.detach() / scale.detach(), self._share(x, scale, form, found.spec, cut), hard) * scale

    def _share(self, x: Tensor, scale: Tensor, form: object, spec: QuantSpec, cut: Cut) -> Tensor:
        key = _key(spec, self.role, "share")
        if not self._all_begun(key, cut):
            begun = start(form, x.detach() / scale.detach())  # type: ignore[arg-type]
            if not self._soft:
                return begun
            self._start(key, begun, cut)
        return self._part(key, cut)

    def _levels(self, x: Tensor, scale: Tensor, spec: QuantSpec, hard: bool) -> Tensor:
        """Ascending levels of a codebook; they start at the means of the values nearest to them."""
        table = self.tables[_key(spec, self.role, "levels")]
        if not bool(table.any()):
            begun = fitted((x / scale).detach(), uniform(spec.bits))
            if hard:
                return begun
            table.data.copy_(begun)
        ascending: Tensor = table.sort().values
        return ascending

    def _part(self, key: str, cut: Cut) -> Tensor:
        table: Tensor = self.tables[key]
        return table if table.numel() == 1 else cut(table)

    def _all_begun(self, key: str, cut: Cut) -> bool:
        """Whether every entry of the slice has started; once all of a table have, nobody looks again."""
        if key in self._begun:
            return True
        if bool(self.tables[key].all()):
            self._begun.add(key)
        return bool(self._part(key, cut).all())

    def _load_from_state_dict(self, *args: Any) -> None:
        self._begun.clear()
        super()._load_from_state_dict(*args)

    @torch.no_grad()
    def _start(self, key: str, values: Tensor, cut: Cut) -> None:
        """Fill the entries of the slice that have not started."""
        table = self.tables[key].data
        places = torch.arange(table.numel(), device=table.device).reshape(table.shape)
        places = (places if table.numel() == 1 else cut(places)).reshape(-1)
        flat = table.view(-1)
        known = flat[places]
        flat[places] = torch.where(known == 0, values.reshape(-1).to(table.dtype), known)


def _factor(spec: QuantSpec, values: float) -> float:
    """Of the gradients to a step that so many values share (Esser et al. 2020, section 2.2)."""
    return float((spec.format.high * values) ** -0.5) if spec.learned else 1.0


def _key(spec: QuantSpec, role: str, table: str) -> str:
    return f"{name_of(spec, role).replace('.', '_')}/{table}"  # torch allows no dot in the name of a parameter
