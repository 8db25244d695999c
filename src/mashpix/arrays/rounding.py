"""What rounding to whole numbers takes from a result whose noise is below one unit: the means of regions. [ours]"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mashpix.arrays.normalization import Array, Normalized, channels_first, to_array
from mashpix.missing import holds_data
from mashpix.tiling import window_sums

REGION = 16
"""Side in pixels of the regions whose means are compared."""
BAND = 16 * REGION
"""Rows that are looked at together: bounds the memory."""
MAX_LOSS = 0.2
"""Loss up to which a result may be rounded without a remark."""
CHANCE = 2.0
"""Error up to which a loss is chance."""


class MeanLoss(NamedTuple):
    """How far the means of regions have changed.

    loss : RMS change beyond that by chance, as a fraction of what the means differ by
    error : RMS change, in standard errors of the means
    """

    loss: float
    error: float

    @property
    def matters(self) -> bool:
        """Whether the change is neither small nor chance."""
        return self.loss > MAX_LOSS and self.error > CHANCE


def rounding_loss(rounded: Array, exact: Tensor, normalized: Normalized) -> float | None:
    """Loss of a result by rounding to the dtype of its input; None where it does not matter, or was there before.

    rounded : with the axes of the input
    exact : the same (1, C, H, W) on the network's scale
    """
    noisy = normalized.array
    if noisy.dtype.kind == "f":
        return None
    found = measure_mean_loss(noisy, channels_first(rounded, normalized.channel_axis))
    if not found.matters:
        return None
    as_floats = replace(normalized, array=noisy.astype(np.float64), channel_axis=0)
    return None if measure_mean_loss(noisy, to_array(exact, as_floats)).matters else found.loss


def measure_mean_loss(noisy: Array, denoised: Array) -> MeanLoss:
    """Compare the means of regions of images (C, H, W); the worst of the channels with noise below one unit.

    Examples
    --------
    >>> counts = np.random.default_rng(0).poisson(np.where(np.arange(64) < 32, 0.02, 0.3), (1, 64, 64))
    >>> mean_loss = measure_mean_loss(counts, np.zeros_like(counts))
    >>> mean_loss.matters, mean_loss.error > 3
    (True, True)
    """
    return max((_of_channel(*planes) for planes in zip(noisy, denoised, strict=True)), default=MeanLoss(0, 0))


def _of_channel(noisy: Array, denoised: Array) -> MeanLoss:
    tiny, bands = np.finfo(float).tiny, (slice(top, top + BAND) for top in range(0, len(noisy), BAND))
    counts, *sums = np.concatenate([_sum_up(noisy[band], denoised[band]) for band in bands], axis=1)
    enough = counts > REGION**2 / 2
    if enough.sum() < 2:
        return MeanLoss(0, 0)
    mean, change, squares = (values[enough] / counts[enough] for values in sums)
    if squares.mean() >= 1:
        return MeanLoss(0, 0)
    chance = np.mean((squares - change**2) / counts[enough])
    changed = np.mean(change**2)
    contrast = max(mean.var() - chance, chance, tiny)
    return MeanLoss(float(np.sqrt(max(changed - chance, 0) / contrast)), float(np.sqrt(changed / max(chance, tiny))))


def _sum_up(noisy: Array, denoised: Array) -> Array:
    """Values with data in each region, and sums over it: of the image, of its change and that squared, (4, N)."""
    held = holds_data(noisy)
    before = np.where(held, np.asarray(noisy), 0).astype(np.float64)
    residual = np.where(held, denoised - before, 0)
    return np.stack([window_sums(plane, REGION) for plane in (held, before, residual, residual**2)])
