"""Blind estimate of the noise of a single image: its level, correlation, and dependence on the intensity.

Each cosine coefficient of 16 x 16 blocks is measured in the blocks that are calmest around its own frequency, see
`refine.calm_blocks`. Coefficients that hold texture in every block, above all slow ones, are interpolated by
`autocovariance`; `noise_level_function` fits the dependence on the intensity.

Block-wise blind estimates in the cosine domain go back to Ponomarenko et al., "An automatic approach to lossy
compression of AVIRIS images", IGARSS 2007; the two halves, the choice by frequency and the fitted autocovariance are
ours.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mashpix.noise_estimation.noise_level_function import follow_intensity
from mashpix.refine.autocovariance import EVEN, FREQUENCY, SIDE, SLOW, fit_autocovariances, mirror
from mashpix.refine.calm_blocks import MIN_BLOCKS, OUTLIER, count_calm, measure_spectrum
from mashpix.refine.dct import block_transform
from mashpix.refine.tuning import TUNED
from mashpix.tiling import cut_blocks

STEP = 4
"""Distance in pixels of two blocks in a small image."""
MAX_BLOCKS = 8_192
"""Number of blocks that are measured, about."""
CALM_AROUND_FRACTION = 0.01
"""Fraction of the blocks, the calmest around its frequency, that a coefficient is measured in."""
CALM_FRACTION = 0.01
"""Fraction of the blocks, the calmest in all, that channels are compared in."""
CALM_FOR_PEAKS_FRACTION = 0.05
"""Fraction of the blocks, as CALM_AROUND_FRACTION, in which lines and peaks of the spectrum are looked for."""
N_ROUNDS = 3
"""How often blocks are chosen by the noise that was measured before."""

Array = NDArray[np.float64]


class NoiseLevel(NamedTuple):
    """The noise of an image of C channels, on the scale of its pixels.

    sigma : (C,) standard deviation over the whole image
    correlation : (C, 2 * REACH + 1, 2 * REACH + 1) autocorrelation, lag (0, 0) at the centre
    between : (C, C) correlation of the channels at one pixel
    levels : for each channel, (n, 2): intensity and standard deviation there
    dependence : (C,) largest over least variance by its function, between the 5 % and 95 % levels of intensity
    spectrum : (C, SIDE, SIDE) mean square of each cosine coefficient in the blocks calm around it, against its mean
    blocks : number of blocks that were usable
    """

    sigma: Array
    correlation: Array
    between: Array
    levels: tuple[Array, ...]
    dependence: Array
    spectrum: Array
    blocks: int


def measure_noise_level(pixels: Tensor, valid: Tensor, clipped: Tensor) -> NoiseLevel | None:
    """Measure the noise of an image in its own calmest blocks; None without a block to measure it in.

    Parameters
    ----------
    pixels : Tensor
        (C, H, W), channels on about 0..1.
    valid, clipped : Tensor
        Bool (C, H, W). Blocks with an invalid pixel are left out, and those with clipped ones if there are others.

    Examples
    --------
    >>> pixels = torch.randn((1, 128, 128), generator=torch.Generator().manual_seed(0))
    >>> noise = measure_noise_level(pixels, torch.ones_like(pixels) == 1, torch.zeros_like(pixels) == 1)
    >>> round(float(noise.sigma[0]), 1)
    1.0
    """
    blocks = _usable_blocks(pixels, valid, clipped)
    if blocks is None:
        return None
    coefficients = blocks @ block_transform(SIDE, blocks).T
    squares, intensity = coefficients.square(), coefficients[..., 0] / SIDE
    calm = squares[..., FREQUENCY >= SIDE / 3].sum(dim=(0, 2)).argsort()[: count_calm(squares, CALM_FRACTION)]
    spectrum, scaled = squares[:, calm].mean(dim=1), squares
    ratio = torch.ones_like(intensity)
    for _ in range(N_ROUNDS):
        _, fitted = fit_autocovariances(spectrum, scaled.mean(dim=1))
        relative = (scaled / fitted[:, None]).clamp(max=OUTLIER)
        share = (fitted / scaled.mean(dim=1).clamp(min=1e-30)).clamp(max=1)
        functions = [follow_intensity(*channel) for channel in zip(intensity, ratio, relative, share, strict=True)]
        ratio = torch.stack([function(values) for function, values in zip(functions, intensity, strict=True)])
        calm = relative[..., FREQUENCY > 1].sum(dim=(0, 2)).argsort()[: count_calm(squares, CALM_FRACTION)]
        usual = ratio[:, calm].mean(dim=1, keepdim=True)
        ratio = ratio / usual  # the functions give the shape, the calmest blocks how much noise there is
        scaled = squares / ratio[..., None]
        spectrum = measure_spectrum(scaled, relative, CALM_AROUND_FRACTION)
    covariance, fitted = fit_autocovariances(spectrum, scaled.mean(dim=1))
    relative = (scaled / fitted[:, None]).clamp(max=OUTLIER)
    variance = np.array([table[0, 0] for table in covariance]).clip(min=0)
    sigma = np.sqrt(variance * ratio.double().mean(dim=1).numpy())
    shares = variance / usual[:, 0].double().numpy()
    levels = tuple(
        np.stack([function.places, np.sqrt(share * np.array(function.values))], axis=1)
        for function, share in zip(functions, shares, strict=True)
    )
    shape = len(spectrum), SIDE, SIDE
    calmer = measure_spectrum(scaled, relative, CALM_FOR_PEAKS_FRACTION)
    calmer = calmer / calmer.mean(dim=1, keepdim=True)
    return NoiseLevel(
        sigma=sigma,
        correlation=np.stack([mirror(table / max(table[0, 0], 1e-30)).clip(-1, 1) for table in covariance]),
        between=_between(relative.sqrt() * coefficients.sign(), relative),
        levels=levels,
        dependence=np.array([_dependence(values) for values in ratio]),
        spectrum=calmer.double().numpy().reshape(shape),
        blocks=squares.shape[1],
    )


def _dependence(ratio: Tensor) -> float:
    """Ratio of the largest to the least variance (N,) of the blocks, without outliers."""
    low, high = ratio.double().quantile(0.05), ratio.double().quantile(0.95)
    return float(high / low)


def _usable_blocks(pixels: Tensor, valid: Tensor, clipped: Tensor) -> Tensor | None:
    """Blocks (C, N, SIDE * SIDE) without a hole, with noise in every channel, and if possible without clipping."""
    stride = max(STEP, math.isqrt(pixels[0].numel() // MAX_BLOCKS))
    blocks = torch.stack([cut_blocks(plane, SIDE, stride) for plane in pixels])
    if blocks.shape[1] == 0:
        return None
    usable = cut_blocks(valid.all(dim=0), SIDE, stride).all(dim=1) & (blocks.var(dim=2) > TUNED.min_block_variance).all(
        dim=0
    )
    whole = usable & ~cut_blocks(clipped.any(dim=0), SIDE, stride).any(dim=1)
    chosen = whole if whole.sum() >= MIN_BLOCKS else usable
    return blocks[:, chosen] if chosen.any() else None


def _between(coefficients: Tensor, relative: Tensor) -> Array:
    """Correlation (C, C) of the channels' coefficients, each of variance 1 and capped, in the calmest blocks."""
    products = torch.zeros(len(coefficients), len(coefficients), dtype=coefficients.dtype)
    energy = relative.sum(dim=0)
    for chosen in (EVEN, ~EVEN):
        calm = energy[:, ~chosen & (FREQUENCY > 1)].sum(dim=1).argsort()[: count_calm(relative, CALM_FRACTION)]
        noise = coefficients[:, calm][..., chosen & (FREQUENCY >= SLOW)].flatten(1)
        products += noise @ noise.T
    deviation = products.diagonal().clamp(min=1e-30).sqrt()
    return np.asarray((products / (deviation[:, None] * deviation[None, :])).double().numpy())
