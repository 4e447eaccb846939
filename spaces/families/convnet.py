"""``family: convnet``: stages of conv - batch norm - ReLU blocks, optional residuals, a global pool and a classifier.

Choices: depth and width per stage, kernel per stage or block, and a precision per layer. A block is
``relu(bn(conv(x)))``, with ``residual: true`` ``relu(bn(conv(x)) + x)`` wherever the block keeps its input's shape:
every block of a stage but the first. A stage's first block carries the stride. The tensors that an add joins are the
output of one stage, so they share the stage's width choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from spaces import precision
from spaces.choice import Choice, Condition, Value, When
from spaces.families.options import Choices, Option, take, whole
from spaces.outline import INPUT, Chosen, Outline, Record
from spaces.yaml import Mapping, Node, Problems, Scalar, Section, Sequence, plain

_DEEPEST, _WIDEST, _LARGEST = 1_000, 65_536, 99  # far beyond use; a slip of the finger must not fill the memory


@dataclass(frozen=True)
class _Stage:
    depth: Option
    width: Option
    kernel: Option
    stride: int
    residual: bool


def read(
    model: Section, precisions: Option, shape: tuple[int, int, int], classes: int, problems: Problems
) -> tuple[tuple[Choice, ...], Outline]:
    """Choices and outline of the ``model`` section; adds to ``problems`` what is wrong with it."""
    stages = _stages(model, problems)
    built = _Builder(precisions, shape, classes)
    for position, stage in enumerate(stages):
        built.stage(position, stage)
    return built.finish()


def read_precision(node: Node, problems: Problems) -> Value | None:
    """A precision by name (``float``, ``w8a8``) or in the long form, as its canonical name."""
    try:
        if isinstance(node, Mapping):
            name = precision.from_mapping(plain(node))  # type: ignore[arg-type]
        elif isinstance(node, Scalar) and isinstance(node.value, str):
            name = precision.parse(node.value).name
        else:
            raise ValueError("a precision is a name such as w8a8, or {weights: {bits}, inputs: {bits}}")
    except ValueError as error:
        problems.add(node.mark, str(error), "unknown-name")
        return None
    if not precision.legal(name, "conv"):
        menu = ", ".join(sorted(precision.LEGAL["conv"]))
        problems.add(
            node.mark, f"precision {name} is not legal for a conv layer", "illegal-precision", f"legal: {menu}"
        )
        return None
    return name


def _stages(model: Section, problems: Problems) -> list[_Stage]:
    node = model.require("stages")
    items = node.items if isinstance(node, Sequence) else ()
    if node is not None and not items:
        problems.add(node.mark, "stages must be a list of at least one stage", "wrong-type")
    stages = []
    for position, item in enumerate(items):
        section = Section(item, f"{model.where}.stages.{position}", problems)
        stage = _Stage(
            depth=take(section, "depth", whole(1, _DEEPEST, "depth"), 1, problems),
            width=take(section, "width", whole(1, _WIDEST, "width"), 16, problems),
            kernel=take(section, "kernel", whole(1, _LARGEST, "kernel", odd=True), 3, problems),
            stride=section.integer("stride", 1, at_least=1, at_most=4),
            residual=section.boolean("residual", False),
        )
        for name, scopes in (("depth", ("stage",)), ("width", ("stage",)), ("kernel", ("stage", "block"))):
            option: Option = getattr(stage, name)
            if option.per is not None and option.per not in scopes:
                problems.add(option.mark, f"{name} of a convnet can be chosen per {' or '.join(scopes)}", "wrong-scope")
        section.finish()
        stages.append(stage)
    return stages


class _Builder:
    def __init__(self, precisions: Option, shape: tuple[int, int, int], classes: int) -> None:
        self.precisions = precisions
        self.shape = shape
        self.classes = classes
        self.choices = Choices()
        self.records: list[Record] = []
        self.last = INPUT

    def stage(self, position: int, stage: _Stage) -> None:
        path = f"stages.{position}"
        self.choices.field(stage.depth, f"{path}.depth", ())
        width = self.choices.field(stage.width, f"{path}.width", ())
        depths = [int(d) for d in stage.depth.values]
        for block in range(max(depths)):
            deep = tuple(d for d in depths if d > block)
            when: When = () if len(deep) == len(depths) else (Condition(f"{path}.depth", deep),)
            per_block = stage.kernel.per == "block"
            kernel_name = f"{path}.{block}.kernel" if per_block else f"{path}.kernel"
            kernel = self.choices.field(stage.kernel, kernel_name, when if per_block else ())
            joined = stage.residual and block > 0
            self._conv(f"{path}.{block}", width, kernel, stage.stride if block == 0 else 1, when, joined)

    def _conv(
        self,
        path: str,
        width: Value | Chosen,
        kernel: Value | Chosen,
        stride: int,
        when: When,
        joined: bool,
    ) -> None:
        before = self.last
        conv = Record(
            path=f"{path}.conv",
            kind="conv",
            inputs=(before,),
            out=_number(width),
            kernel=_number(kernel),
            stride=stride,
            norm=True,
            activation="none" if joined else "relu",
            precision=self._precision(f"{path}.conv", when),
            exists_when=when,
        )
        self.records.append(conv)
        self.last = conv.path
        if joined:
            # The skip stands second: an absent add is read through its first input, and so is the absent conv's.
            self.records.append(Record(f"{path}.add", "add", (conv.path, before), activation="relu", exists_when=when))
            self.last = f"{path}.add"

    def _precision(self, path: str, when: When) -> str | Chosen:
        scope = self.precisions.per or "layer"
        block = path.removesuffix(".conv")
        names = {"network": "precision", "layer": f"{path}.precision", "block": f"{block}.precision"}
        names["stage"] = f"{'.'.join(path.split('.')[:2])}.precision" if path.startswith("stages.") else names["layer"]
        field = self.choices.field(self.precisions, names[scope], when if scope in ("layer", "block") else ())
        return field if isinstance(field, Chosen) else str(field)

    def finish(self) -> tuple[tuple[Choice, ...], Outline]:
        self.records.append(Record("pool", "pool", (self.last,)))
        self.records.append(
            Record("classifier", "linear", ("pool",), out=self.classes, precision=self._precision("classifier", ()))
        )
        return self.choices.made, Outline(self.shape, self.classes, tuple(self.records))


def _number(value: Value | Chosen) -> int | Chosen:
    return value if isinstance(value, Chosen) else int(value)
