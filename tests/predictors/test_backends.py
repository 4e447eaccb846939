"""What every backend promises: the numbers of the torch network, the kernels that it says, and nothing left behind."""

from __future__ import annotations

import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nas import experiment
from predictors.latency import Target
from predictors.latency.backends import BACKENDS, EXTRAS, Backend, NoBackend, backend
from predictors.latency.called_probe import random_network
from predictors.latency.capability import OPERATORS
from predictors.latency.menu import menu_of
from spaces import menu as menus
from spaces.menu import operator_of
from spaces.outline import WEIGHTED
from spaces.precision import parse
from supernets.export import NotExportable
from supernets.plain import Network
from tests.examples import space_of
from tests.predictors.networks import CHAIN, RESIDUAL

KINDS = [
    ("onnxruntime", "f32"),
    ("openvino", "f32"),
    ("openvino", "bf16"),
    ("torch", "f32"),
    ("torch", "bf16"),
    ("inductor", "f32"),
    ("cuda", "f32"),
    ("cuda", "bf16"),
    ("cuda_inductor", "f32"),
    ("cuda_inductor", "bf16"),
]
CLOSE: Mapping[str, float] = {"f32": 1e-5, "bf16": 0.05}
"""Largest difference from torch in floats, of the largest output."""
BATCH = 2
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@dataclass(frozen=True)
class Case:
    """A network, its file for ``BATCH`` examples, and as many inputs."""

    name: str
    network: Network
    model: bytes
    x: NDArray[np.float32]


@pytest.fixture(params=KINDS, ids=[" ".join(kind) for kind in KINDS], scope="module")
def runtime(request: pytest.FixtureRequest) -> Backend:
    """Every backend with every type of floats that it has."""
    name, floats = request.param
    try:
        return backend(name, floats)
    except NoBackend as error:
        pytest.skip(str(error).splitlines()[0])


@pytest.fixture(scope="module")
def cases(runtime: Backend) -> Sequence[Case]:
    """Networks in float, and in 8 bits where the backend has kernels for them."""
    made = []
    for name, text in (("chain", CHAIN), ("residual", RESIDUAL)):
        space = space_of(text)
        for precision in [p for p in ("float", "w8a8") if p in runtime.MENU]:
            layers = space.outline.layers(space.extreme(max, precision))
            network = random_network(layers, (), space.outline.input_shape)
            x = np.random.default_rng(1).normal(size=(BATCH, *network.input_shape)).astype(np.float32)
            made.append(Case(f"{name} {precision}", network, runtime.exported(network, BATCH), x))
    return made


def test_outputs_are_those_of_the_torch_network(runtime: Backend, cases: Sequence[Case]) -> None:
    """In 8 bits but for a step where a sum lies between two."""
    for case in cases:
        with torch.no_grad():
            expected = case.network(torch.from_numpy(case.x)).numpy()
        found = runtime.evaluate(case.model, case.x, 1)
        assert found.shape == expected.shape
        assert found.dtype == np.float32
        most = CLOSE[runtime.floats] if case.name.endswith("float") else 0.02
        assert np.abs(found - expected).max() <= most * np.abs(expected).max(), case.name


def test_every_layer_runs_on_the_kernel_that_it_is_meant_for(runtime: Backend, cases: Sequence[Case]) -> None:
    """Named one by one; and what runs otherwise is found out."""
    for case in cases:
        audit, wrong = runtime.audited(case.model, case.network.layers)
        weighted = {y.path: y.runs8 for y in case.network.layers if y.kind in WEIGHTED}
        assert wrong == []
        assert audit.layers.keys() == weighted.keys()
        assert sum(audit.kernels.values()) >= len(weighted)
        assert len(audit.unintended({path: not integer for path, integer in weighted.items()})) == len(weighted)
        if case.name.endswith("w8a8"):
            assert runtime.weight_bits(case.model, next(iter(weighted)), 1) == 8


def test_repeated_calls_give_the_same_output(runtime: Backend, cases: Sequence[Case]) -> None:
    """In one session and in another, for any number of calls."""
    for case in cases:
        once = runtime.evaluate(case.model, case.x, 1)
        twice = runtime.evaluate(case.model, np.concatenate([case.x, case.x]), 1)
        assert np.array_equal(twice, np.concatenate([once, once]))


def test_a_call_can_be_timed(runtime: Backend, cases: Sequence[Case]) -> None:
    """By its clock; the call itself gives nothing."""
    clock = runtime.clock(1)
    for case in cases:
        call = runtime.prepared(case.model, 1)
        start = clock()
        assert [call() for _ in range(3)] == [None] * 3
        assert clock() > start
        assert runtime.shape_of(case.model) == case.x.shape
    assert runtime.clock(2) is time.perf_counter


def test_a_space_is_refused_for_what_has_no_kernel(runtime: Backend) -> None:
    """And a network too; ONNX files hold weights of four bits, programs of torch do not."""
    space = space_of(CHAIN)
    menu = runtime.menu("conv 3x3")
    if "w4a8" in menu:
        runtime.check(space)
        return
    name = next(name for name in ("w8a8", "w4a8") if name not in menu)
    said = f"stages.0.0.conv: backend {runtime.NAME} has no kernel for precision {name}"
    hint = f"  hint: precisions with kernels there: {', '.join(menu)}"
    message = f"space {space.name}: {said} [not-exportable]\n{hint}"
    with pytest.raises(NotExportable, match=rf"\A{re.escape(message)}\Z"):
        runtime.check(space)
    layers = space.outline.layers(space.extreme(max, name))
    with pytest.raises(NotExportable, match=rf"\A{re.escape(said)}\Z"):
        runtime.exported(random_network(layers, (), space.outline.input_shape))
    runtime.check(space.restrict(set(menu)))
    runtime.check(space.restrict(menu_of(Target(runtime.NAME, floats=runtime.floats))))


