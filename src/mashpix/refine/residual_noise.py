"""Relations R2 and R3: the noise model of an image, and its measurement in the residual of an estimate.

What an estimate of the clean image leaves in flat blocks, y minus estimate, is noise alone: there the power spectral
density (PSD) of the noise is the mean square of each cosine coefficient. That flat blocks show the noise is an old idea
(Ponomarenko et al., "An automatic approach to lossy compression of AVIRIS images", IGARSS 2007); here a blind-spot
prediction shows which blocks are flat.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mashpix.refine import colour
from mashpix.refine.autocovariance import FREQUENCY, SIDE, SLOW
from mashpix.refine.dct import block_transform
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.refine.variance_model import CONSTANT, VarianceModel, between, depends_on_brightness, fit_variance_model
from mashpix.tiling import cut_blocks

OUTLIER = 3.0
"""Coefficients beyond so many standard deviations are texture that the estimate missed."""
CLIPPED_SQUARE = 0.9733
"""Mean square of a standard normal variable within k = OUTLIER: 1 - 2 k phi(k) / (2 Phi(k) - 1)."""
FAST = 5.0
"""Half periods per block: slower coefficients hold more of what an estimate missed."""
TINY = 1e-30
"""Keeps ratios finite where nothing is left in a block."""
MEDIAN_SQUARE = 0.4549
"""Median of the square of a standard normal variable: that of the chi-squared distribution of one degree."""


Pilot = Literal["blocks", "groups", "both"]


class NoiseModel(NamedTuple):
    """R2: the variance of coefficient k in a block of brightness b is S(k) v(b).

    psd : S, (C, side * side): variance of each cosine coefficient where v is 1, on the network's scale squared
    variance_model : v
    is_rgb : whether the channels are brightness and two opponent colours (R1)
    across : factor of the variance in what the blocks, or patches, of a group differ by (R18)
    pilot : what makes the pilot of the groups: blocks (R6), groups (R21), or both (R22)
    known : whether it was measured in the noisy image itself (R15, R16)
    """

    psd: Tensor
    variance_model: VarianceModel
    is_rgb: bool = False
    across: float = 1.0
    pilot: Pilot = "blocks"
    known: bool = False

    @property
    def is_of_sensor(self) -> bool:
        """Whether it is that of a photo that no camera has treated (R22), or of one too small to tell."""
        return self.is_rgb and not self.known and self.pilot == "blocks"

    def times(self, factor: float = 1.0, *, colours: float = 1.0) -> "NoiseModel":
        """More or less noise, and so much more again of the opponent colours."""
        factors = torch.full_like(self.psd[:, :1], factor)
        factors[1 if self.is_rgb else len(factors) :] *= colours
        return self._replace(psd=self.psd * factors)

    def variance(self, brightness: Tensor) -> Tensor:
        """Variance of each coefficient, (C, side * side, N), in blocks of a brightness (N,)."""
        return self.psd[..., None] * self.variance_model.ratio(brightness)

    def power(self) -> Tensor:
        """Mean variance of the coefficients of each channel, (C,), without that of the blocks' mean."""
        return self.psd[:, 1:].mean(dim=1)

    def brightness(self, channels: Tensor) -> Tensor:
        """The brightness that the noise follows, of channels (C, ...)."""
        return colour.brightness(channels, is_rgb=self.is_rgb)


class Noises(NamedTuple):
    """The noise of an image as the stages of refining need it.

    in_prediction : S_p, in the residual of the prediction, with some of the texture that it missed
    in_blocks16, in_blocks8 : S, reconciled, in the blocks of R6 and of R7
    in_half_size : like `in_blocks16` at half the size; None where it cannot be measured
    """

    in_prediction: NoiseModel
    in_blocks16: NoiseModel
    in_blocks8: NoiseModel
    in_half_size: NoiseModel | None = None


class Likeness(NamedTuple):
    """R19: how much a residual is like the noise of a sensor and like texture, 0 to 1; neither: treated noise."""

    sensor: float
    texture: float


