"""The noise of a single image in figures: its level, correlation, and dependence on the intensity, by channel."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mashpix.refine.autocovariance import EVEN, FREQUENCY, SIDE, SLOW, mirror
from mashpix.refine.calm_blocks import (
    CALM_FRACTION,
    count_calm,
    measure_calm_noise,
    measure_spectrum,
    usable_coefficients,
)

CALM_FOR_PEAKS_FRACTION = 0.05
"""Fraction of the blocks, the calmest, in which lines and peaks of the spectrum are looked for."""

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
    coefficients = usable_coefficients(pixels, valid, clipped)
    if coefficients is None:
        return None
    calm = measure_calm_noise(coefficients)
    variance = np.array([table[0, 0] for table in calm.autocovariance]).clip(min=0)
    shares = variance / calm.usual.double().numpy()
    levels = tuple(
        np.stack([function.places, np.sqrt(share * np.array(function.values))], axis=1)
        for function, share in zip(calm.functions, shares, strict=True)
    )
    calmer = measure_spectrum(calm.scaled, calm.relative, CALM_FOR_PEAKS_FRACTION)
    calmer = calmer / calmer.mean(dim=1, keepdim=True)
    return NoiseLevel(
        sigma=np.sqrt(variance * calm.ratio.double().mean(dim=1).numpy()),
        correlation=np.stack([mirror(table / max(table[0, 0], 1e-30)).clip(-1, 1) for table in calm.autocovariance]),
        between=_between(calm.relative.sqrt() * coefficients.sign(), calm.relative),
        levels=levels,
        dependence=np.array([_dependence(values) for values in calm.ratio]),
        spectrum=calmer.double().numpy().reshape(-1, SIDE, SIDE),
        blocks=coefficients.shape[1],
    )


def _dependence(ratio: Tensor) -> float:
    """Ratio of the largest to the least variance (N,) of the blocks, without outliers."""
    low, high = ratio.double().quantile(0.05), ratio.double().quantile(0.95)
    return float(high / low)


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
