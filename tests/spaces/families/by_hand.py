"""What layers cost, written down once without the outline, for tests that add up whole networks."""

from __future__ import annotations

from typing import NamedTuple

from spaces import Architecture, Space


class Cost(NamedTuple):
    """Parameters and MACs."""

    parameters: int
    macs: int

    def __add__(self, other: object) -> Cost:
        """Both, added."""
        assert isinstance(other, Cost)
        return Cost(self.parameters + other.parameters, self.macs + other.macs)


NOTHING = Cost(0, 0)


def linear(tokens: int, c_in: int, c_out: int, bias: bool = True) -> Cost:
    """A linear layer over tokens."""
    return Cost(c_in * c_out + c_out * bias, tokens * c_in * c_out)


def conv(places: int, c_in: int, c_out: int, kernel: int, groups: int = 1) -> Cost:
    """A convolution with bias that gives so many places."""
    weights = c_in // groups * c_out * kernel**2
    return Cost(weights + c_out, places * weights)


def table(*sizes: int) -> Cost:
    """Numbers that are learned and multiply nothing: norms, embeddings, positions."""
    return Cost(sum(sizes), 0)


def attention(tokens: int, c: int, width: int, memory: int = 0, c_memory: int = 0, narrow: int = 0) -> Cost:
    """Four linear layers, queries times keys and the mixed values; to so many tokens of ``memory``, or to itself.

    ``narrow``: features of keys and values, if they have fewer heads than queries.
    """
    others, c_others = (memory, c_memory) if memory else (tokens, c)
    layers = linear(tokens, c, width) + linear(others, c_others, narrow or width)
    layers += linear(others, c_others, narrow or width)
    return layers + linear(tokens, width, c) + Cost(0, 2 * tokens * others * width)


def mlp(tokens: int, c: int, inner: int) -> Cost:
    """Two linear layers."""
    return linear(tokens, c, inner) + linear(tokens, inner, c)


def counted(space: Space, architecture: Architecture | None = None) -> Cost:
    """What the outline says, of the largest if no architecture is given."""
    found = space.cost([space.largest if architecture is None else architecture])
    return Cost(int(found["parameters"][0]), int(found["macs"][0]))
