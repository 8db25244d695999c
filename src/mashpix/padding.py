"""Constant padding that touches the border of an image, as of a mosaic, a rotated scan or a CT circle. [ours]

Padding holds no data, and nothing but the pixels says so. It is one value from the border inwards, without a speck in
it, and the image does not fade into it: a few pixels away nearly all pixels differ from it clearly. Clipped shadows and
saturated skies do fade, and occur in many places: they are part of the image. So is the background of labels and
drawings, which hold no noise.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from mashpix.missing import Array

MIN_PIXELS = 64
"""Number of connected pixels below which a constant part is no padding, and others in it are specks."""
MIN_RUN = 8
"""Pixels of a border, at least, that are side by side in the padding."""
MIN_SHARE = 0.5
"""Fraction of all pixels of its value, at least, that the padding holds."""
MAX_FRACTION = 0.9
"""Fraction of the image above which a constant part is no padding but a background."""
MAX_RIM_FRACTION = 0.5
"""Fraction of the other pixels that may be near the padding: more are drawings or small objects on a background."""
RIM = 2, 4
"""Distances from the padding, pixels, between which pixels are compared with it: nearer ones may be interpolated."""
ALIKE_FRACTION = 0.02
"""Fraction of those pixels that may be like the padding."""
MIN_NOISY = 0.5
"""Fraction of those pixels, at least, that differ from their neighbour: labels do not."""
MIN_JUMP = 3.0
"""Least difference of the others from the padding, in median differences of horizontal neighbours there."""
MIN_JUMP_OF_RANGE = 0.02
"""And in ranges of the image, the distance of its 1 % and 99 % percentiles."""

MAX_SAMPLES = 2**16
"""Number of pixels that the range is measured in, about."""


def find_padding(image: Array) -> NDArray[np.bool_] | None:
    """Find the constant padding of an image (C, H, W): True there, (H, W); None without any.

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(100, 10, (1, 64, 64))
    >>> image[:, :, :20] = 0
    >>> int(find_padding(image).sum()) == 64 * 20
    True
    """
    value = _border_value(image)
    if value is None:
        return None
    alike = (image == value).all(axis=0)
    parts, _ = label(alike)
    outer = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    sizes = np.bincount(parts.ravel())
    padding = np.isin(parts, [part for part in outer if part and sizes[part] >= MIN_PIXELS])
    if not 0 < padding.mean() <= MAX_FRACTION or padding.sum() < MIN_SHARE * alike.sum():
        return None
    islands = np.bincount(label(~padding, np.ones((3, 3)))[0].ravel())[1:]
    return padding if islands.min() >= MIN_PIXELS and _stands_out(image, value, padding) else None


def _border_value(image: Array) -> Array | None:
    """The value (C, 1, 1) of the longest run along the border; None where all runs are short."""
    border = np.concatenate([image[:, 0], image[:, :, -1], image[:, -1, ::-1], image[:, ::-1, 0]], axis=1)
    ends = np.append(np.flatnonzero((border[:, 1:] != border[:, :-1]).any(axis=0)), border.shape[1] - 1)
    runs = np.diff(ends, prepend=-1)
    value = border[:, ends[runs.argmax()]]
    return value[:, None, None] if runs.max() >= MIN_RUN and np.isfinite(value).all() else None


def _stands_out(image: Array, value: Array, padding: NDArray[np.bool_]) -> bool:
    """Whether an image holds noise next to its padding and differs clearly from it."""
    near, far = (binary_dilation(padding, np.ones((3, 3)), iterations=distance) for distance in RIM)
    finite = np.isfinite(image).all(axis=0)
    rim, rest = far & ~near & finite, ~padding & finite
    beside = rim[:, 1:] & rim[:, :-1]
    if not beside.any() or (far & ~padding).sum() > MAX_RIM_FRACTION * (~padding).sum():
        return False
    steps = np.abs(image[:, :, 1:][:, beside] - image[:, :, :-1][:, beside].astype(np.float64))
    if (steps > 0).any(axis=0).mean() < MIN_NOISY:
        return False
    low, high = np.percentile(image[:, rest][:, :: max(rest.sum() // MAX_SAMPLES, 1)], (1, 99), axis=1)
    needed = np.maximum(MIN_JUMP_OF_RANGE * (high - low), MIN_JUMP * np.median(steps, axis=1))
    clear = (np.abs(image[:, rim] - value[:, 0].astype(np.float64)) > needed[:, None]).any(axis=0)
    return bool(1 - clear.mean() <= ALIKE_FRACTION)
