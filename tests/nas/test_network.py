"""Exported networks as torch modules again: the same function, from data alone, or an error that names the file."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import nas
from nas.evaluate import Evaluator
from nas.network import NotANetwork, load_network
from supernets import extract
from tests.nas.tiny import Finished


@pytest.fixture
def folder(finished: Finished, tmp_path: Path) -> Path:
    """A copy of an export that the tiny search made."""
    row = finished.search.result()["finalists"][0]
    return Path(shutil.copytree(finished.folder / "exports" / row["key"], tmp_path / "it"))


def test_it_computes_what_the_extracted_network_computes(folder: Path, evaluator: Evaluator) -> None:
    """Bit for bit; it shares the layers, and ``nas`` has the name."""
    assert nas.load_network is load_network
    network = load_network(folder)
    about = json.loads((folder / "architecture.json").read_text(encoding="utf-8"))
    architecture = evaluator.net.space.architecture(about["architecture"])
    extracted = extract(evaluator.net, architecture, evaluator.calibrate(architecture))
    assert network.layers == extracted.layers
    assert not network.training
    images = evaluator.dataset.test.images
    with torch.no_grad():
        assert torch.equal(network(images), extracted(images))


@pytest.mark.parametrize("name", ["outline.json", "architecture.json", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "of another"])
def test_what_is_no_network_is_refused(folder: Path, name: str, damage: str) -> None:
    """By the name of the folder or file; never by an error of a library."""
    path = folder / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        changed = {"cut": data[: len(data) // 2], "flipped": b"[" + data[1:], "of another": b"{}"}
        path.write_bytes(changed[damage])
    with pytest.raises(NotANetwork, match=re.escape(str(folder))):
        load_network(folder)


def test_weights_of_another_network_are_refused(folder: Path, finished: Finished) -> None:
    """Also where both are whole."""
    keys = [row["key"] for row in finished.search.result()["baselines"]]
    others = [finished.folder / "exports" / key / "weights.safetensors" for key in keys if key != folder.name]
    mine = (folder / "weights.safetensors").read_bytes()
    different = next(path for path in others if len(path.read_bytes()) != len(mine))
    (folder / "weights.safetensors").write_bytes(different.read_bytes())
    with pytest.raises(NotANetwork, match=r"weights\.safetensors: not the weights of this network"):
        load_network(folder)
