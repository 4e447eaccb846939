"""What transformers share: blocks of attention and MLP around a residual stream, and how their sizes are written.

A block's residual stream has one width. Queries, keys and values are three linear layers; they have ``head_dim``
features per head if that is given, else ``attention`` features in all, else as many as the stream. With ``kv_heads``
keys and values have so many heads, each read by ``heads / kv_heads`` heads of queries (grouped-query attention, Ainslie
et al. 2023). The MLP has ``mlp_ratio`` times the features of the stream inside, or ``ffn`` of its own. With ``norm:
rms`` the norms have neither a mean nor a shift (RMSNorm, Zhang & Sennrich 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from spaces.choice import Value
from spaces.language import Builder, Option, Scope, fraction, take, whole
from spaces.layers import Chosen, Field, Record, Scaled
from spaces.yaml import Mark, Problems, Section

NORMS = {"layer": "norm", "rms": "rms_norm"}
"""``norm`` as it is written -> kind of layer."""
DEEPEST, WIDEST = 1_000, 1_000_000  # far beyond use; a slip of the finger must not fill the memory


def optional(section: Section, key: str, at_most: int, problems: Problems) -> Option | None:
    """A whole number that may be written, and chosen."""
    found = take(section, key, whole(1, at_most, key), 1, problems)
    return found if section.has(key) else None


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
    head_dim: Option | None = None
    attention: int | None = None
    kv_heads: Option | None = None
    norm: str = "norm"  # kind of layer

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
            head_dim=optional(section, "head_dim", WIDEST, problems),
            attention=section.integer("attention", None, at_least=1, at_most=WIDEST),
            kv_heads=optional(section, "kv_heads", DEEPEST, problems),
            norm=NORMS[section.text("norm", "layer", among=NORMS)],
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
    rotary: bool = False  # positions, of queries and keys

    def attention(self, before: str, causal: bool = False, memory: str | None = None, name: str = "attention") -> str:
        """Attention of the stream to itself, or to the ``memory``, whose choices are named ``<name>_heads``."""
        prefix = "" if memory is None else f"{name}_"
        heads = self.builder.field(self.sizes.heads, self.scope, f"{prefix}heads", self.sizes.level)
        shared = self._shared(heads, f"{prefix}kv_heads")
        width, narrow = self._attended(heads, shared)

        def layers(place: Scope, stream: str) -> str:
            other = memory or stream
            made = (("queries", stream, width), ("keys", other, narrow), ("values", other, narrow))
            parts = [linear(self.builder, place.enter(part), source, size) for part, source, size in made]
            if self.rotary:
                parts[:2] = [self._turned(place, part, n) for part, n in zip(parts[:2], (heads, shared), strict=True)]
            mix = Record(place.named("mix"), "attention", tuple(parts), heads=heads, exists_when=place.when)
            fewer = 0 if shared == heads else shared
            mixed = self.builder.add(replace(mix, kv_heads=fewer, causal=causal))
            return linear(self.builder, place.enter("output"), mixed, self.width)

        return self._residual(name, before, layers)

    def _turned(self, place: Scope, path: str, heads: Value | Chosen) -> str:
        return self.builder.add(Record(f"{path}.rotary", "rotary", (path,), heads=heads, exists_when=place.when))

    def mlp(self, before: str) -> str:
        """Two linear layers with an activation between them."""
        key = "mlp_ratio" if self.sizes.ratio else "ffn"
        size = self.builder.field(self.sizes.inner, self.scope, key, self.sizes.level)
        inner: Field = Scaled(self.width, size) if self.sizes.ratio else size

        def layers(place: Scope, stream: str) -> str:
            up = linear(self.builder, place.enter("up"), stream, inner, self.activation)
            return linear(self.builder, place.enter("down"), up, self.width)

        return self._residual("mlp", before, layers)

    def _shared(self, heads: Value | Chosen, key: str) -> Value | Chosen:
        """The number of heads of keys and values."""
        if self.sizes.kv_heads is None:
            return heads
        shared = self.builder.field(self.sizes.kv_heads, self.scope, key, self.sizes.level)
        for number, fewer in self.builder.together(self.scope, heads, shared):
            if int(number) % int(fewer):
                said = f"{number} heads cannot share {fewer} heads of keys and values"
                hint = "every number of kv_heads must divide each number of heads that it may meet"
                self.builder.problems.add(self.sizes.kv_heads.mark, said, "wrong-shape", hint)
                break
        return shared

    def _attended(self, heads: Value | Chosen, shared: Value | Chosen) -> tuple[Field, Field]:
        """Features of all queries, and of all keys and as many values."""
        if self.sizes.head_dim is not None:
            each = self.builder.field(self.sizes.head_dim, self.scope, "head_dim", self.sizes.level)
            self._in_pairs(map(int, self.builder.values_of(each)), self.sizes.head_dim.mark)
            return Scaled(heads, each), Scaled(shared, each)
        width: Value | Chosen = self.sizes.attention or self.width
        widths = set()
        for features, number in self.builder.together(self.scope, width, heads):
            if int(features) % int(number):
                said = f"{features} features cannot be parted into {number} heads"
                hint = "leave one of the two out, or give head_dim"
                self.builder.problems.add(self.sizes.heads.mark, said, "wrong-shape", hint)
                break
            widths.add(int(features) // int(number))
        self._in_pairs(sorted(widths), self.sizes.heads.mark)
        return width, width if shared == heads else Scaled(width, shared, over=heads)

    def _in_pairs(self, widths: Iterable[int], mark: Mark) -> None:
        odd = next((width for width in widths if self.rotary and width % 2), None)
        if odd is not None:
            said = f"rotary positions turn pairs of features, and a head has {odd}"
            self.builder.problems.add(mark, said, "wrong-shape", "give each head an even number of features")

    def _residual(self, name: str, before: str, layers: Callable[[Scope, str], str]) -> str:
        place = self.scope.enter(name)
        made = layers(place, norm(self.builder, place, before, self.sizes.norm) if self.norm_first else before)
        # The skip stands second: where the block is absent all its layers pass on their first input, which is the skip.
        add = self.builder.add(Record(place.named("add"), "add", (made, before), exists_when=place.when))
        return add if self.norm_first else norm(self.builder, place, add, self.sizes.norm)


def linear(
    builder: Builder, scope: Scope, before: str, out: Field, activation: str = "none", bias: bool = True,
    weight_of: str | None = None,
) -> str:  # fmt: skip
    """A linear layer at ``scope``, over each token."""
    record = Record(scope.path, "linear", (before,), out, activation=activation, exists_when=scope.when)
    precision = builder.precision(scope)
    return builder.add(replace(record, precision=precision, bias=bias, weight_of=weight_of))


def norm(builder: Builder, scope: Scope, before: str, kind: str) -> str:
    """The layer ``norm`` of this kind in ``scope``: over the features of each token."""
    return builder.add(Record(scope.named("norm"), kind, (before,), exists_when=scope.when))
