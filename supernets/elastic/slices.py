"""The one definition of a slice, by which training computes and extraction copies.

- **Channels** are a prefix: of a weight (C_out, C_in, K, K) a layer of c_out channels over c_in has the first c_out
  rows and the first c_in columns.
- A **kernel** is the centre of a larger one.
- After a **concatenation** each input has a segment of its own in the largest tensor, as wide as its largest form; a
  layer that reads it takes, for each input, a prefix of its segment (:mod:`spaces.layers`: ``channels``).
- With **groups** the columns are the first c_in / groups of a group, and the rows still a prefix: row i always makes
  channel i. Of a depthwise convolution the rows are the channels of its input, and so they follow its segments.
- Of a **traced** layer the ranges of each dimension come with it (:mod:`spaces.axis`).
- **Heads** are parts of the rows of queries, keys and values, in order: first heads are a prefix too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spaces.axis import Ranges
from supernets.elastic.cut import cut


def conv_slice(
    weight: Tensor, c_out: int, c_in: int, kernel: int, rows: Ranges | None = None, columns: Ranges | None = None
) -> Tensor:
    """(c_out, c_in, kernel, kernel) of ``weight`` (C_out, C_in, K, K); a view, unless there are several ranges.

    ``rows`` and ``columns`` are ranges of channels, ``None`` the first. Raises ``ValueError`` where the slice would be
    larger than the weight: a plain slice would clamp silently.
    """
    full_out, full_in, full_kernel = weight.shape[0], weight.shape[1], weight.shape[2]
    outside = _end(c_out, rows) > full_out or _end(c_in, columns) > full_in
    if outside or kernel > full_kernel or (full_kernel - kernel) % 2:
        raise ValueError(
            f"no slice {c_out}x{c_in} kernel {kernel} in a weight {full_out}x{full_in} kernel {full_kernel}"
        )
    start = (full_kernel - kernel) // 2
    centre = slice(start, start + kernel)
    return _joined(weight, rows or ((0, c_out),), columns or ((0, c_in),), (centre, centre))


def linear_slice(weight: Tensor, d_out: int, d_in: int, columns: Ranges | None = None) -> Tensor:
    """(d_out, d_in) of ``weight`` (D_out, D_in), as :func:`conv_slice`."""
    if d_out > weight.shape[0] or _end(d_in, columns) > weight.shape[1]:
        raise ValueError(f"no slice {d_out}x{d_in} in a weight {weight.shape[0]}x{weight.shape[1]}")
    return _joined(weight, ((0, d_out),), columns or ((0, d_in),), ())


def channel_slice(vector: Tensor, c: int, channels: Ranges | None = None) -> Tensor:
    """(..., c) of ``vector`` (..., C): channels stand last. Raises ``ValueError`` as :func:`conv_slice`."""
    if _end(c, channels) > vector.shape[-1]:
        raise ValueError(f"no slice of {c} channels in a vector of {vector.shape[-1]}")
    before = (slice(None),) * (vector.dim() - 1)
    parts = [cut(vector, (*before, slice(*part))) for part in channels or ((0, c),)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def part(tensor: Tensor, ranges: Sequence[Ranges]) -> Tensor:
    """The ranges of each dimension of ``tensor``; a view, unless there are several. Raises ``ValueError``."""
    if any(found[-1][1] > size for found, size in zip(ranges, tensor.shape, strict=True)):
        raise ValueError(f"no slice {ranges} in a tensor of {tuple(tensor.shape)}")
    tensor = cut(tensor, tuple([slice(*found[0]) if len(found) == 1 else slice(None) for found in ranges]))
    for dim, found in enumerate(ranges):
        if len(found) > 1:
            places = torch.cat([torch.arange(*span, device=tensor.device) for span in found])
            tensor = tensor.index_select(dim, places)
    return tensor


def _end(size: int, ranges: Ranges | None) -> int:
    return size if ranges is None else ranges[-1][1]


def _joined(weight: Tensor, rows: Ranges, columns: Ranges, rest: tuple[slice, ...]) -> Tensor:
    bands = []
    for row in rows:
        parts = [cut(weight, (slice(*row), slice(*column), *rest)) for column in columns]
        bands.append(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))
    return bands[0] if len(bands) == 1 else torch.cat(bands)
