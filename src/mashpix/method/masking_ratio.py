"""Choose the masking ratio by the correlation of the noise: Eq. 8 to 10 of MASH, and a measurement of our own."""

import math
from collections.abc import Generator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.method.fitting import fit, new_network
from mashpix.method.network import UNet
from mashpix.method.predicting import predict
from mashpix.picture import Picture
from mashpix.refine.tuning import TUNED
from mashpix.report import Step
from mashpix.settings import NoiseEstimate, Settings
from mashpix.tiling import cut_blocks

GREY_LEVELS = 255
"""Grey levels of an 8-bit image: the unit of the published gaps."""
BLOCK = 16
"""Side in pixels of the blocks that correlation is measured in."""
MAX_BLOCKS = 4096
"""Number of blocks that are measured in a large image, about."""
FLAT_FRACTION = 0.2
"""Fraction of the blocks that are taken for flat."""


class Masking(NamedTuple):
    """The decision: the ratio, whether to shuffle, and the measurements behind it.

    `correlation` is that of neighbouring pixels in flat blocks. `noise_levels` holds the levels at the low and the
    high probe ratio (Eq. 8) in the units of the image, `gap` their distance (Eq. 9) in grey levels; both None
    where no probe was trained.
    """

    masking_ratio: float
    shuffle: bool
    correlation: float | None
    noise_levels: tuple[float, float] | None = None
    gap: float | None = None


def choose_masking(
    picture: Picture, *, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, Masking]:
    """Choose the masking ratio, and whether to shuffle, by the correlation of the noise (Eq. 8 to 10).

    As published, one network is trained at a low ratio and one at a high ratio, and the gap of their noise levels
    decides. The correlation of neighbours in flat blocks decides the same without training. A ratio in the settings
    takes precedence; flat regions are then shuffled if it is at least that of the high regime.
    """
    correlation = neighbour_correlation(picture)
    if settings.masking_ratio is not None:
        high = settings.masking_ratio >= settings.high_ratio
        return Masking(settings.masking_ratio, wants_shuffle(high, settings), correlation)
    if settings.choose_by == "correlation":
        levels, gap, thresholds = None, None, (settings.low_correlation, settings.high_correlation)
    else:
        levels, gap = yield from measure_gap(picture, settings=settings, generator=generator)
        thresholds = settings.low_gap, settings.high_gap
    ratio, high = choose_ratio((correlation or 0.0) if gap is None else gap, thresholds, settings=settings)
    return Masking(ratio, wants_shuffle(high, settings), correlation, levels, gap)


def measure_gap(
    picture: Picture, *, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, tuple[tuple[float, float], float]]:
    """Train a probe at a low and one at a high ratio: their noise levels in units of the image, and the gap (Eq. 9)."""
    levels, scaled = list[float](), list[float]()
    for ratio in (settings.low_probe_ratio, settings.high_probe_ratio):
        network = new_network(picture, settings=settings, generator=generator)
        yield from fit(
            network,
            picture,
            ratio,
            shuffle=False,
            steps=settings.probe_steps,
            stage=f"probe {ratio:g}",
            settings=settings,
            generator=generator,
        )
        stage = f"probe {ratio:g}: noise level"
        residual = yield from residual_of(network, picture, ratio, stage=stage, settings=settings, generator=generator)
        for found, values in ((scaled, residual), (levels, residual * picture.unit[:, None, None])):
            found.append(probe_residual_level(values, picture.valid, noise_estimate=settings.noise_estimate))
    return (levels[0], levels[1]), correlation_gap(*scaled)


def residual_of(
    network: UNet, picture: Picture, ratio: float, *, stage: str, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, Tensor]:
    """Predict, and return prediction minus noisy image, from the number of masks that Eq. 8 is estimated with."""
    masks = 1 if settings.noise_estimate == "one-pass" else settings.masks
    prediction = yield from predict(
        network, picture, ratio, masks=masks, stage=stage, settings=settings, generator=generator
    )
    return prediction.mean - picture.pixels


