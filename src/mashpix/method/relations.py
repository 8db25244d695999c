"""Which channels of an image help to predict one another: one network serves those, unrelated ones get one each.

A network that sees several unrelated channels has to learn each of them with the updates of one, and the channels lose
by it. Whether a channel helps is measured before any fit: a pixel is predicted linearly from its own neighbours, and
once more with the pixels of the other channel as well. Ours; the limit was chosen by the measurements in
docs/experiments.md.
"""

import math

import torch
from torch import Tensor

from mashpix.picture import Picture
from mashpix.settings import Settings

REACH = 2
"""Largest distance along an axis of a neighbour, pixels."""
MIN_GAIN = 0.04
"""Fraction of the squared error that another channel has to take away to count as related."""
MIN_GAIN_BY_CHANCE = 30.0
"""The same times the number of pixels: about four times what chance takes away."""
MAX_PIXELS = 2**16
"""Number of pixels that are measured, about."""
MIN_PIXELS = 64
"""With fewer pixels there is no decision, and all channels are taken for related."""

Groups = tuple[tuple[int, ...], ...]
"""Numbers of the channels of each group, ascending, every channel once."""


def group_channels(picture: Picture, *, settings: Settings) -> Groups:
    """Group the channels of an image: those in one group help to predict each other, directly or through others.

    The colours of one scene stay together, and so do the channels with the published presets, as published.
    """
    channels = picture.pixels.shape[1]
    if channels == 1 or picture.is_rgb or not settings.refine:
        return (tuple(range(channels)),)
    gains, pixels = measure_gains(picture)
    related = gains >= max(MIN_GAIN, MIN_GAIN_BY_CHANCE / max(pixels, 1))
    if pixels < MIN_PIXELS:
        related = torch.ones_like(related)
    group = list(range(channels))
    for first, second in related.nonzero().tolist():
        low, high = sorted((group[first], group[second]))
        group = [low if number == high else number for number in group]
    return tuple(tuple(index for index in range(channels) if group[index] == number) for number in sorted(set(group)))


@torch.no_grad()
def measure_gains(picture: Picture) -> tuple[Tensor, int]:
    """Measure how much each channel helps to predict another, and the number of pixels that was measured in.

    The gains (C, C), float64, are the fraction by which the mean squared error of channel i falls if channel j is seen
    as well, 0 on the diagonal. For channels of independent noise and content they are about 6 over that number.
    """
    usable = _sample(picture.valid[0].all(dim=0)[None]).all(dim=0).all(dim=0)
    gains = torch.zeros((len(picture.unit),) * 2, dtype=torch.float64)
    if not usable.any():
        return gains, 0
    features = torch.cat([_features(plane, usable) for plane in picture.pixels[0]], dim=1)
    products, each = (features.T @ features).cpu(), features.shape[1] // len(gains)
    for target in range(len(gains)):
        pixel, *around = range(target * each, (target + 1) * each)
        left = _left_over(products, pixel, around)
        for other in range(len(gains)):
            if other != target and left > 0:
                more = [*around, *range(other * each, (other + 1) * each)]
                gains[target, other] = 1 - _left_over(products, pixel, more) / left
    return gains, int(usable.sum())


def _sample(planes: Tensor) -> Tensor:
    """All pixels within REACH of some pixels, on a regular grid of about MAX_PIXELS: (offsets, N, pixels)."""
    height, width = planes.shape[1:]
    stride = max(1, math.isqrt(height * width // MAX_PIXELS))
    shifts = range(2 * REACH + 1)
    return torch.stack(
        [
            planes[:, down : height - 2 * REACH + down : stride, right : width - 2 * REACH + right : stride].flatten(1)
            for down in shifts
            for right in shifts
        ]
    )


def _features(plane: Tensor, usable: Tensor) -> Tensor:
    """The pixel and the mean of its neighbours at each distance, less their means: (pixels, distances), float64."""
    around = _sample(plane[None])[:, 0, usable].double()
    offset = torch.arange(-REACH, REACH + 1)
    distance = (offset[:, None].square() + offset.square()).flatten()
    rings = torch.stack([around[distance == size].mean(dim=0) for size in sorted(set(distance.tolist()))], dim=1)
    return rings - rings.mean(dim=0)


def _left_over(products: Tensor, target: int, features: list[int]) -> float:
    """Sum of squares of a feature after least squares on some others, from the products of all."""
    shared = products[features, target]
    weights = torch.linalg.pinv(products[features][:, features], hermitian=True) @ shared
    return float(products[target, target] - shared @ weights)
