"""Put prediction and picture together: what stands out of the measured noise spectrum comes back from the picture.

The network never sees a pixel's own value, so its prediction p of the noisy picture y loses fine detail. What it
lost is in the residual y - p, together with all the noise. In flat blocks the residual is noise alone: there the
spectrum of the noise is measured, for each coefficient of a 16 x 16 cosine transform, correlated or white as it may be,
and with it how the noise grows with the brightness. Then, in overlapping blocks and an opponent colour space:

    1. h = the coefficients of y above `threshold` times the noise's deviation
    2. w = Wiener(y), its signal taken from the mean of h and p
    3. result = p + Wiener(y - p), its signal taken from w - p

Except in RGB, the mean of each block of the result is that of y: intensities are kept.

Shrinkage of overlapping cosine transforms is that of Yu and Sapiro, "DCT image denoising", IPOL 2011; an empirical
Wiener step behind a thresholding step is that of BM3D (Dabov et al., IEEE TIP 2007); step 3 is ours.
"""

import math
from collections.abc import Generator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.images import Picture
from mashpix.report import Step
from mashpix.settings import Settings
from mashpix.tiling import Tile, cut_blocks, tile_count, tiles

SIDE = 16
"""Side in pixels of the transformed blocks."""
STEP = 4
"""Distance in pixels of two blocks."""
CONTEXT = 3 * SIDE
"""Pixels that the three shrinkages reach beyond a tile."""
FLATTEST = 0.2
"""Fraction of the blocks whose residual is taken for noise: those in which the prediction varies least."""
CALMEST = 0.3
"""Fraction of the flattest blocks, and of those with the least residual among them, that hold that noise to bounds."""
MOST_EXCESS = 1.25
"""How far the noise of the flattest blocks may lie above that of the calmest ones."""
MEDIAN_SQUARE = 0.4549
"""Median of the square of a standard normal variable."""
BRIGHTNESS_BINS = 8
"""Levels of brightness at which the noise is compared."""
CALMEST_IN_BIN = 0.1
"""Fraction of the flat blocks of one level, those with the least residual, that stand for its noise."""
LEAST_IN_BIN = 20
"""Blocks without which a level says nothing."""
MOST_RATIO = 20.0
"""How far the variance of the noise may differ from that in the flattest blocks."""
LEAST_VARIANCE = 1e-10
"""Variance, on the network's scale, below which a block holds no noise at all: black borders, clipping."""
MOST_BLOCKS = 16_384
"""About how many blocks the spectrum is measured in."""
WEIGHT_FLOOR = 0.01
"""Least noise that a block is taken to keep when blocks are averaged, as a fraction of what it held."""


class Law(NamedTuple):
    """How the variance of the noise follows the brightness: offset + slope * brightness, but never below `least`.

    That is the law of a sensor (Foi et al., IEEE TIP 2008); 1 is the variance in the flattest blocks.
    """

    offset: float
    slope: float
    least: float

    def ratio(self, brightness: Tensor) -> Tensor:
        """Variance at a brightness."""
        ratio = (self.offset + self.slope * brightness).clamp(min=self.least)
        return ratio.clamp(1 / MOST_RATIO, MOST_RATIO)


class Noise(NamedTuple):
    """Noise of a picture: the deviation of each coefficient where the law is 1, (C, 256, 1), and the law."""

    deviation: Tensor
    law: Law


class Transform(NamedTuple):
    """Orthonormal matrices: cosine transform of a block (256, 256), and of the channels (C, C)."""

    blocks: Tensor
    channels: Tensor