def probe_residual_level(residual: Tensor, valid: Tensor, *, noise_estimate: NoiseEstimate) -> float:
    """Noise level that a probe sees, in the units of its residual (Eq. 8): RMS ("one-pass") or deviation ("mean").

    Examples
    --------
    >>> residual = torch.tensor([[[[1.0, 3.0, 99.0]]]])
    >>> valid = torch.tensor([[[[True, True, False]]]])
    >>> round(probe_residual_level(residual, valid, noise_estimate="one-pass"), 3)
    2.236
    >>> probe_residual_level(residual, valid, noise_estimate="mean")
    1.0
    """
    values = residual[valid].double()
    if noise_estimate == "mean":
        values = values - values.mean()
    return float(values.square().mean().sqrt())


def correlation_gap(low_level: float, high_level: float) -> float:
    """Distance in grey levels of the noise levels, fractions of the value range, that the two probes see (Eq. 9).

    Examples
    --------
    >>> round(correlation_gap(0.05, 0.06), 2)
    2.55
    """
    return abs(high_level - low_level) * GREY_LEVELS


def choose_ratio(evidence: float, thresholds: tuple[float, float], *, settings: Settings) -> tuple[float, bool]:
    """Masking ratio for a gap or a correlation, and whether that is the high regime (Eq. 10).

    Examples
    --------
    >>> [choose_ratio(gap, (1.0, 2.0), settings=Settings()) for gap in (1.0, 1.5, 2.5)]
    [(0.1, False), (0.5, False), (0.9, True)]
    """
    low, high = thresholds
    if evidence <= low:
        return settings.low_ratio, False
    if evidence <= high:
        return settings.medium_ratio, False
    return settings.high_ratio, True


def wants_shuffle(high_regime: bool, settings: Settings) -> bool:
    """Whether flat regions of the target are shuffled: by default in the high regime only."""
    return settings.shuffle == "always" or (settings.shuffle == "auto" and high_regime)


def neighbour_correlation(picture: Picture) -> float | None:
    """Correlation of vertically and horizontally neighbouring pixels in the flattest blocks: there, all is noise.

    From each block of 16 x 16 pixels its plane is subtracted; the fifth of them with the least variance left are
    scaled to unit variance, and the products of neighbours averaged over blocks, directions and channels. It is about
    0 for white noise, 0.3 for Eq. 2 at beta 0.5, 0.56 at beta 1 (less than the true correlation, since the plane takes
    the slowest part of the noise along); None for an image without a single usable block.

    Examples
    --------
    >>> pixels = torch.randn((1, 1, 128, 128), generator=torch.Generator().manual_seed(0))
    >>> picture = Picture(pixels, torch.ones_like(pixels, dtype=torch.bool), torch.ones(1))
    >>> abs(neighbour_correlation(picture)) < 0.05
    True
    """
    height, width = picture.pixels.shape[2:]
    stride = max(BLOCK // 2, math.isqrt(height * width // MAX_BLOCKS))
    products = []
    for pixels, valid in zip(picture.pixels[0], picture.valid[0], strict=True):
        blocks = cut_blocks(pixels, BLOCK, stride)[cut_blocks(valid, BLOCK, stride).all(dim=1)]
        blocks = blocks - (blocks @ _plane(blocks)) @ _plane(blocks).T
        variance = blocks.square().mean(dim=1)
        structured = variance > TUNED.min_block_variance
        if not structured.any():
            continue
        blocks, variance = blocks[structured], variance[structured]
        flattest = variance <= variance.quantile(FLAT_FRACTION)
        noise = (blocks[flattest] / variance[flattest, None].sqrt()).reshape(-1, BLOCK, BLOCK)
        products += [(noise[:, 1:] * noise[:, :-1]).mean(), (noise[:, :, 1:] * noise[:, :, :-1]).mean()]
    return float(torch.stack(products).mean()) if products else None


def _plane(like: Tensor) -> Tensor:
    """Orthonormal basis of the planes over a block, (BLOCK * BLOCK, 3)."""
    axis = torch.linspace(-1, 1, BLOCK, dtype=like.dtype, device=like.device)
    planes = torch.stack(
        [torch.ones(BLOCK, BLOCK, dtype=like.dtype, device=like.device), *torch.meshgrid(axis, axis, indexing="ij")]
    )
    return F.normalize(planes.flatten(1)).T
