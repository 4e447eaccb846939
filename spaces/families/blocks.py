"""What transformers share: blocks of attention and MLP around a residual stream, and how their sizes are written.

A block's residual stream has one width. Queries, keys and values are three linear layers; they have ``head_dim``
features per head if that is given, else ``attention`` features in all, else as many as the stream. The MLP has
``mlp_ratio`` times the features of the stream inside, or ``ffn`` of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from spaces.choice import Value
from spaces.language import Builder, Option, Scope, fraction, take, whole
from spaces.layers import Chosen, Field, Record, Scaled
from spaces.yaml import Problems, Section

DEEPEST, WIDEST = 1_000, 1_000_000  # far beyond use; a slip of the finger must not fill the memory


def needed(section: Section, key: str, at_most: int, problems: Problems) -> Option:
    """A whole number that must be written, and may be chosen."""
    section.require(key)
    return take(section, key, whole(1, at_most, key), 1, problems)


def stack(builder: Builder, depth: Option, scope: Scope, inside: Scope) -> Iterator[Scope]:
    """Places of the blocks ``inside``, numbered from 0; the choice of their number belongs to ``scope``."""
    number = builder.field(depth, scope, "depth")
    depths = [int(d) for d in builder.values_of(number)]
    for position in range(max(depths)):
        yield inside.enter(position, "block", builder.under(inside, number, [d for d in depths if d > position]))


@dataclass(frozen=True)
class Sizes:
    """Options of blocks as they are written; ``level`` is where a choice belongs that does not say."""

    heads: Option
    inner: Option
    level: str
    ratio: bool  # of the MLP to the stream
    head_dim: int | None = None
    attention: int | None = None

    @classmethod
    def read(cls, section: Section, problems: Problems, level: str = "network") -> Sizes:
        """The options of a section."""
        ratio = not section.has("ffn")
        if section.has("ffn") and section.has("mlp_ratio"):
            problems.add(section.mark("ffn"), "the MLP has both ffn and mlp_ratio", "ambiguous", "keep one of them")
        if section.has("head_dim") and section.has("attention"):
            said = "the attention has both head_dim and attention"
            problems.add(section.mark("attention"), said, "ambiguous", "keep one of them")
        return cls(
            heads=needed(section, "heads", DEEPEST, problems),
            inner=take(section, "mlp_ratio", fraction(0.01, 100, "mlp_ratio"), 4, problems)
            if ratio
            else needed(section, "ffn", WIDEST, problems),
            level=level,
            ratio=ratio,
            head_dim=section.integer("head_dim", None, at_least=1, at_most=WIDEST),
            attention=section.integer("attention", None, at_least=1, at_most=WIDEST),
        )


@dataclass(frozen=True)
class Block:
    """One block at ``scope``, on a stream of ``width`` features; norms before its layers, or after its adds."""

    builder: Builder
    scope: Scope
    sizes: Sizes
    width: Value | Chosen
    norm_first: bool = True
    activation: str = "gelu"

    def attention(self, before: str, causal: bool = False, memory: str | None = None, name: str = "attention") -> str:
        """Attention of the stream to itself, or to the ``memory``, whose heads are ``<name>_heads``."""
        key = "heads" if memory is None else f"{name}_heads"
        heads = self.builder.field(self.sizes.heads, self.scope, key, self.sizes.level)
        width = self._attended(heads)

        def layers(place: Scope, stream: str) -> str:
            other = memory or stream
            pairs = (("queries", stream), ("keys", other), ("values", other))
            parts = tuple(linear(self.builder, place.enter(part), source, width) for part, source in pairs)
            mix = Record(place.named("mix"), "attention", parts, heads=heads, causal=causal, exists_when=place.when)
            return linear(self.builder, place.enter("output"), self.builder.add(mix), self.width)

        return self._residual(name, before, layers)

    def mlp(self, before: str) -> str:
        """Two linear layers with an activation between them."""
        key = "mlp_ratio" if self.sizes.ratio else "ffn"
        size = self.builder.field(self.sizes.inner, self.scope, key, self.sizes.level)
        inner: Field = Scaled(self.width, size) if self.sizes.ratio else size

        def layers(place: Scope, stream: str) -> str:
            up = linear(self.builder, place.enter("up"), stream, inner, self.activation)
            return linear(self.builder, place.enter("down"), up, self.width)

        return self._residual("mlp", before, layers)

    def _attended(self, heads: Value | Chosen) -> Field:
        if self.sizes.head_dim is not None:
            return Scaled(heads, self.sizes.head_dim)
        width: Value | Chosen = self.sizes.attention or self.width
        for features in self.builder.values_of(width):
            for number in self.builder.values_of(heads):
                if int(features) % int(number):
                    said = f"{features} features cannot be parted into {number} heads"
                    hint = "leave one of the two out, or give head_dim"
                    self.builder.problems.add(self.sizes.heads.mark, said, "wrong-shape", hint)
                    return width
        return width

    def _residual(self, name: str, before: str, layers: Callable[[Scope, str], str]) -> str:
        place = self.scope.enter(name)
        made = layers(place, norm(self.builder, place, before) if self.norm_first else before)
        # The skip stands second: where the block is absent all its layers pass on their first input, which is the skip.
        add = self.builder.add(Record(place.named("add"), "add", (made, before), exists_when=place.when))
        return add if self.norm_first else norm(self.builder, place, add)


def linear(
    builder: Builder, scope: Scope, before: str, out: Field, activation: str = "none", bias: bool = True,
    weight_of: str | None = None,
) -> str:  # fmt: skip
    """A linear layer at ``scope``, over each token."""
    record = Record(scope.path, "linear", (before,), out, activation=activation, exists_when=scope.when)
    precision = builder.precision(scope)
    return builder.add(replace(record, precision=precision, bias=bias, weight_of=weight_of))


def norm(builder: Builder, scope: Scope, before: str) -> str:
    """The layer ``norm`` in ``scope``: over the features of each token."""
    return builder.add(Record(scope.named("norm"), "norm", (before,), exists_when=scope.when))
