"""Relation R20: stars and beads of few pixels, which blocks lose among the noise, get back what they have lost.

A block spreads the energy of a few bright pixels over all its coefficients, where each is below the noise. In pixels
they stand out at once, and a matched filter finds them (Stetson, "DAOPHOT", PASP 99, 1987). A structure counts if it
reaches farther than anything to the other side: noise, edges and texture reach as far down as up.

(R20) x <- x + sum over i of <w_i, y - x> w_i, where w_i is the Gaussian of norm 1 that fits y best around peak i

Only the part of y - x that looks like the structure returns, so the noise around it does not. Nothing returns unless
many structures have lost more than noise explains: other images keep their result bit for bit.
"""

from functools import cache
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine.few_photons import counts_few_photons
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.tuning import TUNED, RefineSettings

Values = NDArray[np.float32]

REACH = 5
"""Pixels around a peak that the Gaussians are fitted in."""
PLACES = (-1 / 3, 0.0, 1 / 3)
"""Places of their centres along each axis, in pixels from the pixel of the peak."""
WINDOW = 7
"""Side of the windows, at half the size, whose median is the background of a pixel."""
MIN_LOST = 6
"""Structures that have lost something, at least: a few are noise of an unusual kind."""
MAD = 0.6745
"""Median absolute value of a standard normal variable."""


def restore_compact(picture: Picture, refined: Tensor, *, noise: NoiseModel, tuning: RefineSettings = TUNED) -> Tensor:
    """R20: return the refined image (1, C, H, W) with what its stars have lost, or the very same without any.

    RGB stays as it is: there the specks of a camera would come back. So does an image whose noise follows the
    brightness strongly: its own peaks look like structures.
    """
    is_uneven = noise.variance_model.ceiling > tuning.compact_range
    if picture.is_rgb or is_uneven or not tuning.compact_structures or counts_few_photons(picture):
        return refined
    noisy, x, valid = (stack[0].cpu().numpy() for stack in (picture.pixels, refined, picture.valid))
    around = np.stack([background(plane) for plane in np.where(valid, noisy, x)])
    unit = noise.variance_model.ratio(noise.brightness(torch.from_numpy(around))).sqrt().numpy()
    planes = zip((noisy - around) * valid / unit, (noisy - x) * valid / unit, valid, strict=True)
    lost = np.stack([find_lost(*channel, tuning=tuning) for channel in planes]) * unit
    return refined + torch.from_numpy(lost)[None].to(refined) if lost.any() else refined


def find_lost(above: Values, residual: Values, valid: NDArray[np.bool_], *, tuning: RefineSettings = TUNED) -> Values:
    """Find what the compact structures of a plane (H, W) have lost; zeros unless many have.

    above, residual : y less its background, and y - x, both with the same noise everywhere, and 0 where not valid
    """
    lost, shapes = np.zeros_like(residual), fitting_shapes(tuning.compact_widths)
    amounts, rests = [], []
    peaks, sigma = find_peaks(above, valid, tuning=tuning)
    for row, column in peaks:
        near = slice(row - REACH, row + REACH + 1), slice(column - REACH, column + REACH + 1)
        fits = np.tensordot(shapes, above[near])
        shape = shapes[fits.argmax()]
        rests.append((float(np.square(above[near]).sum()) - float(fits.max()) ** 2) / (above[near].size - 1))
        amounts.append(float(np.vdot(shape, residual[near] - lost[near])))
        lost[near] += amounts[-1] * shape
    if (
        not rests or np.median(rests) > tuning.compact_rest * sigma**2
    ):  # structures that are wider, or lie close together
        return np.zeros_like(residual)
    number = np.sum(np.array(amounts) > tuning.compact_loss * sigma)
    return lost * (number >= max(MIN_LOST, tuning.compact_share * len(amounts)))


def background(plane: Values) -> Values:
    """Median around each pixel of (H, W), both even, measured at half the size."""
    from scipy import ndimage

    half = plane.reshape(len(plane) // 2, 2, -1, 2).mean(axis=(1, 3))
    return np.asarray(ndimage.zoom(ndimage.median_filter(half, WINDOW, mode="nearest"), 2, order=1))


def find_peaks(
    above: Values, valid: NDArray[np.bool_], *, tuning: RefineSettings = TUNED
) -> tuple[NDArray[np.int64], float]:
    """Find where a plane (H, W) exceeds what noise reaches: places (N, 2), highest first, and the noise of a pixel."""
    from scipy import ndimage

    if not valid.any():
        return np.zeros((0, 2), int), 0.0
    height = np.zeros_like(above)
    scales: list[float] = []
    for width in tuning.compact_widths:
        line = gaussian(width, 0.0)
        response = ndimage.correlate1d(ndimage.correlate1d(above, line, axis=0), line, axis=1)
        middle = np.median(response[valid])
        scales.append(max(float(np.median(np.abs(response[valid] - middle))) / MAD, float(np.finfo(np.float32).tiny)))
        response = (response - middle) / scales[-1]
        limit = max(tuning.compact_height, -float(response[valid].min()))
        np.maximum(height, np.where(response > limit, response, 0), out=height)
    whole = ndimage.binary_erosion(valid, np.ones((2 * REACH + 1,) * 2))
    peaks = np.argwhere(whole & (height > 0) & (height == ndimage.maximum_filter(height, 5)))
    return peaks[np.argsort(-height[tuple(peaks.T)], kind="stable")], float(np.median(scales))


def gaussian(width: float, centre: float) -> Values:
    """A Gaussian of norm 1 in 2 * REACH + 1 pixels."""
    line = np.exp(-np.square(np.arange(-REACH, REACH + 1) - centre) / (2 * width**2))
    return np.asarray(line / np.linalg.norm(line), np.float32)


@cache
def fitting_shapes(widths: tuple[float, ...]) -> Values:
    """Gaussians (N, 2 * REACH + 1, 2 * REACH + 1) of all widths at all places in a pixel."""
    lines = ((gaussian(width, down), gaussian(width, right)) for width, down, right in product(widths, PLACES, PLACES))
    return np.stack([np.outer(*pair) for pair in lines])