def measure_noise(
    noisy: Tensor,
    estimate: Tensor,
    usable: Tensor,
    *,
    side: int,
    is_rgb: bool,
    textured: bool = False,
    follow: bool | None = None,
    model: VarianceModel | None = None,
    tuning: RefineSettings = TUNED,
) -> NoiseModel | None:
    """R3: measure the noise in the residual of an estimate; None without a block to measure it in.

    S(k) is the mean over flat blocks of the squared coefficient k of `noisy - estimate`, divided by v at the block's
    brightness. Outliers are left out: where an estimate is flat because it missed the texture, that texture
    exceeds the noise.

    noisy, estimate : (C, H, W), with independent noise in the channels
    usable : bool (H, W); blocks with an unusable pixel are left out
    side : of the blocks in pixels
    is_rgb : whether the channels are brightness and the two opponent colours of RGB
    textured : measure in blocks with some texture instead of flat ones
    follow : whether the noise follows the brightness; None decides that in RGB, and follows it otherwise
    model : how it follows the brightness where that was measured before
    """
    blocks, structure = cut_usable(noisy, estimate, usable=usable, side=side, tuning=tuning)
    if blocks.shape[1] == 0:
        return None
    residual = blocks.sub_(structure)
    variation, residual_variance = structure.var(dim=2).sum(dim=0), residual.var(dim=2)
    brightness = colour.brightness(structure.mean(dim=2), is_rgb=is_rgb)
    if model is None and follow is None:
        follow = not is_rgb or depends_on_brightness(brightness, variation, residual_variance, tuning=tuning)
    if model is None:
        model = CONSTANT
        if follow:
            model = fit_variance_model(brightness, variation, residual_variance.sum(dim=0), tuning=tuning)
    ratio = model.ratio(brightness)
    chosen = between(variation / ratio, tuning.textured_quantiles if textured else tuning.flat_quantiles)
    if not chosen.any():  # so few blocks that none is between the quantiles
        return None
    squares = (residual[:, chosen] @ block_transform(side, residual).T).square() / ratio[chosen, None]
    return NoiseModel(_clipped_mean(squares, rounds=tuning.n_clippings), model, is_rgb)


def brightness_limit(noise: NoiseModel, *, white: float, tuning: RefineSettings) -> float:
    """R17: the most mean variance of the brightness's noise, by that of both opponent colours in blocks of 16 pixels.

    white : as in `Picture`
    """
    slow = (FREQUENCY > 1) & (FREQUENCY <= SLOW)
    colours = float(noise.psd[1:, slow].mean(dim=1).min())
    return max((tuning.max_cleaned_noise * white) ** 2, tuning.max_over_colours * colours)


def measure_likeness(
    noisy: Tensor, estimate: Tensor, usable: Tensor, *, noise: NoiseModel, tuning: RefineSettings
) -> Likeness:
    """R19: what a residual is like.

    The fast coefficients of a sensor's noise are normal, and in flat blocks they are as strong as the noise model says.
    Those of texture have long tails, longer than noise that a camera has treated, and so have those that JPEG has set
    to zero.
    """
    blocks, structure = cut_usable(noisy, estimate, usable=usable, side=SIDE, tuning=tuning)
    ratio = noise.variance_model.ratio(noise.brightness(structure.mean(dim=2)))
    flat = between(structure.var(dim=2).sum(dim=0) / ratio, tuning.flat_quantiles)
    coefficients = (blocks - structure)[0, flat] @ block_transform(SIDE, blocks).T
    squares = coefficients[:, FREQUENCY > FAST].double().square() / ratio[flat, None]
    squares = squares / squares.mean(dim=0).clamp(min=TINY)
    energy = squares.mean(dim=1, keepdim=True).clamp(min=TINY)
    relative = squares / energy
    fourth = float((relative / relative.mean(dim=0).clamp(min=TINY)).square().mean())
    deviation = float(energy.log().std(correction=0))
    sensor = ramp(fourth, *tuning.sensor_fourth) * ramp(deviation, *tuning.sensor_deviation)
    return Likeness(sensor, ramp(fourth, *tuning.texture_fourth))


def ramp(value: float, whole: float, none: float) -> float:
    """1 at `whole` and beyond, 0 at `none` and beyond, linear between."""
    return min(max((value - none) / (whole - none), 0.0), 1.0)


def cut_usable(*images: Tensor, usable: Tensor, side: int, tuning: RefineSettings = TUNED) -> list[Tensor]:
    """Blocks (C, N, side * side) of images (C, H, W), where they are `usable_blocks` of the first image."""
    chosen, step = usable_blocks(images[0], usable, side=side, tuning=tuning), _step(usable, tuning)
    return [torch.stack([cut_blocks(plane, side, step)[chosen] for plane in pixels]) for pixels in images]


def usable_blocks(pixels: Tensor, usable: Tensor, *, side: int, tuning: RefineSettings = TUNED) -> Tensor:
    """Whether blocks of an image (C, H, W) are whole and it varies in them, (N,): cut channel by channel."""
    step = _step(usable, tuning)
    chosen = cut_blocks(usable, side, step).all(dim=1)
    if chosen.any():
        variation = torch.stack([cut_blocks(plane, side, step)[chosen].var(dim=1) for plane in pixels]).sum(dim=0)
        chosen[chosen.clone()] = variation > tuning.min_block_variance
    return chosen


def _step(usable: Tensor, tuning: RefineSettings) -> int:
    """Distance in pixels of the blocks that are measured."""
    return max(tuning.block_step, math.isqrt(usable.numel() // tuning.max_blocks))


def _clipped_mean(squares: Tensor, *, rounds: int) -> Tensor:
    """Mean over blocks of (C, N, K), outliers left out: (C, K), unbiased for squares of normal variables."""
    mean = squares.median(dim=1).values / MEDIAN_SQUARE
    for _ in range(rounds):
        kept = squares <= OUTLIER**2 * mean[:, None]
        mean = (squares * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1) / CLIPPED_SQUARE
    return mean
