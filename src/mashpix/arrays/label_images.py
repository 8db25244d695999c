"""Recognise label images and masks, which hold names of areas, not measurements: denoising would only damage them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_FLAT = 0.5
"""Smallest fraction of pixels that are equal to all four neighbours."""
MAX_ALONE = 0.01
"""Largest fraction of the other pixels that differ from all four: noise makes many of them, borders of areas none."""


def looks_like_labels(image: NDArray[Any]) -> bool:
    """Return whether an image (H, W) or (H, W, C) consists of flat areas with borders, and without any noise.

    Examples
    --------
    >>> areas = np.repeat(np.repeat(np.arange(16).reshape(4, 4), 9, axis=0), 9, axis=1)
    >>> looks_like_labels(areas), looks_like_labels(np.random.default_rng(0).poisson(0.02, (64, 64)))
    (True, False)
    """
    if image.dtype.kind not in "iu" or min(image.shape[:2]) < 3:
        return False
    stacked = image.reshape(*image.shape[:2], -1)
    beside = (stacked[:, 1:] == stacked[:, :-1]).all(-1)
    below = (stacked[1:] == stacked[:-1]).all(-1)
    equal = [beside[1:-1, :-1], beside[1:-1, 1:], below[:-1, 1:-1], below[1:, 1:-1]]
    count = np.sum(equal, axis=0, dtype=np.uint8)
    flat, alone = np.count_nonzero(count == 4), np.count_nonzero(count == 0)
    return bool(MIN_FLAT * count.size <= flat < count.size and alone <= MAX_ALONE * (count.size - flat))
