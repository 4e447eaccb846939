"""What is timed of a space, best first: whatever a time limit leaves is the most useful part of that length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from predictors.latency.amounts import amounts
from predictors.latency.called import work_of
from predictors.latency.key import Key
from predictors.latency.target import Target
from predictors.latency.weights import WeightFormats
from spaces import Architecture, Batch, Space
from spaces.choice import Choice, Value
from spaces.precision import parse
from spaces.randomness import generator

_COVER, _MOST_TURNS = 4_000, 50
ANCHORS, SESSIONS = 8, 3
ORDER = 4  # another number where tasks or files change: half a measurement goes on by their places
T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """One call to time: of a key, of a whole network, of another session of it (an anchor), or an empty one."""

    key: Key | None = None
    network: Architecture | None = None
    session: bool = False

    def __str__(self) -> str:
        said = "call" if self.network is None else self.network.key
        return str(self.key or said)


def tasks(space: Space, target: Target, networks: Sequence[Architecture]) -> list[Task]:
    """Everything to time, best first: an empty call, keys of every kind and precision, then networks, anchors first,
    among the keys that matter most (how often they occur times how much they compute), then the other keys.

    Whole networks alone where a backend's times of layers say nothing of networks.
    """
    anchors = anchors_of(space, networks)
    wholes = [[Task(network=a), *[Task(network=a, session=True)] * SESSIONS] for a in anchors]
    left = [a for a in networks if a not in anchors]
    order = generator(0, "profile.order").permutation(len(left))  # so that the first ones are of all sorts
    wholes += [[Task(network=left[i])] for i in order]
    wholes.sort(key=lambda whole: whole[0].network != networks[0])  # the largest first: budgets may be shares of it
    if not target.runtime.ADDITIVE:
        return [task for whole in wholes for task in whole]
    first, other = in_order(counted_keys(space, target))
    keys = [[Task(key=key)] for key in other]
    half = len(keys) // 2
    parts = [[Task()], [Task(key=key) for key in first], *woven(wholes, keys[:half]), *keys[half:]]
    return [task for part in parts for task in part]


def in_order(counts: Mapping[Key, int]) -> tuple[list[Key], list[Key]]:
    """(the heaviest, the lightest and the middle key of each kind, the others), heaviest first.

    Of the others every second one is drawn at random: from the heaviest alone the others are predicted badly.
    """
    weights = {key: count * amounts(key).effort for key, count in counts.items()}
    ordered = sorted(counts, key=lambda key: (-weights[key], str(key)))
    kinds: dict[tuple[str, ...], list[Key]] = {}
    for key in sorted(counts, key=lambda key: (-amounts(key).effort, str(key))):
        kinds.setdefault(amounts(key).kind, []).append(key)
    covering = {group[i] for group in kinds.values() for i in (0, len(group) // 2, -1)}
    others = [key for key in ordered if key not in covering]
    drawn = [others[i] for i in generator(0, "profile.keys").permutation(len(others))]
    return [key for key in ordered if key in covering], list(dict.fromkeys(woven(others, drawn)))


def woven(few: Sequence[T], many: Sequence[T]) -> list[T]:
    """Both in their order, so that every beginning has about the same share of either."""
    places = [((i + 0.5) / len(part), n, i) for n, part in enumerate((few, many)) for i in range(len(part))]
    return [(few, many)[n][i] for _, n, i in sorted(places)]


def distinct_keys(space: Space, target: Target) -> list[Key]:
    """Every distinct kernel and conversion of a space, sorted: see :func:`counted_keys`."""
    return sorted(counted_keys(space, target), key=str)


def counted_keys(space: Space, target: Target) -> dict[Key, int]:
    """How often each kernel and conversion occurs in the extreme architectures and in ever more drawn ones, until none
    is new.

    Half of them is drawn uniformly, half uniformly per choice: of plain draws hardly any has a shallow stage, where a
    search goes at once.
    """
    extremes = [space.extreme(pick, name) for pick in (min, max) for name in _names(space, target.menu)]
    counts = _counted(space.batch(extremes), target)
    for turn in range(_MOST_TURNS):
        rng = generator(0, "profile.cover", turn)
        known = len(counts)
        for by_choice in (False, True):
            counts.update(_counted(space.sample_many(_COVER, rng, by_choice=by_choice), target))
        if len(counts) == known:
            break
    return counts


def keys_of(batch: Batch, target: Target) -> set[Key]:
    """The kernels and conversions of these architectures."""
    return set(_counted(batch, target))


def _counted(batch: Batch, target: Target) -> Counter[Key]:
    todo = work_of(batch, WeightFormats(target.menu), target.batch)
    counts: Counter[Key] = Counter()
    counts.update({key: len(rows) for key, rows in todo.kernels})
    counts.update({key: len(rows) for key, rows in todo.boundaries})
    return counts


def networks_to_time(
    space: Space, seed: int, mixed: int, uniform: int, shallow: int = 0, precisions: Sequence[str] = ("w8a8", "float")
) -> list[Architecture]:
    """The largest float network, ``mixed`` drawn uniformly, ``uniform`` for each of ``precisions``, as kernels know
    them, with all layers in it that can be.

    The last matter because a search ends among them, and a plain draw hardly ever hits them. ``shallow`` ones more are
    drawn uniformly per choice, with the smallest in each precision: where no rows tell, a model must have seen them.
    """
    drawn = [space.largest, *space.sample_many(mixed, generator(seed, "profile.mixed"))]
    for precision in precisions:
        fixed = {c.name: v for c in _chosen(space) for v in c.values if _kernel(v) == precision}
        if fixed:
            drawn += [space.complete(fixed, generator(seed, f"profile.{precision}", i)) for i in range(uniform)]
    if shallow:
        drawn += [space.extreme(min, name) for name in _names(space, precisions)]
        drawn += space.sample_many(shallow, generator(seed, "profile.shallow"), by_choice=True)
    return list(dict.fromkeys(drawn))


def _names(space: Space, kernels: Collection[str]) -> list[str]:
    """The precisions of the space that these kernels run, as it names them, in the order of kernels, and ``float``."""
    values = dict.fromkeys(str(v) for c in _chosen(space) for v in c.values)
    found = [v for kernel in kernels for v in values if _kernel(v) == kernel]
    return list(dict.fromkeys([*found, "float"]))


def _chosen(space: Space) -> list[Choice]:
    """Its choices of whole precisions."""
    return [c for c in space.choices if c.name in space.outline.precision_choices]


def _kernel(value: Value) -> str:
    return parse(str(value)).kernel


def anchors_of(space: Space, networks: Sequence[Architecture]) -> list[Architecture]:
    """Some of these networks, from the smallest to the largest by multiplications."""
    if not networks:
        return []
    macs = space.cost(space.batch(list(networks)))["macs"]
    order = sorted(range(len(networks)), key=lambda i: (int(macs[i]), networks[i].key))
    places = {round(i * (len(order) - 1) / (ANCHORS - 1)) for i in range(ANCHORS)}
    return [networks[order[place]] for place in sorted(places)]
