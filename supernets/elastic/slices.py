"""The one definition of a slice: prefix of the channels, centred crop of the kernel."""

from __future__ import annotations

from torch import Tensor


def conv_slice(weight: Tensor, c_out: int, c_in: int, kernel: int) -> Tensor:
    """View (c_out, c_in, kernel, kernel) of ``weight`` (C_out, C_in, K, K).

    Raises ``ValueError`` where the slice would be larger than the weight: a plain slice would clamp silently.
    """
    full_out, full_in, full_kernel = weight.shape[0], weight.shape[1], weight.shape[2]
    if c_out > full_out or c_in > full_in or kernel > full_kernel or (full_kernel - kernel) % 2:
        raise ValueError(
            f"no slice {c_out}x{c_in} kernel {kernel} in a weight {full_out}x{full_in} kernel {full_kernel}"
        )
    start = (full_kernel - kernel) // 2
    return weight[:c_out, :c_in, start : start + kernel, start : start + kernel]


def linear_slice(weight: Tensor, d_out: int, d_in: int) -> Tensor:
    """View (d_out, d_in) of ``weight`` (D_out, D_in). Raises ``ValueError`` as :func:`conv_slice`."""
    if d_out > weight.shape[0] or d_in > weight.shape[1]:
        raise ValueError(f"no slice {d_out}x{d_in} in a weight {weight.shape[0]}x{weight.shape[1]}")
    return weight[:d_out, :d_in]
