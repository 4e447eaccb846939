"""The house: arrows between rooms go one way, one module writes, nothing is unpickled, errors are tested by message."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
ROOMS = ("spaces", "supernets", "predictors", "nas")
MAY_IMPORT = {room: set(ROOMS[: i + 1]) for i, room in enumerate(ROOMS)}
FOREIGN = {
    "spaces": {"numpy", "scipy", "yaml"}
}  # what a room that promises to stay small may import besides the library
WRITERS = {"nas/files.py"}
WRITE_METHODS = {"write_text", "write_bytes", "tofile", "save_file", "savez", "savetxt", "mkdir", "touch"}
FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"}


def sources(*rooms: str) -> list[Path]:
    """All modules of these folders."""
    return [path for room in rooms for path in sorted((HOUSE / room).rglob("*.py"))]


def relative(path: Path) -> str:
    """A path as messages show it."""
    return path.relative_to(HOUSE).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    """All nodes of a module."""
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imported(path: Path) -> set[str]:
    """Packages that a module imports anywhere, also inside functions and for types only."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: relative import"
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and name_of(node.func) in ("import_module", "__import__"):
            found |= {str(a.value).split(".")[0] for a in node.args if isinstance(a, ast.Constant)}
    return found


def name_of(node: ast.expr) -> str:
    """The last word of what is called: ``open`` of both ``open(...)`` and ``path.open(...)``."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def writes(call: ast.Call) -> bool:
    """Whether a call opens a file for writing, or looks as if it might."""
    name = name_of(call.func)
    if name in WRITE_METHODS:
        return True
    if name == "save" and isinstance(call.func, ast.Attribute) and name_of(call.func.value) in ("torch", "np", "onnx"):
        return True
    if name not in ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile"):
        return False
    if any(isinstance(n, ast.Attribute) and n.attr in FLAGS for n in ast.walk(call)):
        return True  # os.open
    first = 0 if isinstance(call.func, ast.Attribute) and name == "open" else 1  # path.open(mode) or open(path, mode)
    modes = [k.value for k in call.keywords if k.arg == "mode"] or call.args[first : first + 1]
    texts = [m.value for m in modes if isinstance(m, ast.Constant) and isinstance(m.value, str)]
    return any(set(text) & set("wax+") and set(text) <= set("rwaxtb+") for text in texts)


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_between_rooms_go_one_way(room: str) -> None:
    """spaces <- supernets <- predictors <- nas; nothing imports the tests."""
    modules = sources(room)
    assert modules
    for path in modules:
        ours = imported(path) & {*ROOMS, "tests"}
        assert ours <= MAY_IMPORT[room], f"{relative(path)} imports {sorted(ours - MAY_IMPORT[room])}"


def test_spaces_is_python_and_numpy() -> None:
    for path in sources("spaces"):
        foreign = imported(path) - set(sys.stdlib_module_names) - {"spaces"}
        assert foreign <= FOREIGN["spaces"], f"{relative(path)} imports {sorted(foreign)}"


def test_one_module_opens_files_for_writing() -> None:
    found = {
        f"{relative(path)}:{node.lineno}"
        for path in sources(*ROOMS)
        if relative(path) not in WRITERS
        for node in nodes(path)
        if isinstance(node, ast.Call) and writes(node)
    }
    assert not found


def test_the_runtime_writes_its_optimised_graph_to_a_temporary_folder_only() -> None:
    """ONNX Runtime gives that graph as a file and in no other way."""
    found = []
    for path in sources(*ROOMS):
        for node in nodes(path):
            if isinstance(node, ast.With) and "TemporaryDirectory" in ast.unparse(node.items[0].context_expr):
                found += [relative(path) for n in ast.walk(node) if named(n, "optimized_model_filepath")]
        assert found.count(relative(path)) == sum(named(n, "optimized_model_filepath") for n in nodes(path))
    assert found == ["predictors/latency/backends/onnxruntime.py"]


def named(node: ast.AST, attribute: str) -> bool:
    """Whether a node reads or sets this attribute."""
    return isinstance(node, ast.Attribute) and node.attr == attribute


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open(p, 'w')", True),
        ("open(p, mode='ab')", True),
        ("p.open('x')", True),
        ("open(p, 'r+')", True),
        ("os.open(p, os.O_CREAT | os.O_WRONLY)", True),
        ("os.fdopen(f, 'wb')", True),
        ("p.write_text('')", True),
        ("torch.save(x, p)", True),
        ("open(p)", False),
        ("p.open('rb')", False),
        ("open('war')", False),
        ("open(p, 'r', encoding='w')", False),
        ("os.open(p, os.O_RDONLY)", False),
        ("checkpoints.save(x)", False),
    ],
)
def test_the_search_for_writers_finds_them(code: str, expected: bool) -> None:
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)
    assert writes(call) is expected


def test_nothing_is_unpickled_or_evaluated() -> None:
    """A run folder or a checkpoint from elsewhere is data, never code."""
    for path in sources(*ROOMS):
        assert not imported(path) & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}, relative(path)
        for node in nodes(path):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("torch.load", "eval", "exec", "np.load", "yaml.load"), (
                    f"{relative(path)}:{node.lineno} calls {called}"
                )
                assert "allow_pickle" not in {k.arg for k in node.keywords}, f"{relative(path)}:{node.lineno}"


def test_every_expected_error_is_checked_by_its_message() -> None:
    found = [
        f"{relative(path)}:{node.lineno}"
        for path in sources("tests")
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("pytest.raises", "pytest.warns", "raises")
        and not {"match", "check"} & {k.arg for k in node.keywords}
    ]
    assert not found
