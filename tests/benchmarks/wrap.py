"""Wrapped models: what of them is elastic, whether the largest subnet is the model, and slices against extractions.

    python -m tests.benchmarks.wrap                    # all models, 3 random architectures each: some minutes
    python -m tests.benchmarks.wrap --full             # 200 random architectures of each model
    python -m tests.benchmarks.wrap resnet18 --architectures 20 --float32

Asked: at least 90 % of the parameters of convolutions and linear layers in layers of elastic width, every one of these
layers of elastic precision, MACs of the smallest subnet at most 40 % of the largest one's, the largest bit-equal to the
model, parameters and MACs as counted, and slice = extraction: 1e-9 in float64; in float32 rtol 1e-4, atol 1e-5.
Selecting an architecture anew takes at most 1 ms per 100 layers.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from spaces import Architecture
from spaces.randomness import generator
from supernets import Supernet, Wrapped, extract, wrap
from tests.timm_models import SIZES, made

_HEADS = "model params elastic precision macs smallest bit-equal n wrong-counts float64 float32 select-ms seconds"
SELECTED = 400


def floats(net: Supernet, architecture: Architecture) -> Architecture:
    """The same with every layer in float."""
    return net.space.architecture({k: "float" if k.endswith(".precision") else v for k, v in architecture.items()})


@torch.no_grad()
def equal(net: Wrapped, module: nn.Module, inputs: Sequence[Tensor]) -> bool:
    """Whether the largest subnet gives what the module gives."""
    with net.active(net.space.largest, net.calibration):
        return torch.equal(net(*inputs), module(*inputs))


@torch.no_grad()
def difference(net: Wrapped, architecture: Architecture, inputs: tuple[Tensor, ...]) -> tuple[float, bool, bool]:
    """Largest difference of slice and extraction, whether all is within float32's tolerance, whether counts agree."""
    calibration = net.calibrate(architecture, [inputs])
    with net.active(architecture, calibration):
        ours = net(*inputs)
    plain = extract(net, architecture, calibration)
    theirs = plain(*inputs)
    counted = net.space.cost([architecture])
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        plain(*(x[:1] for x in inputs))
    same = counter.get_total_flops() == 2 * counted["macs"][0]
    same = same and counted["parameters"][0] == sum(p.numel() for p in plain.parameters())
    return float((ours - theirs).abs().max()), torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5), bool(same)


def select_ms(net: Wrapped) -> float:
    """To select an architecture that was never selected before, per 100 layers, once training has begun."""
    drawn = list(net.space.sample_many(SELECTED, generator(1, "benchmark.wrap")))
    for architecture in drawn[: SELECTED // 2]:
        net.layers(architecture)
    start = time.perf_counter()
    for architecture in drawn[SELECTED // 2 :]:
        with net.active(architecture):
            pass
    seconds = time.perf_counter() - start
    layers = sum(len(net.layers(architecture)) for architecture in drawn[SELECTED // 2 :])
    return 1e5 * seconds / layers


def row(name: str, architectures: int, float32: bool) -> list[str]:
    """The figures of one model, one text per column."""
    start = time.monotonic()
    module, inputs = made(name, count=4 if SIZES.get(name, 224) < 224 else 2)
    net = wrap(module, inputs)
    space = net.space
    bit_equal = equal(net, module, inputs)
    ends = [space.largest, space.extreme(min, "float")]
    macs = space.cost(ends)["macs"]
    drawn = [*ends, *space.sample_many(architectures, generator(0, "benchmark.wrap"))]
    drawn = [floats(net, architecture) for architecture in drawn]
    outside = sum(not difference(net, a, inputs)[1] for a in drawn) if float32 else None
    chosen_ms = select_ms(net)
    net, doubled = net.double(), tuple(x.double() for x in inputs)
    found = [difference(net, a, doubled) for a in drawn]
    layers = net.report.layers
    return [
        name,
        f"{sum(part.parameters for part in layers):,}",
        f"{100 * net.report.elastic_share:.1f}%",
        f"{sum(part.precision for part in layers)}/{len(layers)}",
        f"{macs[0]:,}",
        f"{100 * macs[1] / macs[0]:.1f}%",
        str(bit_equal),
        str(len(drawn)),
        str(sum(not same for _, _, same in found)),
        f"{max(worst for worst, _, _ in found):.1e}",
        "-" if outside is None else str(outside),
        f"{chosen_ms:.2f}",
        f"{time.monotonic() - start:.0f}",
    ]


def main() -> None:
    """Print the table, a line per model as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*SIZES, "transformer"]
    parser.add_argument("models", nargs="*", default=known, metavar="MODEL", help=f"of {', '.join(known)}")
    parser.add_argument("--architectures", type=int, default=3, help="random architectures of each model")
    parser.add_argument("--full", action="store_true", help="200 random architectures of each, float32 too")
    parser.add_argument("--float32", action="store_true", help="slices against extractions in float32 too")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.backends.mha.set_fastpath_enabled(False)  # torch's one operation for an encoder layer rounds otherwise
    print(" | ".join(_HEADS.split()))
    for name in given.models:
        if name not in known:
            parser.error(f"no model '{name}'; models: {', '.join(known)}")
        count = 200 if given.full else given.architectures
        print(" | ".join(row(name, count, given.float32 or given.full)), flush=True)


if __name__ == "__main__":
    main()
