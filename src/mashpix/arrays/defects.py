"""Defects of the sensor in a single image: hot and dead pixels, tracks of cosmic rays, dead and stuck lines (D1 to D4).

What a lens has imaged is never as sharp as a defect: even a star smaller than a pixel lights the pixels beside it. A
defect stands out from all but one of the four pixels beside it, and from the noise around it by so much that hardly
anything lies between the two. Derived in docs/method.md, "Defects of the sensor".
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.defect_lines import BLOCK, MAX_FRACTION, find_lines, noise_at
from mashpix.devices import in_threads
from mashpix.missing import holds_data

Mask = NDArray[np.bool_]
Values = NDArray[np.floating[Any]]
Index = NDArray[np.int64]

CALM_QUANTILE, CALM_SIGMA = 0.8, 0.70
"""Quantile of |pixel - mean of its four neighbours| in a block, and its multiple that is sigma of white noise (D1)."""
MAX_TRACK_HEIGHT, TRACK_SHARE = 8.0, 2 / 3
"""Least height of pixels that touch a defect, or that part of the defects' if it is less: tracks get weaker."""
MAX_SHOULDER = 0.12
"""Largest second height of the pixels beside a defect, relative to its own: a star of 0.6 pixels has 0.25 (D2)."""
MIN_LOOKED_AT = 4.0
"""Least height of the points that are looked at, in standard deviations of the noise (D2)."""
MIN_TRACK, MAX_TRACK = 3, 40
"""Least number of pixels that touch each other and count as a cosmic ray; largest length of one, pixels."""
MAX_COUNTS, N_SAMPLES = 32, 2**16
"""Largest number of different values that can be counts of few photons; number of pixels that are looked at, about."""
STRIP = 8 * BLOCK
"""Rows of the strips in which whole images are gone through."""

RING = [(down, right) for down in range(-2, 3) for right in range(-2, 3) if max(abs(down), abs(right)) == 2]
BESIDE = [(-1, 0), (1, 0), (0, -1), (0, 1)]

DOUBLE = np.dtype(np.float64)
"""The widest floats that SciPy's filters take."""
KINDS = ("hot pixels", "dead pixels", "cosmic rays", "lines")
"""The kinds of defects."""


class Gap(NamedTuple):
    """D3: a gap between the heights of noise and those of defects.

    least : least height that is tried, in standard deviations of the noise
    step : factor between the heights that are tried
    number : least number of points above the gap
    between : largest number of points in the step below it, relative to those above: else noise has tails
    """

    least: float
    step: float
    number: int
    between: float

    def find(self, heights: Values) -> float:
        """The height from which on points are defects; infinite if there is no gap."""
        least = self.least
        while number := int((heights >= least).sum()):
            below = int(((heights >= least / self.step) & (heights < least)).sum())
            if number >= self.number and below <= self.between * number:
                return least
            least *= self.step
        return math.inf


GAPS = Gap(12.0, 2.0, 1, 1 / 3), Gap(6.0, 2**0.5, 16, 0.05)
"""The gap below a few high points, and the one below many, which shows at less height."""


class Defects(NamedTuple):
    """Defects of an image (C, H, W).

    mask : where they are, (C, H, W)
    counts : how many of each of `KINDS` there are in each channel, (C, 4)
    """

    mask: Mask
    counts: NDArray[np.int64]

    def by_kind(self) -> dict[str, int]:
        """Return how many there are of each kind, in all channels; no kind of which there are none."""
        totals = zip(KINDS, self.counts.sum(axis=0).tolist(), strict=True)
        return {kind: total for kind, total in totals if total}


