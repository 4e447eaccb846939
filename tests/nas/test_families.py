"""The whole of ``nas search`` on other families and other data than the main job's, cut down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.cli import app
from nas.files import read_json

SEARCH = """
precision: {choice: [float, w8a8], per: layer}
train: {scheme: sandwich, epochs: 1}
device: {backend: onnxruntime, threads: 1, batch: 1}
search: {strategy: random, trials: 30, evaluations: 20, finalists: 1, objectives: [quality, latency_ms],
  budget: {latency_ms: 1000}}
"""
TEXT = """
name: words
data: {dataset: text, root: words.txt, batch: 16}
model:
  {family: gpt, tokens: 8, vocabulary: 5, embed: {choice: [8, 16]}, depth: {choice: [1, 2]}, heads: 4,
   kv_heads: {choice: [1, 2]}, head_dim: 4, norm: rms, positions: rotary}
"""
MOBILE = """
name: mobile
data: {dataset: digits}
model:
  family: mobilenet
  resolution: {choice: [6, 8]}
  stem: {width: 8, activation: hard_swish, stride: 1}
  stages: [{depth: {choice: [1, 2]}, width: 8, stride: 2, kernel: {choice: [3, 5]}, expand: 2, squeeze: true}]
  head: [{width: 16, activation: hard_swish}]
"""
VIT = """
name: vit
data: {dataset: digits}
model: {family: vit, patch: 4, head_dim: 8, embed: 16, depth: {choice: [1, 2]}, heads: {choice: [1, 2]}, mlp_ratio: 2}
"""


@pytest.mark.parametrize("text", [TEXT, MOBILE, VIT], ids=["gpt", "mobilenet", "vit"])
def test_a_search_delivers_a_proved_file(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The budget is wide, so that the machine's pace decides nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("abcd\n" * 400, encoding="utf-8")
    (tmp_path / "space.yaml").write_text(text + SEARCH, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^0$"):
        app(["search", "space.yaml", "--json"])
    printed = json.loads(capsys.readouterr().out)
    folder = next(p for p in (tmp_path / "runs").iterdir() if p.name != "store")
    result = read_json(folder / "result.json")
    assert result == printed
    assert result["budget_met"]
    for row in result["finalists"]:
        assert row["quality"]["exported"] is not None
        assert row["agreement"]["value"] >= 0.995
        assert (folder / row["model"]).stat().st_size == row["size_bytes"]


def test_the_largest_resolution_is_that_of_the_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A smaller one is a choice; a network that none reaches would throw pixels away before it is searched."""
    file = tmp_path / "space.yaml"
    file.write_text(MOBILE.replace("[6, 8]", "[4, 6]") + SEARCH, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^2$"):
        app(["search", str(file), "--runs", str(tmp_path / "runs")])
    said = f"{file}:6:15: images of digits are [1, 8, 8] [wrong-shape]\n  hint: let the largest resolution be 8\n"
    assert capsys.readouterr().err == f"{said}1 problem; nothing was written\n"
