"""A ``space.yaml`` as checked values: everything that a search is made of, besides the command line."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import files
from nas.datasets import ENTRY, MOST_BATCH, Data, check_network, data_schema, read_data
from nas.objectives import OBJECTIVES
from nas.own_model import OUTLINE, OWN_KEYS, WEIGHTS, OwnModel, own_schema
from nas.plugins import check_allowed
from nas.schemes import DEFAULT, check_scheme, read_scheme, train_schema
from spaces import Space
from spaces.load import locate, read_space, zoo
from spaces.menu import Menu
from spaces.yaml import Problems, Section, nearest_file, plain, read_file, read_text
from spaces.yaml.schema import Recorder
from spaces.yaml.schema import schema as json_schema
from spaces.yaml.writer import dump

if TYPE_CHECKING:
    from predictors.latency import Target
    from supernets import Recipe

# Names, and not the registries themselves: reading a file must not load torch. A test keeps them equal.
FLOATS = ("f32", "bf16")
# With what their float layers may compute in.
BACKENDS = {
    "onnxruntime": ("f32",), "openvino": FLOATS, "torch": FLOATS, "inductor": ("f32",), "cuda": FLOATS,
    "cuda_inductor": FLOATS,
}  # fmt: skip
MENU = "menu.json"
_WRITE = "write it with: nas devices --out FILE"
STRATEGIES = (
    "random",
    "low_discrepancy",
    "local_search",
    "regularized_evolution",
    "nsga2",
    "predictor_guided",
    "mcts",
    "smbo",
    "successive_narrowing",
    *(f"optuna:{sampler}" for sampler in ("nsga2", "nsga3", "tpe", "gp", "cmaes", "qmc")),
)
EVALUATORS = ("predictor", "supernet")
# Far above any use; a number beyond them is a slip, and would be found out after days.
MOST = {"epochs": 100_000, "trials": 1_000_000, "evaluations": 100_000, "finalists": 100}
LIMITS = ("latency_share", *(o.name for o in OBJECTIVES.values() if o.sense == "min"))


@dataclass(frozen=True)
class Train:
    """See :class:`supernets.Recipe`."""

    scheme: str = DEFAULT
    epochs: int = 80
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    threads: int = 1
    learning_rate_floor: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    autocast: str | None = None
    device: str = "cpu"
    compile: bool = False

    def recipe(self) -> Recipe:
        """As the room of supernets takes it."""
        from supernets import Recipe

        return Recipe(**asdict(self))


@dataclass(frozen=True)
class Device:
    """Where the network will run: backend, threads, images per call, and what float layers compute in.

    ``menu``: what the device does with precisions, if it is not the backend's own; ``simulated``: whether precisions
    without a kernel may be searched too.
    """

    backend: str = "onnxruntime"
    threads: int = 1
    batch: int = 1
    floats: str = "f32"
    menu: Menu | None = None
    simulated: bool = False

    def target(self) -> Target:
        """As the room of predictors takes it."""
        from predictors.latency import Target

        return Target(self.backend, self.threads, self.batch, self.floats)


@dataclass(frozen=True)
class Search:
    """``trials`` proposals of a strategy on the predictors, which learn from ``evaluations`` subnets.

    ``strategy`` is a name, or ``package.module:Class`` of the user's own.
    With ``evaluator`` ``supernet`` the quality of each proposal is measured in the supernet instead.
    ``budget``: upper limits. ``latency_share`` is a latency as a share of the largest float network's, measured here.
    ``baselines``: whether what is chosen is compared with the largest networks, random search and float networks.
    """

    strategy: str = "optuna:nsga2"
    trials: int = 1000
    evaluations: int = 200
    finalists: int = 5
    objectives: tuple[str, ...] = ("quality", "latency_ms", "size_bytes")
    budget: Mapping[str, float] = field(default_factory=dict)
    evaluator: str = "predictor"
    baselines: bool = True


@dataclass(frozen=True)
class Experiment:
    """One checked file. ``text`` is the file itself; ``source`` where it came from.

    ``plugins``: packages of the user's own whose code may be run, as said on the command line; ``own`` the model of
    one's own, as data; ``program``: whether networks are exported as programs of ``torch.export`` too.
    """

    source: Path
    text: str
    space: Space
    data: Data
    train: Train
    device: Device
    search: Search
    plugins: tuple[str, ...] = ()
    own: OwnModel | None = None
    program: bool = False

    @cached_property
    def searched(self) -> Space:
        """What is drawn from, priced and searched: the space with the precisions that the device's menu allows.

        Real kernels; containers too where size is an objective or has a budget; simulated ones if asked for. Raises
        :class:`spaces.restrict.NothingLeft`, a ``ValueError``.
        """
        from predictors.latency.menu import menu_of

        menu = self.device.menu or menu_of(self.device.target())
        size = "size_bytes" in {*self.search.objectives, *self.search.budget}
        return self.space.restrict(menu.keeping(size, self.device.simulated))

    @property
    def family(self) -> str:
        """The family that the model section names."""
        document = plain(read_text(self.text, str(self.source)))
        assert isinstance(document, dict)
        return str(document["model"]["family"])

    @property
    def root(self) -> Path | None:
        """Folder or file of the dataset; a relative one is meant from the file's folder."""
        return None if self.data.root is None else self.source.parent / self.data.root

    def resolved(self) -> str:
        """The file as YAML that means the same anywhere: name, budget and folder of the data written out.

        A menu is the file :data:`MENU` beside it.
        """
        document = plain(read_text(self.text, str(self.source)))
        assert isinstance(document, dict)
        document["name"] = self.space.name
        if self.own is not None:  # traced: from now on it is the files beside this one
            document.pop("precision", None)
            weights = {} if self.own.weights is None else {"weights": WEIGHTS}
            document["model"] = {"outline": OUTLINE, **weights}
        document["search"] = {**document.get("search", {}), "budget": dict(self.search.budget)}
        if self.device.menu is not None:
            document["device"]["menu"] = MENU
        if self.root is not None:
            document["data"] = {**document["data"], "root": str(self.root.resolve())}
        return dump(document)

    def with_budget(self, **limits: float | None) -> Experiment:
        """The same with these limits instead; a latency limit of either form replaces both."""
        given = {name: value for name, value in limits.items() if value is not None}
        kept = dict(self.search.budget)
        if {"latency_ms", "latency_share"} & set(given):
            kept.pop("latency_ms", None)
            kept.pop("latency_share", None)
        return self.with_limits({**kept, **given})

    def with_limits(self, limits: Mapping[str, float]) -> Experiment:
        """The same with exactly this budget."""
        return replace(self, search=replace(self.search, budget=dict(limits)))

    def to_json(self) -> dict[str, Any]:
        """All settings resolved, for the run folder; the space by its digest."""
        return {
            "name": self.space.name,
            "space": self.space.digest,
            "data": asdict(self.data),
            "train": asdict(self.train),
            "device": {**asdict(self.device), "menu": None if self.device.menu is None else self.device.menu.to_json()},
            "search": {**asdict(self.search), "objectives": list(self.search.objectives)},
        }