def find_defects(array: NDArray[Any], *, pattern: Values | None = None) -> Defects | None:
    """Find the defects of an image (C, H, W), which may be masked; None if it has none.

    pattern : (C, H, W), stripes that would hide them; whatever is stuck shows none

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(100, 5, (1, 64, 64))
    >>> image[0, 20, 30], image[0, 40] = 900, 0
    >>> find_defects(image).by_kind()
    {'hot pixels': 1, 'lines': 1}
    """
    patterns = [None] * len(array) if pattern is None else pattern
    masks, counts = zip(*in_threads(_find_in_plane, array, patterns), strict=True)
    return Defects(np.stack(masks), np.array(counts)) if np.any(masks) else None


@np.errstate(over="ignore", invalid="ignore")  # values near the largest float
def _find_in_plane(plane: NDArray[Any], pattern: Values | None) -> tuple[Mask, tuple[int, ...]]:
    """Find the defects of one channel (H, W)."""
    from scipy import ndimage

    held = holds_data(plane)
    if min(plane.shape) < BLOCK or not held.any():
        return np.zeros(plane.shape, bool), (0,) * len(KINDS)
    dtype = min(np.result_type(plane.dtype, np.float32), DOUBLE, key=lambda dtype: dtype.itemsize)
    values = read = filled(np.asarray(plane).astype(dtype), held)
    if pattern is not None:
        values = read - pattern
    least = 1.0 if plane.dtype.kind in "iu" else _step_of_counts(read[held])
    sigma = _measure_noise(values, least=least)
    across = find_lines(values, read, sigma, held)
    along = find_lines(values.T, read.T, sigma.T, held.T)
    lines = across | along.T
    if lines.any():  # else they would count as noise
        values = filled(values, held & ~lines)
        sigma = _measure_noise(values, least=least)
    free = held & ~lines if held.all() else ndimage.binary_erosion(held, np.ones((5, 5)), border_value=1) & ~lines
    hot = _find_points(values, sigma, free)
    dead = _find_points(np.negative(values, out=values), sigma, free)
    labels, _ = ndimage.label(hot, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    tracks = sizes >= MIN_TRACK
    number_of_lines = sum(found.any(axis=1).sum() for found in (across, along))
    return hot | dead | lines, (sizes[~tracks].sum(), dead.sum(), tracks.sum(), number_of_lines)


def filled(values: Values, held: Mask) -> Values:
    """Fill pixels with the nearest that are held."""
    from scipy import ndimage

    if held.all():
        return values
    nearest = ndimage.distance_transform_edt(~held, return_distances=False, return_indices=True)
    filled: Values = values[tuple(nearest)]
    return filled


def _strips(values: Values) -> Iterator[tuple[slice, list[Values]]]:
    """Slices of rows that fit into a cache, and the pixels above, below, left and right of each of theirs."""
    height = len(values)
    for top in range(0, height, STRIP):
        rows = slice(top, min(top + STRIP, height))
        around = np.clip(np.arange(rows.start - 1, rows.stop + 1), 0, height - 1)
        padded = np.pad(values[around], ((0, 0), (1, 1)), mode="edge")
        yield rows, [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]


def _step_of_counts(values: Values) -> float:
    """The least difference of values that are counts, whole numbers or multiples of them; 0 for others.

    What lies between two counts is no gap.
    """
    found = np.unique(values[:: max(len(values) // N_SAMPLES, 1)])
    return float(np.diff(found).min()) if 1 < len(found) <= MAX_COUNTS else 0.0


def _measure_noise(values: Values, *, least: float) -> Values:
    """D1: standard deviation of the noise in each block, the largest of it and those that touch it.

    0 where a block shows no noise; otherwise at least `least`.
    """
    from scipy import ndimage

    sigma, kept = [], int(CALM_QUANTILE * (BLOCK**2 - 1))
    for rows, beside in _strips(values):
        fine = np.abs(values[rows] - sum(beside) / 4)
        fine = np.pad(fine, [(0, -side % BLOCK) for side in fine.shape], mode="symmetric")
        rows_of_blocks = fine.reshape(len(fine) // BLOCK, BLOCK, -1, BLOCK).swapaxes(1, 2)
        blocks = rows_of_blocks.reshape(len(rows_of_blocks), -1, BLOCK**2)
        sigma.append(CALM_SIGMA * np.partition(blocks, kept, axis=2)[..., kept])
    largest = ndimage.maximum_filter(np.concatenate(sigma), 3)
    return np.where(largest > 0, np.maximum(largest, least), 0.0).astype(values.dtype)


def _second(a: Values, b: Values, c: Values, d: Values) -> Values:
    """The second largest of four."""
    larger, smaller = (np.maximum(a, b), np.maximum(c, d)), (np.minimum(a, b), np.minimum(c, d))
    return np.asarray(np.maximum(np.minimum(*larger), np.maximum(*smaller)))


def _measure_heights(values: Values, sigma: Values, rows: Index, columns: Index) -> tuple[Values, Values]:
    """D2: heights of pixels in standard deviations, 0 for those with a shoulder; and the median around each."""
    height, width = values.shape
    ring, beside = (
        np.stack([values[_mirrored(rows + y, height), _mirrored(columns + x, width)] for y, x in places])
        for places in (RING, BESIDE)
    )
    pairs = (ring + ring[::-1]) / 2  # of opposite pixels: a slope has no effect
    around = np.median(pairs, axis=0)
    noise = sigma[rows // BLOCK, columns // BLOCK]
    of_ring, of_pairs = (
        1.4826 * np.median(np.abs(some - np.median(some, axis=0)), axis=0) for some in (ring, np.sqrt(2) * pairs)
    )
    spread = np.maximum(noise, np.minimum(of_ring, of_pairs))
    rise = values[rows, columns] - around
    is_sharp = (noise > 0) & (_second(*beside) - around < MAX_SHOULDER * rise)
    return np.where(is_sharp, rise / np.maximum(spread, 1e-30), 0.0), around


def _mirrored(index: Index, size: int) -> Index:
    """Indices up to two beyond the border, reflected in it."""
    inside = np.where(index < 0, -1 - index, index)
    return np.where(inside >= size, 2 * size - 1 - inside, inside)


def _find_points(values: Values, sigma: Values, free: Mask) -> Mask:
    """D2 and D3: pixels that are brighter than a lens and the noise can make them, and the tracks that begin there.

    They are filled in `values` with the median around them.
    """
    found, columns = np.zeros(values.shape, bool), np.arange(values.shape[1])
    for strip, beside in _strips(values):
        least_rise = (1 - MAX_SHOULDER) * MIN_LOOKED_AT * noise_at(sigma, np.arange(strip.start, strip.stop), columns)
        found[strip] = (values[strip] - _second(*beside) > least_rise) & free[strip]
    rows, columns = np.nonzero(found)
    found[:] = False
    heights, around = _measure_heights(values, sigma, rows, columns)
    least = min(gap.find(heights) for gap in GAPS)
    chosen = heights >= least
    for _ in range(MAX_TRACK):
        if not chosen.any():
            break
        rows, columns = rows[chosen], columns[chosen]
        found[rows, columns] = True
        values[rows, columns] = around[chosen]
        rows, columns = _touching(rows, columns, free & ~found)
        heights, around = _measure_heights(values, sigma, rows, columns)
        chosen = heights >= min(MAX_TRACK_HEIGHT, TRACK_SHARE * least)
    return found if found.mean() <= MAX_FRACTION else np.zeros_like(found)


def _touching(rows: Index, columns: Index, free: Mask) -> tuple[Index, Index]:
    """The free pixels among the eight that touch any of these."""
    width = free.shape[1]
    around = np.add.outer(rows * width + columns, np.add.outer((-width, 0, width), (-1, 0, 1)).ravel())
    near = np.abs(around % width - columns[:, None]) <= 1
    touching = np.unique(around[near & (around >= 0) & (around < free.size)])
    rows, columns = np.divmod(touching, width)
    chosen = free[rows, columns]
    return rows[chosen], columns[chosen]
