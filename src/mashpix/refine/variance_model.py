"""Relation R2: how the variance of noise follows the brightness, fitted to the residual of an estimate.

The affine noise level function of a sensor, var = offset + slope * brightness (Foi et al., "Practical
Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE TIP 2008), and its estimator where an
estimate of the clean image is at hand. Its residual is mostly noise already, in flat and in textured blocks alike, so
least squares through the calmest blocks of each level do. `refine.noise_level_function` fits the same model
to a noisy image alone, where texture is still in every block: there the line runs along the lower edge of the levels.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from mashpix.refine.colour import low_texture
from mashpix.refine.tuning import TUNED, RefineSettings


class VarianceModel(NamedTuple):
    """Variance v(b) of noise at a brightness b: offset + slope * b, never below `floor`.

    It is relative: v = 1 is the variance of the noise in the blocks that its spectrum was measured in. It stays
    between 1 / `ceiling` and `ceiling`.
    """

    offset: float
    slope: float
    floor: float
    ceiling: float = TUNED.max_variance_ratio

    def ratio(self, brightness: Tensor) -> Tensor:
        """Variance v at each brightness, a tensor of the same shape."""
        variance = self.offset + self.slope * brightness
        return variance.clamp(min=self.floor).clamp(1 / self.ceiling, self.ceiling)


CONSTANT = VarianceModel(offset=1.0, slope=0.0, floor=1.0)
"""Noise that is the same at any brightness."""


def between(values: Tensor, quantiles: tuple[float, float]) -> Tensor:
    """Select the values (N,) between two of their quantiles."""
    low, high = quantiles
    return (values >= values.quantile(low)) & (values <= values.quantile(high))


def depends_on_brightness(
    brightness: Tensor, variation: Tensor, residual_variance: Tensor, *, tuning: RefineSettings = TUNED
) -> bool:
    """Whether the noise of RGB follows the brightness. Arguments: (N,), one value per block, and (C, N).

    Texture that the estimate missed may be stronger in bright or in dark places, but it has little colour. So where
    the noise of the opponent colours is the same everywhere, all noise is; where they hold too little noise to decide,
    noise is taken to follow the brightness.
    """
    colour = low_texture(residual_variance, is_rgb=True).sum(dim=0)
    if colour.median() <= tuning.min_colour_noise * residual_variance[0].median():
        return True
    ratio = fit_variance_model(brightness, variation, colour, tuning=tuning).ratio(brightness)
    low, high = tuning.range_quantiles
    return bool(ratio.quantile(high) >= tuning.min_colour_range * ratio.quantile(low))


def fit_variance_model(
    brightness: Tensor, variation: Tensor, residual_variance: Tensor, *, tuning: RefineSettings = TUNED
) -> VarianceModel:
    """Fit R2 by least squares to the calmest flat blocks of each level of brightness.

    Weighted by one over the variance, since the standard error of a variance grows with it. Arguments: (N,), one value
    per block: mean brightness and variance of the estimate, variance of its residual.
    """
    levels = _measure_levels(brightness, variation, residual_variance, tuning=tuning)
    places, values = (np.array(column) for column in levels)
    if len(places) < 2 or values.min() <= 0:
        return CONSTANT
    design = np.stack([1 / values, places / values], axis=1)
    (offset, slope), *_ = np.linalg.lstsq(design, np.ones_like(values))
    floor = float(values.min() * tuning.floor_of_levels)
    flat = brightness[between(variation, tuning.flat_quantiles)].mean()
    usual = max(float(float(offset) + float(slope) * flat), floor)
    return VarianceModel(float(offset) / usual, float(slope) / usual, floor / usual, tuning.max_variance_ratio)


def _measure_levels(
    brightness: Tensor, variation: Tensor, residual_variance: Tensor, *, tuning: RefineSettings
) -> tuple[list[float], list[float]]:
    """Brightness of each level, and the variance of the residual in its calmest flat blocks."""
    low, high = (brightness.quantile(quantile) for quantile in tuning.level_quantiles)
    index = ((brightness - low) / (high - low) * tuning.n_levels).long().clamp(0, tuning.n_levels - 1)
    places, values = [], []
    for level in range(tuning.n_levels):
        here = index == level
        if here.sum() < tuning.min_in_level:
            continue
        here &= variation <= variation[here].quantile(tuning.flat_in_level)
        here &= residual_variance <= residual_variance[here].quantile(tuning.calm_in_level)
        places.append(float(brightness[here].mean()))
        values.append(float(residual_variance[here].median()))
    return places, values
