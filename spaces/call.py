"""A layer of a network that was traced: an operation of torch and its arguments as data.

Arguments are constants, the layer's inputs (:class:`Given`), sizes (:class:`spaces.axis.Axis`), and tuples of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spaces.axis import Axis, Ranges

if TYPE_CHECKING:
    from spaces.layers import Field


@dataclass(frozen=True)
class Given:
    """As an argument: the layer's input of this number."""

    index: int


@dataclass(frozen=True)
class Call:
    """What is called, and what its record cannot say otherwise.

    ``args`` in order and ``options`` by name; of a layer with a weight what follows its input, weight and bias.
    ``reads`` and ``shape`` are (c, h, w) of the first input as it reads it, and of its output. ``weight`` has an axis
    for each dimension of what it holds. ``macs`` of one example, where no kind of layer counts them; ``taps`` the
    places of a convolution's kernel; ``dtype`` that of what it holds or gives, ``buffer`` that what it holds is not
    trained; ``again`` that all it holds is that of the layer ``weight_of``, which runs a second time. ``dims`` are the
    sizes of what it gives, for a batch of one, ``batched`` those of them that grow with the batch.
    """

    op: str
    args: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    reads: tuple[Field, Field, Field] = (1, 1, 1)
    shape: tuple[Field, Field, Field] = (1, 1, 1)
    weight: tuple[Axis, ...] = ()
    macs: Field = 0
    taps: int = 1
    eps: float = 0.0
    dtype: str = "torch.float32"
    buffer: bool = False
    again: bool = False
    dims: tuple[Field, ...] = ()
    batched: tuple[int, ...] = ()

    def fields(self) -> Iterator[Field]:
        """Every size in it."""
        yield from (*self.reads, *self.shape, *self.weight, self.macs)
        yield from self.sizes()

    def sizes(self) -> tuple[Axis, ...]:
        """Sizes among its arguments, in order."""
        return tuple(_sizes((self.args, tuple(value for _, value in self.options))))

    def resolved(self, number: Callable[[Field], int], ranges: Callable[[Axis], Ranges]) -> Resolved:
        """The same for one architecture: ``number`` of a field, ``ranges`` that an axis keeps."""
        args = _with_sizes(self.args, number)
        options = tuple((name, _with_sizes(value, number)) for name, value in self.options)
        call = self if (args, options) == (self.args, self.options) else replace(self, args=args, options=options)
        return Resolved(call, tuple(map(ranges, self.weight)))


@dataclass(frozen=True)
class Resolved:
    """A call whose sizes are numbers; ``ranges`` of each dimension of what it holds."""

    call: Call
    ranges: tuple[Ranges, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the active part of what it holds."""
        return tuple(sum(b - a for a, b in ranges) for ranges in self.ranges)


def _sizes(value: Any) -> Iterator[Axis]:
    if isinstance(value, tuple):
        for item in value:
            yield from _sizes(item)
    elif isinstance(value, Axis):
        yield value


def _with_sizes(value: Any, number: Callable[[Field], int]) -> Any:
    if isinstance(value, tuple):
        return tuple(_with_sizes(item, number) for item in value)
    return number(value) if isinstance(value, Axis) else value
