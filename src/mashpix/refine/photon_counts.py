"""(R23) Whole numbers whose variance is their mean are counts of photons: their noise is known without measuring it.

Calm blocks of such an image are its darkest, and its colours have as different noise as they are bright, so neither
R15 nor R16 can tell. Whether the law of Poisson holds shows in differences of neighbours, in which hardly any image is
left: in the calmest of the blocks of each brightness their variance is as far below the mean as chance makes it.
[ours]
"""

import math

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine.autocovariance import REACH
from mashpix.refine.blind_noise import WHOLE, BlindNoise
from mashpix.refine.colour import brightness, opponent_matrix
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.refine.variance_model import VarianceModel
from mashpix.tiling import cut_blocks

SIDE, STEP = 8, 4
"""Side in pixels of the blocks that are compared, and their distance, a multiple of 2."""
LEVELS = 6
"""Levels of brightness, of as many blocks each."""
CALM = 0.1
"""Quantile of the blocks of a level that is compared with the same quantile of pure noise."""
MIN_BLOCKS = 20
"""Least number of blocks of a level."""
FREE_COLOURS = 1.6
"""Degrees of freedom of what is at right angles to a colour, whose two directions hold unequal noise."""
MAX_PIXELS = 2**21
"""Pixels of a channel that are looked at, about."""
LEAST = 0.5
"""Photons: the variance of places that show none."""


def measure_photon_counts(picture: Picture, *, tuning: RefineSettings = TUNED) -> BlindNoise | None:
    """R23: the noise of one channel or of RGB; None unless it holds counts of photons."""
    channels = picture.pixels.shape[1]
    if not tuning.blind_noise or picture.zero is None:
        return None
    if channels > 1 and not (picture.is_rgb and tuning.opponent_colours):
        return None
    pixels, valid = (_some_rows(planes[0]).cpu() for planes in (picture.pixels, picture.valid))
    unit, zero = picture.unit.cpu(), picture.zero.cpu()
    counts = (pixels - zero[:, None, None]) * unit[:, None, None]
    if not _follow_poisson(counts, valid, tuning=tuning):
        return None
    matrix = opponent_matrix(unit, is_rgb=picture.is_rgb)
    means = torch.stack([plane[held].mean() for plane, held in zip(counts, valid, strict=True)])
    variances = (matrix / unit).square() @ means
    dark, usual = (float(brightness(matrix @ at, is_rgb=picture.is_rgb)) for at in (zero, zero + means / unit))
    slope = 1 / (usual - dark)
    model = VarianceModel(-dark * slope, slope, LEAST / float(means.mean()), math.inf)
    quadrants = [np.zeros((REACH + 1, REACH + 1)) for _ in range(channels)]
    for quadrant, variance in zip(quadrants, variances.tolist(), strict=True):
        quadrant[0, 0] = variance
    return BlindNoise(quadrants, model, picture.is_rgb)


def _some_rows(planes: Tensor) -> Tensor:
    """Rows of (C, H, W) in bands of `SIDE`, as many as suffice."""
    channels, height, width = planes.shape
    bands = planes[:, : height // SIDE * SIDE].reshape(channels, -1, SIDE, width)
    return bands[:, :: max(1, height * width // MAX_PIXELS)].reshape(channels, -1, width)


def _follow_poisson(counts: Tensor, valid: Tensor, *, tuning: RefineSettings) -> bool:
    """Whether channels (C, H, W) hold whole numbers of photons."""
    if ((counts - counts.round()).abs() > WHOLE)[valid].any() or (counts < -WHOLE)[valid].any():
        return False
    height, width = (length // 2 * 2 for length in counts.shape[1:])
    quads, held = (plane[:, :height, :width].unfold(1, 2, 2).unfold(2, 2, 2) for plane in (counts, valid))
    mean, detail = quads.mean(dim=(3, 4)), (quads * torch.tensor([[0.5, -0.5], [-0.5, 0.5]])).sum(dim=(3, 4))
    squares, variance, free = detail.square().sum(dim=0), mean.sum(dim=0), 1.0
    if len(counts) == 3:  # texture has the colour of its place: what is at right angles to that is noise
        colour = mean / torch.linalg.vector_norm(mean, dim=0).clamp(min=LEAST)
        squares = squares - (colour * detail).sum(dim=0).square()
        variance, free = variance - (colour.square() * mean).sum(dim=0), FREE_COLOURS
    blocks = [cut_blocks(plane, SIDE // 2, STEP // 2) for plane in (squares, variance, held.all(dim=0).all(dim=(2, 3)))]
    squares, variance = (values[blocks[2].all(dim=1)].mean(dim=1) for values in blocks[:2])
    bright = variance >= tuning.min_photons
    if bright.sum() < max(LEVELS * MIN_BLOCKS, tuning.min_bright_share * len(bright)):
        return False
    order = variance[bright].argsort()
    ratio = (squares[bright] / variance[bright])[order]
    free *= (SIDE // 2) ** 2
    expected = 2 * float(gammaincinv(free / 2, CALM)) / free  # of chi-squared: `scipy.stats` would take 60 MiB
    calm = [float(level.quantile(CALM)) / expected for level in ratio.tensor_split(LEVELS)]
    return max(calm) <= tuning.max_poisson_ratio and min(calm) >= 1 / tuning.max_poisson_ratio