def load(source: str | Path, plugins: Collection[str] | None = None) -> Experiment:
    """Read and check a file or zoo space. Raises :class:`spaces.yaml.SpecError` with every problem there is.

    ``plugins``: packages whose code the file may name; ``None`` to look at any file, of which no code will be run.
    """
    path = locate(source)
    problems = Problems(str(path))
    made = read(path, problems, plugins)
    problems.raise_if_any()
    assert made is not None
    return made


def read(path: Path, problems: Problems, plugins: Collection[str] | None = None) -> Experiment | None:
    """Read a file, noting what is wrong; ``None`` if the problems leave no space."""
    root = Section(read_file(path, problems), "space", problems)
    own = OwnModel(path.parent, plugins)
    space = read_space(root, path.stem, problems, own.read)
    data = read_data(root.section("data"), path, problems)
    if plugins is not None and data.dataset == ENTRY:
        check_allowed(root.section("data").mark(ENTRY), data.options[ENTRY], plugins, problems)
    if space is not None and root.has("data"):  # without data a space can still be looked at
        check_network(root.section("model"), root.section("data"), space, data.dataset, problems)
    train = _train(root.section("train"), problems)
    if space is not None:
        check_scheme(root.section("train"), train.scheme, space, problems)
    device = _device(root.section("device"), path.parent, problems)
    search = _search(root.section("search"), problems, plugins)
    export = root.section("export")
    export.text("format", "onnx", among=["onnx"])
    program = export.boolean("program", False)
    export.finish()
    if space is None:
        return None
    return Experiment(
        path.resolve(),
        path.read_text(encoding="utf-8"),
        space,
        data,
        train,
        device,
        search,
        tuple(plugins or ()),
        own if own.found else None,
        program,
    )


FREE = (
    "space.model.choices",
    "space.model.layers",
    "space.model.options",
    "space.data.options",
)  # below these, names are the user's own


def schema() -> dict[str, Any]:
    """The JSON schema of ``space.yaml``, from what reading the zoo asks for."""
    readings: dict[str, list[Recorder]] = {}
    for name in zoo():
        recorder = Recorder(name)
        made = read(locate(name), recorder)
        assert made is not None, str(recorder)
        readings.setdefault(made.family, []).append(recorder)
    whole = json_schema(readings, FREE)
    whole["properties"]["data"], variants = data_schema(FREE)
    whole["properties"]["train"], schemes = train_schema(_train, FREE)
    whole["allOf"] += [*variants, *schemes]
    whole["properties"]["model"]["required"] = []
    own = {"anyOf": [{"required": [key]} for key in OWN_KEYS]}
    named = {"properties": {"model": {"required": ["family"]}}}
    whole["allOf"].append(
        {"if": {"properties": {"model": own}}, "then": {"properties": {"model": own_schema(FREE)}}, "else": named}
    )
    return whole


