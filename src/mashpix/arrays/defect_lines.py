"""Dead and stuck lines of the sensor in a single image (D4): derived in docs/method.md, "Defects of the sensor"."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Values = NDArray[np.floating[Any]]
Index = NDArray[np.int64]

BLOCK = 16
"""Side in pixels of the blocks in which the noise is measured (D1)."""
MAX_FRACTION = 0.02
"""Largest fraction of pixels and lines (but one line may be) that can be defects: beyond, the image is like that."""
MIN_LINE_HEIGHT = 6.0
"""Least height of a line above or below both beside it, in standard deviations of the noise (D4)."""
MIN_STUCK = 48
"""Least length in pixels of a part of a line that is stuck at the least or the largest value of the image (D4)."""
MIN_ALONE, MIN_STUCK_HEIGHT, MIN_STUCK_SHARE = 0.9, 1.4, 0.85
"""Least fraction of such a part that has no pixel at either extreme beside it; its least mean height in standard
deviations of the noise, and in that above the pixels one farther away: a lens makes slopes (D4)."""
EDGE = 8
"""Lines nearer to the border, in pixels, are not looked at: scans and crops end in frames and half-lit lines."""
N_COMPARED = 256
"""Number of pixels of a line, about, that decide about the whole."""
AT_ONCE = 64
"""Lines that are compared pixel by pixel together: bounds the memory."""


def find_lines(values: Values, read: Values, sigma: Values, held: Mask) -> Mask:
    """D4: rows (H, W), one or two pixels high, that differ as a whole from both beside, and stuck parts of such.

    values : without their stripes
    read : with them, as the sensor has read them
    """
    found = np.zeros(values.shape, bool)
    lines, columns = np.arange(1, len(values) - 1), np.arange(0, values.shape[1], -(-values.shape[1] // N_COMPARED))
    typical = np.median(_excess(values[:, columns], lines, lines - 1, lines + 1), axis=1)
    level = np.median(noise_at(sigma, lines, columns), axis=1)
    height = np.where(level > 0, np.abs(typical) / np.maximum(level, 1e-30), 0.0)
    found[lines] |= (height > MIN_LINE_HEIGHT * max(1.0, np.median(height)))[:, None]
    extremes = read.min(), read.max()
    is_drawn = np.isin(read, extremes)  # beside such pixels the line may be the frame of a label
    for extreme, width in product(extremes, (1, 2)):
        is_at, lines = read == extreme, np.arange(EDGE, len(values) - EDGE - width + 1)
        at = is_at[lines] & is_at[lines + width - 1]
        lone = at & ~(is_drawn[lines - 1] | is_drawn[lines + width])
        likely = lone.sum(axis=1) >= MIN_ALONE * MIN_STUCK
        for few in np.array_split(np.flatnonzero(likely), likely.sum() // AT_ONCE + 1):
            lines = few + EDGE
            height, beyond = (
                np.abs(_excess(values, lines, lines - distance, lines + width - 1 + distance)) for distance in (1, 2)
            )
            noise = noise_at(sigma, lines, np.arange(values.shape[1]))
            stuck = _find_stuck(at[few], lone[few], height, beyond, noise)
            found[lines] |= stuck
            found[lines + width - 1] |= stuck
    found[:EDGE] = found[-EDGE:] = False
    found &= held
    return found if found.mean() <= max(MAX_FRACTION, 1 / len(found)) else np.zeros_like(found)


def _find_stuck(at: Mask, lone: Mask, height: Values, beyond: Values, noise: Values) -> Mask:
    """Parts of lines at an extreme that hardly any pixel beside them has, and that those beside do not lead up to.

    at, lone : where a line is at the extreme, and where nothing beside it is
    height, beyond : above or below the pixels beside it, and one farther away
    """
    from scipy import ndimage

    parts, number = ndimage.label(at, [[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    lengths, alone, heights, limits, levels = (
        np.bincount(parts.ravel(), weights.ravel(), number + 1) for weights in (at, lone, height, beyond, noise)
    )
    is_lone = (lengths >= MIN_STUCK) & (alone >= MIN_ALONE * lengths) & (levels > 0)
    return np.asarray((is_lone & (heights > MIN_STUCK_HEIGHT * levels) & (heights > MIN_STUCK_SHARE * limits))[parts])


def _excess(values: Values, lines: Index, above: Index, below: Index) -> Values:
    """How much the pixels of rows are beyond both those of a row above and those of one below."""
    middle, beside = values[lines], (values[above], values[below])
    return np.asarray(middle - np.clip(middle, np.minimum(*beside), np.maximum(*beside)))


def noise_at(sigma: Values, rows: Index, columns: Index) -> Values:
    """The noise at the pixels of rows and columns."""
    return np.asarray(sigma[np.ix_(rows // BLOCK, columns // BLOCK)])
