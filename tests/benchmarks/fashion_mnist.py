"""The main job on bigger images: 28x28, 55,000 of them, three stages, residuals.

    python tests/benchmarks/fashion_mnist.py --root FOLDER [--epochs 2] [--runs runs/benchmarks/fashion_mnist]

FOLDER holds the four IDX files of Fashion-MNIST, plain or gzipped. Two epochs take about eight minutes on two cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

SPACE = """\
name: fashion
data: {{dataset: fashion_mnist, root: "{root}", batch: 128}}
model:
  family: convnet
  stages:
    - {{depth: 1, width: {{choice: [8, 16]}}, kernel: {{choice: [3, 5], per: block}}, stride: 2}}
    - {{depth: {{choice: [1, 2]}}, width: {{choice: [16, 32]}}, kernel: {{choice: [3, 5], per: block}}, stride: 2,
       residual: true}}
    - {{depth: {{choice: [1, 2, 3]}}, width: {{choice: [32, 48, 64]}}, kernel: 3, stride: 2, residual: true}}
precision: {{choice: [float, w8a8, w4a8]}}
train: {{epochs: {epochs}}}
search: {{trials: 1000, evaluations: 100, budget: {{latency_share: 0.3}}}}
"""


def main() -> int:
    """Write the space and search it; the status is that of `nas search`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/fashion_mnist"))
    options = parser.parse_args()
    if not options.root.is_dir():
        raise SystemExit(f"{options.root}: no such folder; it should hold the IDX files of Fashion-MNIST")
    options.runs.mkdir(parents=True, exist_ok=True)
    space = options.runs / "fashion.yaml"
    space.write_text(SPACE.format(root=options.root.resolve(), epochs=options.epochs), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "nas.cli", "search", str(space), "--runs", str(options.runs)]
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
