"""Facts about an image that need no estimate: shape, invalid pixels, clipping, bit depth, memory."""

from typing import Any

import numpy as np

from mashpix.arrays.costs import expected_memory
from mashpix.arrays.normalization import Array, Normalized
from mashpix.devices import available_memory
from mashpix.missing import holds_data
from mashpix.noise_report.report import NoiseReport

MAX_VALUES = 2**22
"""Approximate number of values that are sorted to find the bit depth and the clipping."""
PILED_UP = 5
"""Extreme values count as clipped if they occur this many times as often as their neighbour."""
MAX_BITS = 24
"""More bits than this come from a float, not from a measurement."""


def image_facts(normalized: Normalized) -> NoiseReport:
    """Report what needs no estimate: shape, invalid pixels, clipping, bit depth, memory."""
    held = holds_data(normalized.array)
    values = np.asarray(normalized.array)[held]
    values = np.sort(values[:: max(values.size // MAX_VALUES, 1)])
    low, high = clipped_limits(values)
    return NoiseReport(
        shape=normalized.original.shape,
        dtype=str(normalized.array.dtype),
        clipped_low=0.0 if low is None else float((normalized.array == low).sum() / max(held.sum(), 1)),
        clipped_high=0.0 if high is None else float((normalized.array == high).sum() / max(held.sum(), 1)),
        nan_fraction=float(1 - held.mean()),
        bit_depth=_bit_depth(values),
        memory_bytes=expected_memory(normalized.array.size),
        memory_free_bytes=available_memory(),
    )


def clipped_limits(values: Array) -> tuple[Any, Any]:
    """Return the smallest and the largest of sorted values, each None unless many values pile up there."""
    found, count = np.unique(values, return_counts=True)
    if len(found) < 3:
        return None, None
    low = found[0] if count[0] > PILED_UP * max(count[1], 2) else None
    return low, found[-1] if count[-1] > PILED_UP * max(count[-2], 2) else None


def _bit_depth(values: Array) -> int | None:
    """Return the bits needed to represent sorted values as multiples of a common step; None without such a step."""
    found = np.unique(values)
    if len(found) < 2:
        return None
    if found.dtype.kind in "iu":
        distances = np.diff(found.astype(object) if found.dtype.itemsize > 4 else found.astype(np.int64))
        step = np.gcd.reduce(distances)
        return int(
            int(max(abs(int(found[0])), abs(int(found[-1])), int(found[-1]) - int(found[0]))) // step
        ).bit_length()
    distances = np.diff(found.astype(np.float64))
    if distances.min() <= 0 or (found[-1] - found[0]) / distances.min() > 2**MAX_BITS:
        return None
    multiples = distances / distances.min()
    if np.abs(multiples - np.rint(multiples)).max() > 0.01:
        return None
    return round((float(found[-1]) - float(found[0])) / float(distances.min())).bit_length()
