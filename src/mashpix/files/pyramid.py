"""The smaller sizes of a picture in a TIFF: made anew from the result, by means of squares of pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def level_notes(series: Any) -> list[str]:
    """What becomes of the smaller sizes of a pyramid."""
    shape, axes = series.keyframe.shape, series.keyframe.axes
    levels = [level.keyframe.shape for level in series.levels[1:]]
    made = sum(_factor(shape, level, axes=axes) is not None for level in levels)
    notes = [f"the {made} smaller sizes of its pyramid are made from the result"] if made else []
    if made < len(levels):
        left = len(levels) - made
        notes.append(f"{left} of the smaller sizes stay as they were (no whole fraction of the full size)")
    return notes


def _factor(shape: tuple[int, ...], level: tuple[int, ...], *, axes: str) -> int | None:
    """How many pixels a side make one pixel of a smaller size; None if that is no whole number."""
    pairs = [(shape[axes.index(letter)], level[axes.index(letter)]) for letter in "YX"]
    factors = {round(full / small) for full, small in pairs}
    factor = min(factors)
    fits = all(small in (full // factor, -(-full // factor)) for full, small in pairs)
    return factor if fits and len(factors) == 1 and len(shape) == len(level) else None


def shrink_to(plane: NDArray[Any], shape: tuple[int, ...], *, axes: str) -> NDArray[Any] | None:
    """A plane at a smaller size, means of squares of pixels; None if the size is no whole fraction.

    Examples
    --------
    >>> shrink_to(np.arange(16, dtype=np.uint8).reshape(4, 4), (2, 2), axes="YX")
    array([[ 2,  4],
           [10, 12]], dtype=uint8)
    """
    if plane.shape == shape:
        return plane
    factor = _factor(plane.shape, shape, axes=axes)
    if factor is None:
        return None
    small: NDArray[Any] = plane
    for letter in "YX":
        axis = axes.index(letter)
        length = shape[axis]
        places = np.arange(length * factor).clip(max=small.shape[axis] - 1)
        parts = np.take(small, places, axis=axis).astype(np.float64)
        small = parts.reshape(*parts.shape[:axis], length, factor, *parts.shape[axis + 1 :]).mean(axis=axis + 1)
    return (np.rint(small) if plane.dtype.kind in "iu" else small).astype(plane.dtype)
