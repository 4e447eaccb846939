"""What the ``data`` section may say of each dataset, and for which networks it is; read without loading torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from spaces import Space
from spaces.datasets import SHAPES
from spaces.yaml import Problems, Section, nearest, plain, read_text
from spaces.yaml.schema import Recorder, keys

Reads = Literal["images", "tokens", "gaps", "pairs", "pictures"]
"""What a network is for: to name the class of an image; to go on with a text, to fill gaps in it, or to go on with one
after having read another; or to make a larger picture."""
TOKENS: tuple[Reads, ...] = ("tokens", "gaps", "pairs")
Options = Callable[[Section], dict[str, Any]]
"""Asks a section for the keys of a dataset; what is wrong with their values becomes a problem."""

ENTRY = "entry"
MOST_BATCH = 10_000  # examples, far beyond use
MOST_SHARE = 0.45  # of all examples for validation, and for test


@dataclass(frozen=True)
class Data:
    """``dataset`` by name, its folder or file if it has one, examples per mini-batch, options of this dataset."""

    dataset: str = "digits"
    root: str | None = None
    batch: int = 64
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """``root``: what ``data.root`` names, ``None`` if nothing; ``reads``: empty if that shows in the data."""

    reads: tuple[Reads, ...]
    root: str | None
    options: Options


def _none(section: Section) -> dict[str, Any]:
    return {}


def _shares(section: Section, validation: float, test: float) -> dict[str, Any]:
    shares = {"validation": validation, "test": test}
    return {key: section.number(key, share, above=0, at_most=MOST_SHARE) for key, share in shares.items()}


def _variants(section: Section, shift: int, flip: bool) -> dict[str, Any]:
    return {
        "shift": section.integer("shift", shift, at_least=0, at_most=64),
        "flip": section.boolean("flip", flip),
        "limit": section.integer("limit", None, at_least=1),
    }


def _tokens(section: Section) -> dict[str, Any]:
    return {"tokens": section.text("tokens", "characters", among=["bytes", "characters"])}


def _images(section: Section) -> dict[str, Any]:
    return {**_shares(section, 0.1, 0.1), **_variants(section, 2, False)}


def _cifar10(section: Section) -> dict[str, Any]:
    return _variants(section, 4, True)


def _fashion_mnist(section: Section) -> dict[str, Any]:
    return _variants(section, 2, False)


def _text(section: Section) -> dict[str, Any]:
    return {**_shares(section, 0.05, 0.05), **_tokens(section)}


def _super_resolution(section: Section) -> dict[str, Any]:
    crops = section.text("evaluate", "tiles", among=["centre", "tiles"])
    return {**_shares(section, 0.1, 0.2), "evaluate": crops}


def _huggingface(section: Section) -> dict[str, Any]:
    columns = {"column": section.text("column", None), "label": section.text("label", "label")}
    return {**columns, **_tokens(section), **_images(section)}


def _entry(section: Section) -> dict[str, Any]:
    section.section("options")  # whose keys are the function's business
    node = section.child("options")
    return {"entry": section.text(ENTRY, None), "options": {} if node is None else plain(node)}


KINDS: dict[str, Kind] = {
    "cifar10": Kind(("images",), "the folder of its binary files, or an NPZ file", _cifar10),
    "digits": Kind(("images",), None, _none),
    ENTRY: Kind((), None, _entry),
    "fashion_mnist": Kind(("images",), "the folder of its files", _fashion_mnist),
    "huggingface": Kind((), "a folder that save_to_disk wrote", _huggingface),
    "images": Kind(("images",), "a folder with a folder per class, or an NPZ file", _images),
    "super_resolution": Kind(("pictures",), "a folder of PNG files", _super_resolution),
    "text": Kind(TOKENS, "a UTF-8 text file", _text),
}
"""Names, and not the loaders themselves, which need torch. A test keeps them equal."""

NAMED = tuple(name for name in sorted(KINDS) if name != ENTRY)


def reads(space: Space) -> Reads:
    """What the networks of a space are for, as their layers show."""
    if any(record.kind == "embedding" for record in space.outline.records):
        if space.outline.input_shape[0] == 2:
            return "pairs"
        # What sees the next token cannot learn to predict it.
        seen = any(record.kind == "attention" and not record.causal for record in space.outline.records)
        return "gaps" if seen else "tokens"
    last = space.outline.layers(space.largest)[-1]
    return "pictures" if last.kind != "linear" and last.out_h > 1 else "images"


def enlarges(space: Space) -> int:
    """How many times higher the output is than the input; 1 for networks that do not give pictures."""
    last = space.outline.layers(space.largest)[-1]
    return last.out_h // space.outline.input_shape[1] if reads(space) == "pictures" else 1


def read_data(section: Section, path: Path, problems: Problems) -> Data:
    """The checked section of the file at ``path``; what is wrong becomes a problem."""
    if section.has(ENTRY) and section.has("dataset"):
        problems.add(section.mark(ENTRY), "data has a dataset or an entry, not both", "ambiguous")
    dataset = section.text("dataset", ENTRY if section.has(ENTRY) else Data.dataset, among=NAMED)
    written = section.child("dataset")
    if written is not None:  # of an unknown dataset check what can be checked: most likely its name is only mistyped
        dataset = nearest(str(plain(written)), NAMED) or dataset
    kind = KINDS[dataset]
    batch = section.integer("batch", Data.batch, at_least=2, at_most=MOST_BATCH)
    made = Data(dataset, section.text("root", None), batch)
    made = replace(made, options=kind.options(section))
    if made.root is not None and not (path.parent / made.root).exists():
        folder = (path.parent / made.root).parent
        near = nearest(Path(made.root).name, [p.name for p in folder.iterdir()] if folder.is_dir() else [])
        hint = f"did you mean '{near}'?" if near else None
        problems.add(section.mark("root"), f"no file or folder '{made.root}'", "missing-file", hint)
    if made.root is None and kind.root is not None:
        what = f"dataset {dataset} needs the key 'space.data.root': {kind.root}"
        problems.add(section.mark("dataset"), what, "missing-key")
    section.finish()
    return made


def check_network(model: Section, data: Section, space: Space, dataset: str, problems: Problems) -> None:
    """The model must be of the kind that the dataset is for, take its images and give its classes."""
    if not space.outline.records:
        return  # a space without layers is searched for something else than a network
    found, wanted = reads(space), KINDS[dataset].reads
    if wanted and found not in wanted:
        does = "makes pictures" if found == "pictures" else f"reads {'tokens' if found in TOKENS else 'images'}"
        what = f"dataset {dataset} is for networks of {next(iter(wanted))}, this one {does}"
        fits = [name for name in NAMED if not KINDS[name].reads or found in KINDS[name].reads]
        problems.add(data.mark("dataset"), what, "wrong-dataset", f"datasets for it: {', '.join(fits)}")
        return
    shape, classes = SHAPES.get(dataset, (space.outline.input_shape, space.outline.classes))
    if space.outline.input_shape != shape:
        sized = space.outline.resolution is not None
        hint = f"let the largest resolution be {shape[1]}" if sized else "delete input"
        at = "resolution" if sized else "input"
        problems.add(model.mark(at), f"images of {dataset} are {list(shape)}", "wrong-shape", hint)
    if space.outline.classes != classes:
        problems.add(model.mark("classes"), f"{dataset} has {classes} classes", "wrong-shape", "delete classes")


def data_schema(free: Collection[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """JSON schema of the section, and of a whole file for each dataset: its keys, as its reader asks for them."""
    variants = []
    for name in KINDS:
        recorder = Recorder(name)
        text = f"{ENTRY}: a:b" if name == ENTRY else f"dataset: {name}"
        read_data(Section(read_text(text, name), "space.data", recorder), Path(), recorder)
        condition: dict[str, Any] = {"required": [ENTRY]}
        if name != ENTRY:
            condition = {"required": ["dataset"], "properties": {"dataset": {"const": name}}}
        if name == Data.dataset:  # also where none is named
            condition = {"not": {"required": [ENTRY]}, "properties": {"dataset": {"const": name}}}
        chosen = {"required": ["data"], "properties": {"data": condition}}
        variants.append({"if": chosen, "then": {"properties": {"data": keys([recorder], "space.data", free)}}})
    return {"type": "object", "properties": {"dataset": {"enum": list(NAMED)}}}, variants