def refine(picture: Picture, prediction: Tensor, *, settings: Settings) -> Generator[Step, None, Tensor]:
    """Bring the detail back that a prediction lost, as far as it stands out of the measured noise.

    Parameters
    ----------
    picture : Picture
        The noisy picture; its sides are multiples of 16.
    prediction : Tensor
        (1, C, H, W): mean of the network's predictions.

    Yields
    ------
    Step
        One per tile; the generator returns the refined picture (1, C, H, W), which is the prediction itself where no
        block of the picture is fit to measure the noise in.
    """
    low, high = picture.pixels[picture.valid].min(), picture.pixels[picture.valid].max()
    predicted = prediction[0].clamp(low, high)
    observed = torch.where(picture.valid[0], picture.pixels[0], predicted)
    transform = _make_transform(predicted)
    observed, predicted = (torch.tensordot(transform.channels, pixels, dims=1) for pixels in (observed, predicted))
    usable = picture.valid[0].all(dim=0)
    noise = measure_noise(observed - predicted, predicted, usable, transform=transform)
    if noise is None:
        return prediction
    refined = torch.empty_like(predicted)
    height, width = usable.shape
    tile_size = -(-settings.tile_size // SIDE) * SIDE
    count = tile_count(height, width, tile_size=tile_size)
    for index, tile in enumerate(tiles(height, width, tile_size=tile_size, context=CONTEXT)):
        _refine_tile(observed, predicted, noise, refined, tile, transform=transform, threshold=settings.threshold)
        yield Step("refine", index + 1, count)
    restored: Tensor = torch.tensordot(transform.channels.T, refined, dims=1)
    return restored[None]


def measure_noise(residual: Tensor, predicted: Tensor, usable: Tensor, *, transform: Transform) -> Noise | None:
    """Measure the noise in the residual of a prediction; None without a block to measure it in.

    The deviation of a coefficient is its root mean square in the flattest blocks of the prediction. Where a
    prediction is flat because it missed all texture, that is far too much: so it is held to what the median of
    the calmest among those blocks shows.

    Parameters
    ----------
    residual, predicted : Tensor
        (C, H, W), channels transformed.
    usable : Tensor
        Bool (H, W); blocks with an unusable pixel are left out.
    """
    stride = max(STEP, math.isqrt(usable.numel() // MOST_BLOCKS))
    whole = cut_blocks(usable, SIDE, stride).all(dim=1)
    if not whole.any():
        return None
    noise, structure = (
        torch.stack([cut_blocks(plane, SIDE, stride)[whole] for plane in pixels]) for pixels in (residual, predicted)
    )
    varies = (noise + structure).var(dim=2).sum(dim=0) > LEAST_VARIANCE
    if not varies.any():
        return None
    noise, structure = noise[:, varies], structure[:, varies]
    variation, unrest = (blocks.var(dim=2).sum(dim=0) for blocks in (structure, noise))
    flat, calm = (variation <= variation.quantile(fraction) for fraction in (FLATTEST, CALMEST))
    law = _follow_brightness(_brightness(structure.mean(dim=2)), variation, unrest, flat)
    calm &= unrest <= unrest[calm].quantile(CALMEST)
    mean = (noise[:, flat] @ transform.blocks.T).square().mean(dim=1)
    median = (noise[:, calm] @ transform.blocks.T).square().median(dim=1).values / MEDIAN_SQUARE
    return Noise(torch.minimum(mean.sqrt(), MOST_EXCESS * median.sqrt())[..., None], law)


def _follow_brightness(brightness: Tensor, variation: Tensor, unrest: Tensor, flat: Tensor) -> Law:
    """The law of a sensor, var = a + b x, through the calmest flat blocks of each level of brightness.

    Weighted, since the deviation of a variance grows with it. Arguments are (N,), one value a block.
    """
    low, high = brightness.quantile(0.01), brightness.quantile(0.995)
    level = ((brightness - low) / (high - low) * BRIGHTNESS_BINS).long().clamp(0, BRIGHTNESS_BINS - 1)
    places, values = [], []
    for index in range(BRIGHTNESS_BINS):
        here = level == index
        if here.sum() < LEAST_IN_BIN:
            continue
        here &= variation <= variation[here].quantile(CALMEST)
        here &= unrest <= unrest[here].quantile(CALMEST_IN_BIN)
        places.append(float(brightness[here].mean()))
        values.append(float(unrest[here].median()))
    if len(places) < 2 or min(values) <= 0:
        return Law(1.0, 0.0, 1.0)
    place, value = np.array(places), np.array(values)
    (offset, slope), *_ = np.linalg.lstsq(np.stack([1 / value, place / value], axis=1), np.ones_like(value))
    law = Law(float(offset), float(slope), float(value.min() / 2))
    usual = float(law.offset + law.slope * brightness[flat].mean())
    return Law(*(number / max(usual, law.least) for number in law))


def _brightness(channels: Tensor) -> Tensor:
    """Brightness (N,) from channel means (C, N): the first of the transformed RGB channels, else the mean."""
    return channels[0] if channels.shape[0] == 3 else channels.mean(dim=0)


def _refine_tile(
    observed: Tensor,
    predicted: Tensor,
    noise: Noise,
    refined: Tensor,
    tile: Tile,
    *,
    transform: Transform,
    threshold: float,
) -> None:
    """Steps 1 to 3 on one tile and its context."""
    top, bottom, left, right = tile.read
    observed, predicted = observed[:, top:bottom, left:right], predicted[:, top:bottom, left:right]
    size = (bottom - top, right - left)
    y, p = (_analyse(pixels, transform) for pixels in (observed, predicted))
    brightness = _brightness(p[:, 0] / SIDE)  # the first coefficient is the mean times SIDE
    variance = noise.deviation.square() * noise.law.ratio(brightness)
    keep = (y.square() > threshold**2 * variance).to(y.dtype)
    h = _synthesise(y, _keep_mean(keep), variance, size, transform)
    w = _synthesise(y, _keep_mean(_wiener((_analyse(h, transform) + p) / 2, variance)), variance, size, transform)
    detail = _wiener(_analyse(w, transform) - p, variance)
    if len(detail) != 3:  # values that are measurements keep their local mean; the blotches of RGB have to go
        _keep_mean(detail)
    result = predicted + _synthesise(y - p, detail, variance, size, transform)
    kept = tile.keep
    rows, columns = slice(kept[0] - top, kept[1] - top), slice(kept[2] - left, kept[3] - left)
    refined[:, kept[0] : kept[1], kept[2] : kept[3]] = result[:, rows, columns]


def _wiener(signal: Tensor, variance: Tensor) -> Tensor:
    """Gain of each coefficient: energy of the signal over that of signal and noise."""
    energy = signal.square()
    return energy / (energy + variance).clamp(min=torch.finfo(energy.dtype).tiny)


def _keep_mean(gain: Tensor) -> Tensor:
    """Let the mean of each block through, its first coefficient."""
    gain[:, 0] = 1
    return gain


def _analyse(pixels: Tensor, transform: Transform) -> Tensor:
    """Coefficients (C, 256, N) of all blocks of (C, H, W)."""
    return transform.blocks @ F.unfold(pixels[:, None], SIDE, stride=STEP)


def _synthesise(
    coefficients: Tensor, gain: Tensor, variance: Tensor, size: tuple[int, int], transform: Transform
) -> Tensor:
    """Pixels (C, H, W) from shrunk coefficients; blocks that keep less noise count more where they overlap."""
    kept = (gain.square() * variance).sum(dim=1, keepdim=True)
    held = variance.sum(dim=1, keepdim=True).clamp(min=torch.finfo(variance.dtype).tiny)
    weight = 1 / (kept / held + WEIGHT_FLOOR)
    blocks = transform.blocks.T @ (coefficients * gain)
    total = F.fold(blocks * weight, size, SIDE, stride=STEP)
    return (total / F.fold(weight.expand_as(blocks), size, SIDE, stride=STEP))[:, 0]


def _make_transform(like: Tensor) -> Transform:
    """The transforms for (C, H, W), on its device: RGB becomes brightness and two opponent colours."""
    cosine = cosine_matrix(SIDE)
    channels = cosine_matrix(3) if like.shape[0] == 3 else torch.eye(like.shape[0])
    return Transform(torch.kron(cosine, cosine).to(like), channels.to(like))


def cosine_matrix(size: int) -> Tensor:
    """Orthonormal discrete cosine transform (type 2) of vectors of a size, (size, size).

    Examples
    --------
    >>> cosine_matrix(2)
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]])
    """
    place = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(torch.pi / size * (place[None, :] + 0.5) * place[:, None]) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.float()