def _train(section: Section, problems: Problems) -> Train:
    scheme, options = read_scheme(section, problems)
    made = Train(
        scheme=scheme,
        epochs=section.integer("epochs", Train.epochs, at_least=1, at_most=MOST["epochs"]),
        learning_rate=section.number("learning_rate", Train.learning_rate, above=0, at_most=10),
        weight_decay=section.number("weight_decay", Train.weight_decay, at_least=0, at_most=10),
        threads=_threads(section),
        learning_rate_floor=section.number("learning_rate_floor", Train.learning_rate_floor, at_least=0, at_most=1),
        options=options,
        autocast=section.text("autocast", None, among=("bf16",)),
        device=section.text("device", Train.device, among=("cpu", "cuda")),
        compile=section.boolean("compile", Train.compile),
    )
    section.finish()
    return made


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _threads(section: Section) -> int:
    """Threads that wait for each other on one core take seconds for what takes one a millisecond."""
    most = cores()
    hint = f"this process may use {most} core{'' if most == 1 else 's'}"
    return section.integer("threads", 1, at_least=1, at_most=most, hint=hint)


def _device(section: Section, folder: Path, problems: Problems) -> Device:
    backend = section.text("backend", Device.backend, among=tuple(BACKENDS))
    made = Device(
        backend=backend,
        threads=_threads(section),
        batch=section.integer("batch", Device.batch, at_least=1, at_most=MOST_BATCH),
        floats=section.text("floats", Device.floats, among=FLOATS),
        menu=_menu(section, backend, folder, problems),
        simulated=section.boolean("simulated", Device.simulated),
    )
    if made.floats not in BACKENDS[made.backend]:
        what = f"backend {made.backend} computes floats in {' or '.join(BACKENDS[made.backend])}"
        problems.add(section.mark("floats"), f"{what}, not in {made.floats}", "unknown-value")
    section.finish()
    return made


def _menu(section: Section, backend: str, folder: Path, problems: Problems) -> Menu | None:
    file = section.text("menu", None)
    if file is None:
        return None
    try:
        menu = Menu.from_json(files.read_json(folder / file), file)
    except OSError as error:
        what = f"{folder / file}: {(error.strerror or str(error)).lower()}"
        problems.add(section.mark("menu"), what, "missing-file", nearest_file(folder / file) or _WRITE)
    except ValueError as error:
        problems.add(section.mark("menu"), str(error), "wrong-menu", _WRITE)
    else:
        if menu.backend == backend:
            return menu
        what = f"{file}: the menu of backend '{menu.backend}', but the device's backend is '{backend}'"
        problems.add(section.mark("menu"), what, "foreign")
    return None


def _search(section: Section, problems: Problems, plugins: Collection[str] | None) -> Search:
    defaults = Search()
    entry = section.text(ENTRY, None)
    if entry is not None and section.has("strategy"):
        problems.add(section.mark(ENTRY), "search has a strategy or an entry, not both", "ambiguous")
    if entry is not None and plugins is not None:
        check_allowed(section.mark(ENTRY), entry, plugins, problems)
    objectives = section.texts("objectives", list(defaults.objectives), among=list(OBJECTIVES))
    if "quality" not in objectives or "latency_ms" not in objectives:
        problems.add(
            section.mark("objectives"), "a search needs the objectives quality and latency_ms", "missing-value"
        )
    made = Search(
        strategy=section.text("strategy", entry or defaults.strategy, among=STRATEGIES),
        trials=section.integer("trials", defaults.trials, at_least=1, at_most=MOST["trials"]),
        evaluations=section.integer("evaluations", defaults.evaluations, at_least=20, at_most=MOST["evaluations"]),
        evaluator=section.text("evaluator", defaults.evaluator, among=EVALUATORS),
        finalists=section.integer("finalists", defaults.finalists, at_least=1, at_most=MOST["finalists"]),
        objectives=tuple(objectives),
        budget=_budget(section.section("budget"), problems),
        baselines=section.boolean("baselines", defaults.baselines),
    )
    section.finish()
    return made


def _budget(section: Section, problems: Problems) -> dict[str, float]:
    limits = {name: section.number(name, None, above=0) for name in LIMITS}
    if limits["latency_ms"] is not None and limits["latency_share"] is not None:
        problems.add(section.mark("latency_share"), "a budget has latency_ms or latency_share, not both", "ambiguous")
    section.finish()
    return {name: value for name, value in limits.items() if value is not None}
