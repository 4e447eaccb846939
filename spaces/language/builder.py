"""Choices and records, collected while a family walks its ``model`` section."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from spaces.choice import Choice, Condition, Value, When
from spaces.knowledge import Knowledge
from spaces.language.fields import Need, Option
from spaces.language.precisions import Parts, Precisions
from spaces.language.scope import Scope
from spaces.layers import WEIGHTED, Chosen, LayerPrecision, Record, Split
from spaces.yaml import Mark, Problems, Scalar, shown

MOST_RECORDS = 20_000  # far beyond use; a slip of the finger must not fill the memory


class Builder:
    """What a family makes. ``precisions``: the ``precision`` section, which each weighted layer reads.

    Whatever does not fit becomes a problem at its place in the file.
    """

    def __init__(self, precisions: Precisions, problems: Problems) -> None:
        self.problems = problems
        self._precisions = precisions
        self._choices: dict[str, Choice] = {}
        self._records: dict[str, Record] = {}
        self._full = False
        self._excepted: set[str] = set()
        self._marks: dict[str, Mark] = {}  # where each choice is written first
        self.precision_marks: dict[str, Mark] = {}  # where each precision is written first

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All choices so far, in the order in which they were first read."""
        return tuple(self._choices.values())

    @property
    def records(self) -> tuple[Record, ...]:
        """All records so far."""
        return tuple(self._records.values())

    @property
    def full(self) -> bool:
        """Whether there were more records than it takes: a family may stop."""
        return self._full

    # -- fields

    def field(self, option: Option, scope: Scope, key: str, default: str | None = None) -> Value | Chosen:
        """The constant of a fixed option, else a reference to its choice, which is made on first use.

        The choice belongs to the level that the option names, or to the level ``default``, or to ``scope`` itself.
        """
        if option.fixed:
            return option.values[0]
        if option.tie is not None:
            return self._tied(option, option.tie, scope, key)
        place = self._place(option, scope, key, default)
        when = place.when + tuple(c for need in option.needs if (c := self.condition(need, place)) is not None)
        name = place.choice(key)
        self._make(Choice(name, option.values, merged(when)), scope, option.mark)
        return Chosen(name, option.otherwise)

    def word(self, option: Option, scope: Scope, key: str, default: str | None = None) -> str | Chosen:
        """:meth:`field` of an option whose values are words."""
        found = self.field(option, scope, key, default)
        return found if isinstance(found, Chosen) else str(found)

    def precision(self, scope: Scope, own: Option | None = None) -> LayerPrecision:
        """Precision of the layer at ``scope``: its ``own``, else a choice per layer, or what the section says."""
        if own is None and scope.path in self._precisions.exceptions:
            self._excepted.add(scope.path)
            name, mark = self._precisions.exceptions[scope.path]
            self.precision_marks.setdefault(name, mark)
            return name
        place = scope.at("layer")
        if own is None and self._precisions.parts is not None:
            return self._split(self._precisions.parts, place)
        option = own or self._precisions.option
        for value, mark in zip(option.values, option.marks or (option.mark,) * len(option.values), strict=True):
            self.precision_marks.setdefault(str(value), mark)
        return self.word(_within(option, place), place, "precision", "layer")

    def _split(self, parts: Parts, place: Scope) -> Split:
        bits, words = [], []
        for role, (number, settings) in parts.items():
            found = self.field(_within(number, place), place, f"precision.{role}.bits", "layer")
            bits.append(found if isinstance(found, Chosen) else int(found))
            words.append(tuple(self.word(o, Scope(), f"precision.{role}.{name}") for name, o in settings.items()))
        return Split(bits[0], bits[1], *words)

    def finish(self) -> None:
        """Say what the file names and the network does not have."""
        for path, (_, mark) in self._precisions.exceptions.items():
            if path not in self._excepted:
                weighted = [r.path for r in self.records if r.kind in WEIGHTED]
                hint = self.problems.suggest(path, weighted, "layers")
                self.problems.add(mark, f"no layer {shown(path)} has a precision", "unknown-layer", hint)

    def switch(self, scope: Scope, values: Sequence[Value], mark: Mark, needs: Sequence[Need] = ()) -> Value | Chosen:
        """The choice named as the place itself: how many, whether, or which of several."""
        if len(values) == 1 and not needs:
            return values[0]
        when = scope.when + tuple(c for need in needs if (c := self.condition(need, scope)) is not None)
        self._make(Choice(scope.names, tuple(values), merged(when)), scope, mark)
        return Chosen(scope.names)

    def under(self, scope: Scope, switch: Value | Chosen, keeps: Sequence[Value]) -> When:
        """Conditions of what is in ``scope`` and needs the switch to have one of the values ``keeps``."""
        if not isinstance(switch, Chosen):
            return scope.when
        choice = self._choices[switch.name]
        if len(keeps) == len(choice.values) and set(choice.when) <= set(scope.when):
            return scope.when
        if switch.otherwise is not None and switch.otherwise in keeps and not set(choice.when) <= set(scope.when):
            if set(self.values_of(switch)) <= set(keeps):
                return scope.when  # whatever it is, there or not
            # No condition can say that it has one of these or is not there.
            said = f"layers depend on {shown(choice.name)}, which has {switch.otherwise} by its else"
            self.problems.add(self._marks[choice.name], said, "unsupported", "leave when and else out")
        implied = set(choice.when)  # a choice that is present has its own conditions fulfilled
        return (*(c for c in scope.when if c not in implied), Condition(switch.name, tuple(keeps)))

    def values_of(self, field: Value | Chosen) -> tuple[Value, ...]:
        """Every value that a field may have."""
        if not isinstance(field, Chosen):
            return (field,)
        values = self._choices[field.name].values
        return values if field.otherwise is None or field.otherwise in values else (*values, field.otherwise)

    def together(self, scope: Scope, *given: Value | Chosen) -> Iterator[tuple[Value, ...]]:
        """Values that fields which are read in ``scope`` may have at once."""
        return self._together(Knowledge(self._choices).where(scope.when), given)

    def _together(self, known: Knowledge, given: Sequence[Value | Chosen]) -> Iterator[tuple[Value, ...]]:
        if not given:
            yield ()
            return
        first, *others = given
        ways: list[tuple[Value, Knowledge]] = []
        if isinstance(first, Chosen):
            choice = self._choices[first.name]
            ways = [(v, known.where((Condition(first.name, (v,)),))) for v in choice.values]
            if first.otherwise is not None and choice.when:  # of a wrong condition, which is a problem, nothing is left
                ways.append((first.otherwise, known.without(choice.when)))
        else:
            ways = [(first, known)]
        for value, here in ways:
            if here.possible:
                yield from ((value, *more) for more in self._together(here, others))

    # -- records

    def add(self, record: Record) -> str:
        """Take a record in, and return its path. A second of one path is a mistake of the family, or of the file."""
        if len(self._records) >= MOST_RECORDS and not self._full:
            self._full = True
            self.problems.add(Mark(1, 1), f"the network has more than {MOST_RECORDS} layers", "too-large")
        if not self._full:
            if record.path in self._records:
                self.problems.add(Mark(1, 1), f"two layers are named {shown(record.path)}", "duplicate-name")
            self._records[record.path] = record
        return record.path

    # -- shared

    def condition(self, need: Need, scope: Scope) -> Condition | None:
        """A condition of the file on choices made so far; what it names wrongly becomes a problem."""
        choice = self._find(need.name, scope, need.mark)
        if choice is None:
            return None
        kept = tuple(v for v in choice.values if need.keeps(v))
        known = ", ".join(map(str, choice.values))
        for wanted in need.values or ():
            if not any(type(wanted) is type(v) and wanted == v for v in kept):
                self.problems.add(
                    need.mark, f"{choice.name} never is {shown(str(wanted))}", "unknown-value", f"values: {known}"
                )
        if not kept and need.values is None:
            self.problems.add(
                need.mark, f"no value of {choice.name} is within these bounds", "never", f"values: {known}"
            )
        return Condition(choice.name, kept) if kept else None

    def _find(self, name: str, scope: Scope, mark: Mark) -> Choice | None:
        for path in scope.around(name):
            if path in self._choices:
                return self._choices[path]
        hint = self.problems.suggest(name, self._choices, "choices")
        self.problems.add(mark, f"no choice {shown(name)} is written before this", "unknown-choice", hint)
        return None

    def _place(self, option: Option, scope: Scope, key: str, default: str | None) -> Scope:
        wanted = option.per or default
        place = scope if wanted is None else scope.level(wanted)
        if place is None:
            levels = ", ".join(name for name, _, _ in scope.levels)
            self.problems.add(option.mark, f"{key} is in no {wanted}", "wrong-scope", f"it can be chosen per {levels}")
        return place or scope

    def _make(self, choice: Choice, scope: Scope, mark: Mark) -> None:
        self._marks.setdefault(choice.name, mark)
        known = self._choices.setdefault(choice.name, choice)
        # A tied element reads the choice that the first one made, which is there whenever this one is.
        if known != choice and (scope.path == scope.names or known.values != choice.values):
            self.problems.add(mark, f"two different choices would be named {shown(choice.name)}", "duplicate-name")

    def _tied(self, option: Option, name: str, scope: Scope, key: str) -> Value | Chosen:
        owner = self._find(name, scope, option.mark)
        if owner is None:
            return 1
        if not _implies(self._closure(scope.when), self._closure(owner.when)):
            said = f"{shown(name)} may be absent where {key} reads it"
            self.problems.add(option.mark, said, "absent-tie", "tie to a choice that is there whenever this place is")
        if option.read is not None:
            for value in owner.values:
                option.read(Scalar(value, str(value), option.mark), self.problems)
        return Chosen(owner.name)

    def _closure(self, when: When) -> dict[str, set[str]]:
        """Everything that holds where ``when`` does: the conditions, and those of the choices they name."""
        found: dict[str, set[str]] = {}
        for condition in when:
            mine = {repr(v) for v in condition.values}
            found[condition.name] = found.get(condition.name, mine) & mine
            for name, values in self._closure(self._choices[condition.name].when).items():
                found[name] = found.get(name, values) & values
        return found


def _within(option: Option, place: Scope) -> Option:
    """The option at the level it names; at the layer's own where there is none: a classifier is in no stage."""
    return option if option.per is None or place.level(option.per) is not None else replace(option, per=None)


def merged(when: When) -> When:
    """The same conditions, at most one on each choice."""
    found: dict[str, Condition] = {}
    for c in when:
        known = found.get(c.name)
        kept = (
            c.values
            if known is None
            else tuple(v for v in known.values if any(type(v) is type(w) and v == w for w in c.values))
        )
        found[c.name] = Condition(c.name, kept)
    return tuple(found.values())


def _implies(here: dict[str, set[str]], needed: dict[str, set[str]]) -> bool:
    return all(name in here and here[name] <= values for name, values in needed.items())
