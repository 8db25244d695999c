"""Relations R15 and R16: noise measured in the noisy image alone, before any estimate of the clean one.

Where an image is texture all over, an estimate is flat where it missed the texture, and that texture would pass for
noise in its residual. The calmest blocks of the noisy image hold the least of it (`calm_blocks`).

(R15) A single channel, also one stored as RGB, and channels that are no colours: S and v are those of the calmest
blocks.

(R16) RGB whose channels hold independent noise. With the noise spectra S_R, S_G and S_B, the brightness has the noise
(S_R + S_G + S_B) / 3, which is also the mean of those of the two opponent colours (R1): (S_R + S_B) / 2 and
(S_R + 4 S_G + S_B) / 6. Texture has hardly more than one colour, mostly that of the brightness, so the noise of all is
measured in the two channels at right angles to that of most texture. Channels that were interpolated from one another,
processed or compressed are not independent, and that shows: their colours differ, or hold far less fast noise than the
brightness. Then this is not used: in a processed photo the calm blocks have lost most of their noise.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine.autocovariance import FREQUENCY, REACH, SIDE, SLOW, Array, halved, spectrum_of
from mashpix.refine.calm_blocks import (
    CALM_AROUND_FRACTION,
    N_ROUNDS,
    OUTLIER,
    CalmNoise,
    measure_calm_noise,
    measure_spectrum,
    usable_coefficients,
)
from mashpix.refine.colour import is_grey
from mashpix.refine.few_photons import share_of
from mashpix.refine.residual_noise import MEDIAN_SQUARE, NoiseModel
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.refine.variance_model import VarianceModel

CLIPPED = 0.001
"""Fraction of the pixels at the least or the largest value from which these count as clipped."""
BANDS = (FREQUENCY > 5) & (FREQUENCY <= 10), (FREQUENCY > 10) & (FREQUENCY <= 15), FREQUENCY > 15
"""Coefficients of which the means are compared: the slow ones hold too much of the image."""
LEAST = 1e-4
"""Least level of the noise, of the brightest value: the calmest blocks of an image without noise hold none."""
WHOLE = 0.02
"""Most distance from a whole number: floats of 24 bits hold counts up to 100,000 so well."""
MAX_RATIO = 3.0
"""Largest ratio of the noise of two colours whose channels are independent: that of (R - B) to (R - 2 G + B)."""


class BlindNoise(NamedTuple):
    """The noise of C channels.

    autocovariance : for each channel one quadrant, on the network's scale squared, where v is 1
    variance_model : v (R2)
    is_rgb : whether the channels are brightness and two opponent colours (R1)
    """

    autocovariance: list[Array]
    variance_model: VarianceModel
    is_rgb: bool

    def model(self, side: int, like: Tensor, *, half_size: bool = False) -> NoiseModel:
        """The noise in blocks of `side` pixels, of the image or of its half size; a tensor like `like`."""
        quadrants = (halved(table) if half_size else table for table in self.autocovariance)
        psd = torch.from_numpy(np.stack([spectrum_of(quadrant, side) for quadrant in quadrants])).to(like)
        return NoiseModel(psd.clamp(min=LEAST**2), self.variance_model, self.is_rgb)


def measure_blind_noise(picture: Picture, noisy: Tensor, *, tuning: RefineSettings = TUNED) -> BlindNoise | None:
    """R15 and R16: measure the noise; None without enough blocks, and for RGB whose channels are not independent.

    None too where the noise follows the brightness so strongly that the calmest blocks are just the darkest.

    noisy : (C, H, W), the image with independent noise in the channels (R1)
    """
    if not tuning.blind_noise or (picture.is_rgb and not tuning.opponent_colours):
        return None
    pixels, valid = picture.pixels[0].cpu(), picture.valid[0].cpu()
    clipped = torch.stack([find_clipped(*channel) for channel in zip(pixels, valid, strict=True)])
    channels = noisy.cpu()
    grey = picture.is_rgb and is_grey(channels)
    coefficients = usable_coefficients(channels[:1] if grey else channels, valid, clipped, least=tuning.min_blocks)
    if coefficients is None or coefficients.shape[1] < tuning.min_blocks:
        return None
    if picture.is_rgb and not grey:
        least = tuning.min_over_rounding * _rounding_variance(picture)
        faint = (tuning.max_faint_noise * picture.white) ** 2
        return _measure_independent(coefficients, least=least, faint=faint, tuning=tuning)
    intensity = coefficients[..., 0].mean(dim=0) / SIDE
    noise = measure_calm_noise(coefficients, intensity=intensity)
    if (model := _variance_model(noise)).ceiling > tuning.max_variance_ratio:
        return None
    return BlindNoise(noise.autocovariance * (len(channels) if grey else 1), model, picture.is_rgb)


def find_clipped(plane: Tensor, valid: Tensor) -> Tensor:
    """Find the pixels (H, W) of the least or the largest value, if many have it."""
    clipped = torch.zeros_like(valid)
    for extreme in torch.where(valid, plane, torch.inf).amin(), torch.where(valid, plane, -torch.inf).amax():
        if share_of(extreme, plane, valid) >= CLIPPED:
            clipped |= plane == extreme
    return clipped


def _variance_model(noise: CalmNoise) -> VarianceModel:
    """v of the first channel, 1 in the calmest blocks, and at most as at the ends of the levels it was measured in."""
    line, places, usual = noise.functions[0].line, noise.functions[0].places, float(noise.usual[0])
    ends = [max(line.offset + line.slope * place, line.floor) / usual for place in places] or [1.0]
    ceiling = max(*ends, 1 / min(ends), 1.0)
    return VarianceModel(line.offset / usual, line.slope / usual, min(ends), ceiling)


def _rounding_variance(picture: Picture) -> float:
    """Variance that rounding to whole numbers has left in an image, on the scale of its pixels; 0 for other values."""
    values = picture.pixels[0, 0, ::SIDE][picture.valid[0, 0, ::SIDE]] * picture.unit[0]
    steps = values - values[:1]
    is_whole = ((steps - steps.round()).abs() <= WHOLE).all() and (steps.abs() > WHOLE).any()
    return float(picture.unit[0]) ** -2 / 12 if is_whole else 0.0


def _measure_independent(
    coefficients: Tensor, *, least: float, faint: float, tuning: RefineSettings
) -> BlindNoise | None:
    """R16, of blocks of brightness and opponent colours (3, N, K); None unless the channels are independent.

    None too where they hold at most the variance `least`: what calm blocks hold is rounding then, others hold noise.
    Up to the variance `faint` the slower coefficients hold as much of the image as of noise.
    """
    intensity = coefficients[0, :, 0] / SIDE
    turned = _turn_to_texture(coefficients)
    noise = measure_calm_noise(turned[1:], intensity=intensity)
    texture = _bands(_own_spectrum(turned[:1].square() / noise.ratio[:1, :, None]))[0]
    bands, model = _bands(noise.spectrum), _variance_model(noise)
    if bands.mean() <= faint:
        bands = bands[:, 1:]
    if bands.mean() <= least:
        return None
    if _are_white(bands, texture, tuning=tuning):
        white = np.zeros((REACH + 1, REACH + 1))
        white[0, 0] = float(bands.mean())
        return BlindNoise([white] * 3, model, is_rgb=True)
    if _are_alike(bands, texture, tuning=tuning):
        return BlindNoise([(noise.autocovariance[0] + noise.autocovariance[1]) / 2] * 3, model, is_rgb=True)
    return None


def _turn_to_texture(coefficients: Tensor) -> Tensor:
    """Turn the channels of (3, N, K): the first is the one of most texture. Noise that is alike in all stays so."""
    fast = coefficients[..., FREQUENCY > SLOW].flatten(1).double()
    _, axes = torch.linalg.eigh(fast @ fast.T)
    return torch.einsum("cd,cnk->dnk", axes.flip(1).to(coefficients), coefficients)


def _own_spectrum(squares: Tensor) -> Tensor:
    """Spectrum (C, K) of the blocks of one channel that are calm in it, (C, N, K)."""
    spectrum = squares.median(dim=1).values / MEDIAN_SQUARE
    for _ in range(N_ROUNDS):
        relative = (squares / spectrum[:, None].clamp(min=torch.finfo(squares.dtype).tiny)).clamp(max=OUTLIER)
        spectrum = measure_spectrum(squares, relative, CALM_AROUND_FRACTION)
    return spectrum


def _bands(spectrum: Tensor) -> Tensor:
    """Mean of each band of coefficients of a spectrum (C, K): (C, 3)."""
    return torch.stack([spectrum[:, band].mean(dim=1) for band in BANDS], dim=1)


def _unevenness(values: Tensor, dim: int) -> float:
    """Largest over least value along a dimension, at the worst place."""
    return float((values.amax(dim=dim) / values.amin(dim=dim).clamp(min=torch.finfo(values.dtype).tiny)).max())


def _are_alike(colours: Tensor, texture: Tensor, *, tuning: RefineSettings) -> bool:
    """Whether both colours hold the same noise in all bands, and the channel of texture as much fast noise as they."""
    excess = float(texture[-1] / colours[:, -1].mean())
    return _unevenness(colours, dim=0) <= tuning.max_alike_difference and excess <= tuning.max_fast_excess


def _are_white(colours: Tensor, texture: Tensor, *, tuning: RefineSettings) -> bool:
    """Whether the colours hold white noise, and the channel of texture none that is white and larger.

    Colour noise of a processed photo is never white, but rounding a grey one makes such noise.
    """
    if _unevenness(colours, dim=1) > tuning.max_white_unevenness or _unevenness(colours, dim=0) > MAX_RATIO:
        return False
    is_noise = _unevenness(texture[None], dim=1) <= tuning.max_white_unevenness
    limit = tuning.max_fast_excess if is_noise else tuning.max_white_excess
    return float(texture[-1] / colours.mean()) <= limit
