"""Relation R15: where R, G and B hold independent noise, that of the brightness is measured in the opponent colours.

Texture is mostly brightness, and where it is everywhere no block of the brightness shows the noise alone. Of three
independent channels with the noise spectra S_R, S_G and S_B, the brightness has the noise (S_R + S_G + S_B) / 3, which
is also the mean of those of the two opponent colours: (S_R + S_B) / 2 and (S_R + 4 S_G + S_B) / 6. So it is known
without a look at the brightness.

The channels of a sensor that were interpolated from one another, processed, or compressed are not independent. That
shows: their opponent colours differ, or hold far less fast noise than the brightness and none that is white.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine import colour
from mashpix.refine.autocovariance import FREQUENCY, REACH, SIDE, SLOW, Array, fit_autocovariances, halved, spectrum_of
from mashpix.refine.calm_blocks import OUTLIER, measure_spectrum
from mashpix.refine.dct import block_transform
from mashpix.refine.residual_noise import MEDIAN_SQUARE, NoiseModel, cut_usable
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.refine.variance_model import CONSTANT, VarianceModel, fit_variance_model

MAX_BLOCKS = 4_096
"""Number of blocks that are measured, about."""
N_ROUNDS = 3
"""How often blocks are chosen by the noise that was measured before."""
BANDS = (FREQUENCY > 5) & (FREQUENCY <= 10), (FREQUENCY > 10) & (FREQUENCY <= 15), FREQUENCY > 15
"""Coefficients of which the means are compared: the slow ones hold too much of the image."""


MAX_RATIO = 3.0
"""Largest ratio of the noise of two opponent colours whose channels are independent: that of noise in R and B alone."""


class IndependentNoise(NamedTuple):
    """Noise that is independent in R, G and B, in the brightness and the two opponent colours (R1).

    autocorrelation : one quadrant, the same in all three
    variance : (3,) on the network's scale squared, where v is 1
    variance_model : v (R2)
    """

    autocorrelation: Array
    variance: Tensor
    variance_model: VarianceModel

    def model(self, side: int, like: Tensor, *, half_size: bool = False) -> NoiseModel:
        """The noise in blocks of `side` pixels, of the image or of its half size; a tensor like `like`."""
        quadrant = halved(self.autocorrelation) if half_size else self.autocorrelation
        spectrum = torch.from_numpy(spectrum_of(quadrant, side)).to(like)
        return NoiseModel(self.variance.to(like)[:, None] * spectrum, self.variance_model, is_rgb=True)


def measure_independent_noise(
    picture: Picture, noisy: Tensor, estimate: Tensor, *, tuning: RefineSettings = TUNED
) -> IndependentNoise | None:
    """Measure the noise of RGB in its opponent colours; None unless that of its channels is seen to be independent.

    noisy, estimate : (3, H, W), brightness and opponent colours (R1) of the image and of an estimate of the clean one
    """
    usable = picture.valid[0].all(dim=0) & ~_clipped(picture)
    cut = cut_usable(noisy, estimate, usable=usable, side=SIDE, tuning=tuning)
    if cut[0].shape[1] < tuning.min_blocks:
        return None
    every = -(-cut[0].shape[1] // MAX_BLOCKS)
    blocks, structure = (images[:, ::every].cpu() for images in cut)
    model = _follow_brightness(blocks, structure, tuning=tuning)
    ratio = model.ratio(colour.brightness(structure.mean(dim=2), is_rgb=True))
    squares = (blocks @ block_transform(SIDE, blocks).T).square() / ratio[:, None]
    spectrum = squares.median(dim=1).values / MEDIAN_SQUARE
    for _ in range(N_ROUNDS):
        relative = (squares / spectrum[:, None].clamp(min=torch.finfo(squares.dtype).tiny)).clamp(max=OUTLIER)
        parts = (slice(0, 1), slice(1, 3))  # brightness, where the texture is, and colours
        spectrum = torch.cat([measure_spectrum(squares[part], relative[part], tuning.calm_fraction) for part in parts])
    if _is_white(spectrum, tuning=tuning):
        white = np.zeros((REACH + 1, REACH + 1))
        white[0, 0] = 1
        both = spectrum[1:, FREQUENCY > SLOW].mean(dim=1)
        return IndependentNoise(white, torch.cat([both.mean(dim=0, keepdim=True), both]), model)
    if _is_alike(spectrum, tuning=tuning):
        calm, everywhere = (values[1:].mean(dim=0, keepdim=True) for values in (spectrum, squares.mean(dim=1)))
        (quadrant,), _ = fit_autocovariances(calm, everywhere)
        return IndependentNoise(quadrant / quadrant[0, 0], torch.full((3,), quadrant[0, 0]), model)
    return None


def _clipped(picture: Picture) -> Tensor:
    """Pixels (H, W) at the least or the largest value of a channel: what is clipped has lost noise."""
    pixels, valid = picture.pixels[0], picture.valid[0]
    low = torch.where(valid, pixels, torch.inf).amin(dim=(1, 2), keepdim=True)
    high = torch.where(valid, pixels, -torch.inf).amax(dim=(1, 2), keepdim=True)
    return ((pixels == low) | (pixels == high)).any(dim=0)


def _follow_brightness(blocks: Tensor, structure: Tensor, *, tuning: RefineSettings) -> VarianceModel:
    """How the noise of the opponent colours follows the brightness, in blocks (3, N, K) of an image and an estimate."""
    brightness = colour.brightness(structure.mean(dim=2), is_rgb=True)
    noise = colour.low_texture((blocks - structure).var(dim=2), is_rgb=True).sum(dim=0)
    model = fit_variance_model(brightness, structure.var(dim=2).sum(dim=0), noise, tuning=tuning)
    low, high = (model.ratio(brightness).quantile(quantile) for quantile in tuning.range_quantiles)
    return model if high >= tuning.min_colour_range * low else CONSTANT


def _bands(spectrum: Tensor) -> Tensor:
    """Mean of each band of coefficients of a spectrum (C, K): (C, 3)."""
    return torch.stack([spectrum[:, band].mean(dim=1) for band in BANDS], dim=1)


def _unevenness(values: Tensor, dim: int) -> float:
    """Largest over least value along a dimension, at the worst place."""
    return float((values.amax(dim=dim) / values.amin(dim=dim).clamp(min=torch.finfo(values.dtype).tiny)).max())


def _is_alike(spectrum: Tensor, *, tuning: RefineSettings) -> bool:
    """Whether the opponent colours hold the same noise, and the brightness as much fast noise as they."""
    brightness, *colours = _bands(spectrum)
    both = torch.stack(colours)
    return _unevenness(both, dim=0) <= tuning.max_colour_difference and float(
        brightness[-1]
    ) <= tuning.max_fast_excess * float(both[:, -1].mean())


def _is_white(spectrum: Tensor, *, tuning: RefineSettings) -> bool:
    """Whether the opponent colours hold white noise, and the brightness none that is white and larger.

    Colour noise of a processed photo is never white, but rounding a grey one makes such noise.
    """
    bands = _bands(spectrum)
    if _unevenness(bands[1:], dim=1) > tuning.max_colour_difference or _unevenness(bands[1:], dim=0) > MAX_RATIO:
        return False
    excess = float(bands[0, -1] / bands[1:].mean())
    is_texture = _unevenness(bands[:1], dim=1) > tuning.max_colour_difference
    return excess <= (tuning.max_white_excess if is_texture else tuning.max_fast_excess)
