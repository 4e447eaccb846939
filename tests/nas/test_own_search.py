"""The whole of ``nas search`` on a model of the user's own: from ``model.entry`` to proved files within the budget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.cli import app
from nas.files import read_json
from tests.nas.packages import write_package

SPACE = """
name: own
data: {dataset: digits}
model:
  entry: own_of_search.models:small
  width: [0.5, 1]
precision: {choice: [float, w8a8], per: layer}
train: {scheme: sandwich, epochs: 2}
search: {strategy: random, trials: 30, evaluations: 20, finalists: 1, objectives: [quality, latency_ms],
  budget: {latency_ms: 1000}}
"""
CODE = """
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)

    def forward(self, x):
        return F.relu(x + self.norm(self.conv(x)))


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.SiLU())
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.blocks(F.max_pool2d(self.stem(x), 2))
        return self.head(x.mean(dim=(2, 3)))


def small(options):
    torch.manual_seed(0)
    return Small(), torch.randn(2, 1, 8, 8)
"""


def test_a_search_delivers_a_proved_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Extracted network and file agree with the supernet, on the kernels that were meant; the budget is wide."""
    write_package(tmp_path, monkeypatch, "own_of_search", "models", CODE)
    (tmp_path / "space.yaml").write_text(SPACE, encoding="utf-8")
    runs = tmp_path / "runs"
    with pytest.raises(SystemExit, match=r"^0$"):
        app(["search", str(tmp_path / "space.yaml"), "--plugin", "own_of_search", "--runs", str(runs), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result == read_json(runs / "own-1" / "result.json")
    assert result["budget_met"]
    for row in result["finalists"]:
        assert row["quality"]["exported"] is not None
        assert row["agreement"]["value"] >= 0.995
        assert row["latency_ms"]["predicted"] > 0
        assert (runs / "own-1" / row["model"]).stat().st_size == row["size_bytes"]
