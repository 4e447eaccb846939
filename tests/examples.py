"""Small spaces that many tests share, and hypothesis strategies that draw them."""

from __future__ import annotations

from hypothesis import strategies as st

from spaces import Architecture, Choice, Condition, Outline, Space, Value
from spaces.load import read_space
from spaces.yaml import Problems, Section, read_text

NO_LAYERS = Outline((1, 1, 1), 2, ())
VALUES: tuple[Value, ...] = (1, 1.0, True, 0, 0.0, False, 8, 8.0, "8", "a", "float", -3)

PLAIN = """
model:
  family: convnet
  input: [2, 7, 6]
  classes: 3
  stages:
    - {depth: {choice: [1, 2]}, width: {choice: [3, 4, 6]}, kernel: {choice: [1, 3, 5], per: block}}
    - {depth: {choice: [1, 2]}, width: {choice: [5, 8]}, kernel: {choice: [3, 5]}, stride: 2}
precision: {choice: [float, w8a8, w4a8], per: layer}
"""
RESIDUAL = PLAIN.replace("}}\n", "}, residual: true}\n").replace("stride: 2}", "stride: 2, residual: true}")


def space_of(text: str, name: str = "example") -> Space:
    """The space of a ``space.yaml`` given as text. Raises :class:`spaces.yaml.SpecError` with all its problems."""
    problems = Problems("space.yaml")
    space = read_space(Section(read_text(text, "space.yaml"), "space", problems), name, problems)
    problems.raise_if_any()
    assert space is not None
    return space


def convnet_text(stages: str, rest: str = "") -> str:
    """A file with these stages from column 12 of line 3 on, and the rest from line 4 on."""
    return f"model:\n  family: convnet\n  stages: [{stages}]\n{rest}"


def convnet(stages: str, image: int = 8, precision: str = "float") -> Space:
    """A convnet of these stages for pictures (2, image, image) of three classes."""
    model = f"family: convnet, input: [2, {image}, {image}], classes: 3, stages: {stages}"
    return space_of(f"model: {{{model}}}\nprecision: {precision}")


def mobile(precision: str, activation: str = "relu6") -> Space:
    """A mobilenet of few layers: norms before activation functions and before a residual's sum."""
    return space_of(f"""
model:
  family: mobilenet
  input: [3, 32, 32]
  classes: 4
  stem: {{width: 16, activation: relu6, stride: 1}}
  stages: [{{depth: 1, width: 16, expand: {{choice: [2, 3]}}, activation: {activation}}}]
precision: {precision}
""")


def with_precision(space: Space, architecture: Architecture, precision: str) -> Architecture:
    """The same architecture with every precision choice at ``precision``."""
    names = space.outline.precision_choices
    return space.architecture({n: precision if n in names else v for n, v in architecture.items()})


@st.composite
def forests(draw: st.DrawFn) -> Space:
    """Choices of mixed types without layers, many of them conditional on earlier ones, to several levels."""
    choices: list[Choice] = []
    for i in range(draw(st.integers(0, 6))):
        values = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=3, unique_by=lambda v: (type(v), v)))
        when = []
        for parent in draw(st.lists(st.sampled_from(choices), max_size=3)) if choices else ():
            chosen = draw(st.sets(st.sampled_from(range(len(parent.values))), min_size=1))
            when.append(Condition(parent.name, tuple(parent.values[k] for k in sorted(chosen))))
        choices.append(Choice(f"c{i}", tuple(values), tuple(when)))
    return Space("forest", tuple(choices), NO_LAYERS)


def _option(values: list[str], per: str | None) -> str:
    if len(values) == 1:
        return values[0]
    return f"{{choice: [{', '.join(values)}]{f', per: {per}' if per else ''}}}"


def _some(pool: list[str], at_most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(pool), min_size=1, max_size=at_most, unique=True)


@st.composite
def convnets(draw: st.DrawFn, precisions: tuple[str, ...] = ("float", "w8a8", "w4a8")) -> Space:
    """Convnets of one to three stages, with and without residuals, tiny widths, all scopes of choices."""
    stages = []
    for _ in range(draw(st.integers(1, 3))):
        depth = _option(draw(_some(["1", "2", "3"], 2)), None)
        width = _option(draw(_some(["1", "2", "3", "5"], 2)), None)
        kernel = _option(draw(_some(["1", "3", "5"], 2)), draw(st.sampled_from([None, "stage", "block"])))
        stride, residual = draw(st.integers(1, 3)), draw(st.sampled_from(["true", "false"]))
        stages.append(f"{{depth: {depth}, width: {width}, kernel: {kernel}, stride: {stride}, residual: {residual}}}")
    c, h, w = draw(st.integers(1, 3)), draw(st.integers(1, 7)), draw(st.integers(1, 7))
    per = draw(st.sampled_from([None, "network", "stage", "block", "layer"]))
    precision = _option(draw(_some(list(precisions), 3)), per)
    model = f"{{family: convnet, input: [{c}, {h}, {w}], classes: 3, stages: [{', '.join(stages)}]}}"
    return space_of(f"model: {model}\nprecision: {precision}\n")