def test_nothing_is_left_behind(
    runtime: Backend, cases: Sequence[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file where it runs, nor among the temporary ones, but in the folder that a compiler keeps for itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    case = cases[0]
    runtime.prepared(case.model, 1)()
    runtime.evaluate(case.model, case.x, 1)
    runtime.audited(case.model, case.network.layers)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("torchinductor_")] == []


def test_the_menu_says_what_has_kernels(runtime: Backend) -> None:
    """Float always, of every operator; what is not on it is simulated."""
    layers = {operator_of(y): y for y in OPERATORS.values()}
    assert list(layers) == list(menus.OPERATORS)
    for operator, y in layers.items():
        menu = runtime.menu(operator)
        kernel = runtime.kernel(y)
        assert kernel is not None
        assert (kernel.form, kernel.executed_as) == ("real", "float")
        assert all(runtime.kernel(replace(y, precision=parse(name))) == kernel for name, kernel in menu.items())
        assert runtime.kernel(replace(y, precision=parse("w3a5"))) is None
        assert {kernel.executed_as for kernel in menu.values()} <= set(menu)


def test_a_target_resolves_to_its_backend(runtime: Backend) -> None:
    """And its fingerprint has the versions."""
    target = Target(runtime.NAME, floats=runtime.floats)
    assert type(target.runtime) is type(runtime)
    assert target.runtime.floats == runtime.floats
    found = target.fingerprint()
    assert found["backend"] == runtime.NAME
    assert {**found, **runtime.fingerprint()} == found
    assert found.get("floats", "f32") == runtime.floats


def test_files_of_spaces_know_the_same_backends() -> None:
    """Their names and floats stand there once more: reading must not load torch."""
    assert set(experiment.BACKENDS) == set(BACKENDS)
    assert {name for name, _ in KINDS} == set(BACKENDS)
    assert {floats for kinds in experiment.BACKENDS.values() for floats in kinds} <= set(experiment.FLOATS)


def test_files_of_spaces_know_the_same_floats(runtime: Backend) -> None:
    """See above; of those that are installed."""
    assert experiment.BACKENDS[runtime.NAME] == runtime.FLOATS


@dataclass(frozen=True)
class Pretended:
    """A target, of a runtime that is not here."""

    runtime: Backend
    backend: str = "pretended"


@pytest.mark.parametrize("precision", ["float", "w8a8"])
@pytest.mark.parametrize("name", ["cuda", "cuda_inductor"])
def test_what_is_said_to_a_gpu_is_right_without_one(name: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are moved to the processor instead, so that all else that these backends do is tested anywhere."""
    waited: list[bool] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waited.append(True))
    module = pytest.importorskip("predictors.latency.backends.cuda")
    monkeypatch.setattr(module._OnGpu, "DEVICE", "cpu")
    with monkeypatch.context() as pretended:
        pretended.setattr(torch.cuda, "is_available", lambda: True)
        runtime = backend(name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    space = space_of(CHAIN).restrict(menu_of(cast(Target, Pretended(runtime))))
    layers = space.outline.layers(space.extreme(max, precision))
    assert {y.kind for y in layers if y.runs8} == ({"linear"} if precision == "w8a8" else set())
    network = random_network(layers, (), space.outline.input_shape)
    x = np.random.default_rng(1).normal(size=(BATCH, *network.input_shape)).astype(np.float32)
    model = runtime.exported(network, BATCH)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(runtime.evaluate(model, x, 1), expected, atol=1e-5 * np.abs(expected).max())
    audit, wrong = runtime.audited(model, layers)
    assert wrong == []
    assert ("_int_mm" in audit.kernels) == (precision == "w8a8")
    runtime.prepared(model, 1)()
    assert waited == [True]
    assert runtime.clock(1) is time.perf_counter
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda_inductor"])
def test_without_a_gpu_its_backends_say_so(name: str) -> None:
    message = (
        f"backend {name} finds no GPU that torch can use here [missing-device]\n"
        "  hint: backend: torch computes on the processor"
    )
    with pytest.raises(NoBackend, match=rf"\A{re.escape(message)}\Z"):
        backend(name)


@pytest.mark.parametrize(
    ("name", "floats", "message"),
    [
        ("onnxruntme", "f32", "no backend is named 'onnxruntme' [unknown-value]\n  hint: did you mean 'onnxruntime'?"),
        ("onnxruntime", "bf16", "backend onnxruntime computes floats in f32, not in 'bf16' [unknown-value]"),
    ],
)
def test_an_unknown_backend_is_refused(name: str, floats: str, message: str) -> None:
    """With the nearest name, or the floats that there are."""
    with pytest.raises(NoBackend, match=rf"\A{re.escape(message)}\Z"):
        _ = Target(name, floats=floats).runtime


def test_a_backend_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is timed or written."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "predictors.latency.backends.openvino", raising=False)
    message = (
        "backend openvino needs the package openvino, which is not installed [missing-extra]\n"
        "  hint: pip install 'nas[openvino]'"
    )
    with pytest.raises(NoBackend, match=rf"\A{re.escape(message)}\Z"):
        _ = Target("openvino").runtime
    assert set(EXTRAS.values()) <= set(tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"])
