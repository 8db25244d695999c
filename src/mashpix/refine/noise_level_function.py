"""The noise level function of a single noisy image: var = a + b x, along the lower edge of measured levels.

The model is R2 of refining, `VarianceModel`; the estimator is another one, because there is no estimate of the clean
image here. `refine.variance_model` fits the residual of an estimate, which is mostly noise in every block, by least
squares. Here each level still holds its texture, which only ever adds: so the fitted line runs along the lower edge,
and is level unless a sloped one fits far better.
"""

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mashpix.refine.autocovariance import EVEN, FREQUENCY, SLOW
from mashpix.refine.variance_model import VarianceModel

N_LEVELS = 8
"""Levels of intensity at which the noise is compared."""
CALM_FRACTION = 0.05
"""Fraction of the blocks of one level, the calmest, that its noise is measured in."""
MIN_IN_LEVEL = 12
"""Least number of blocks that the noise of a level is measured in."""
WEIGHT_BELOW = 0.8
"""Weight of a level that holds less noise than the line, against 1 - WEIGHT_BELOW of one that holds more."""
MAX_LOSS_RATIO = 0.5
"""A sloped line is chosen where its loss is less than this fraction of that of a level one."""
MAX_LOSS = 0.1
"""And less than this: levels that scatter about it hold texture."""
MIN_RATIO = 0.05
"""Least variance of a level, against that of the calmest blocks."""

Array = NDArray[np.float64]


class NoiseLevelFunction(NamedTuple):
    """Variance against intensity of one channel: the levels as measured, and the line below them, R2 of refining."""

    places: list[float]
    values: list[float]
    line: VarianceModel

    def __call__(self, intensity: Tensor) -> Tensor:
        """Variance at an intensity, 1 that of the fitted spectrum; beyond the levels as at the last."""
        low, high = (min(self.places), max(self.places)) if self.places else (0.0, 0.0)
        return self.line.ratio(intensity.clamp(low, high))


def follow_intensity(intensity: Tensor, ratio: Tensor, relative: Tensor, share: Tensor) -> NoiseLevelFunction:
    """Fit the noise level function of one channel of a noisy image.

    Parameters
    ----------
    intensity, ratio : Tensor
        (N,) of the blocks: mean, and variance by the present function.
    relative : Tensor
        (N, K), squares of the coefficients against the present function, outliers capped.
    share : Tensor
        (K,), how much of the power of each coefficient is noise: it counts by the square of that.
    """
    weight = share.square() * (FREQUENCY > SLOW)
    low, high = intensity.quantile(0.01), intensity.quantile(0.99)
    index = ((intensity - low) / (high - low).clamp(min=1e-6) * N_LEVELS).long().clamp(0, N_LEVELS - 1)
    halves = [(relative @ (weight * half)) / (weight * half).sum().clamp(min=1e-12) for half in (EVEN, ~EVEN)]
    places, values = [], []
    for level in range(N_LEVELS):
        here = (index == level).nonzero()[:, 0]
        if len(here) < MIN_IN_LEVEL:
            continue
        count = max(int(CALM_FRACTION * len(here)), MIN_IN_LEVEL)
        place = value = 0.0
        for ranked, measured in (halves, halves[::-1]):
            calm = here[ranked[here].argsort()[:count]]
            value += float((measured[calm] * ratio[calm]).mean()) / 2
            place += float(intensity[calm].mean()) / 2
        places.append(place)
        values.append(max(value, 1e-6))
    offset, slope = _envelope(np.array(places), np.array(values))
    return NoiseLevelFunction(places, values, VarianceModel(offset, slope, floor=MIN_RATIO, ceiling=math.inf))


def _envelope(places: Array, values: Array) -> tuple[float, float]:
    """Offset and slope of the line along the lower edge of values: texture adds to the noise of a level.

    Of the lines through two of the points the one with the least loss, where levels below the line count more; a level
    line unless that loss is far smaller.
    """

    def loss(line: Array) -> float:
        excess = np.log(values / np.maximum(line, 1e-12))
        return float(np.where(excess < 0, -WEIGHT_BELOW * excess, (1 - WEIGHT_BELOW) * excess).mean())

    level = min(values, key=lambda value: loss(np.full_like(values, value)), default=1.0)
    best = float(level), 0.0
    least = min(MAX_LOSS_RATIO * loss(np.full_like(values, level)), MAX_LOSS) if len(values) else 0.0
    for first, second in combinations(range(len(places)), 2):
        if places[first] == places[second]:  # in images that repeat
            continue
        slope = (values[second] - values[first]) / (places[second] - places[first])
        offset = values[first] - slope * places[first]
        line = offset + slope * places
        if line.min() > 0 and loss(line) < least:
            best, least = (float(offset), float(slope)), loss(line)
    return best
