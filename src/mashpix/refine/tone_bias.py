"""Relations R11 to R14: the bias that a camera's tone curve gives to noise, measured in a finished result and undone.

Noise is symmetric in linear light. A concave tone curve stretches what is below a value more than what is above it, so
the mean of the noisy values is too dark; clipping at black works the other way round. Averages of noisy pixels, and so
denoised images, inherit that bias: on dark photos it is most of the error that is left. The inverse of the mean undoes
it: Foi, "Clipped noisy images: heteroskedastic modeling and practical denoising", Signal Processing 89, 2009; Makitalo
and Foi, "Optimal inversion of the generalized Anscombe transformation", IEEE TIP 22, 2013. Measuring the noise before
the curve in the result, and asking the skewness whether there is such a curve, are ours.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.refine.tuning import TUNED, RefineSettings

Array = NDArray[Any]

GRID = np.linspace(0.0, 1.0, 65)
"""Tones, 0 black to 1 white, at which the moments of R12 are tabulated; interpolated between them."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
"""Gauss-Hermite quadrature: the means over a standard normal variable, up to the sum of the weights."""
STARTS = (-3.0, -3.0), (-4.5, -2.2)
"""Decimal logarithms of a and b that the fit of R12 starts from: noise of the electronics, and of light."""


def tone_curve(linear: Array) -> Array:
    """g of R11: the tone curve of sRGB (IEC 61966-2-1), 0 to 1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


LINEAR = np.where(GRID <= 0.04045, GRID / 12.92, ((GRID + 0.055) / 1.055) ** 2.4)
"""The linear light u of each tone of GRID."""


class Moments(NamedTuple):
    """R12: mean, variance and third central moment of noisy tones, at each tone of GRID."""

    mean: Array
    variance: Array
    third: Array


ToneBias = tuple[Moments, ...]
"""The bias of the noise of a photo: the moments of each channel."""


def predict_moments(offset: float, slope: float) -> Moments:
    """R11 and R12: moments of y = g(clip(u + n, 0, 1)) with n normal, of variance offset + slope u."""
    weights = WEIGHTS / WEIGHTS.sum()
    noisy = tone_curve(np.clip(LINEAR[:, None] + np.sqrt(offset + slope * LINEAR)[:, None] * NODES, 0, 1))
    mean = noisy @ weights
    deviation = noisy - mean[:, None]
    return Moments(np.maximum.accumulate(mean), deviation**2 @ weights, deviation**3 @ weights)


def find_tone_bias(
    noisy: Array, denoised: Array, *, unbiased: bool = False, tuning: RefineSettings = TUNED
) -> ToneBias | None:
    """R12 and R13: measure the bias; None where the residual does not show it.

    noisy, denoised : (C, N), tones of 0 black to 1 white
    unbiased : whether the result counts as free of the bias already, rather than as a mean of noisy tones
    """
    if noisy.shape[1] < tuning.n_tone_levels * tuning.min_in_tone_level:
        return None
    levels = [_measure_levels(*pair, count=tuning.n_tone_levels) for pair in zip(noisy, denoised, strict=True)]
    fits = [_fit(tones, variance, unbiased=unbiased) for tones, variance, _ in levels]
    predicted = [
        np.interp(tones, GRID if unbiased else moments.mean, moments.third)
        for (moments, _), (tones, *_) in zip(fits, levels, strict=True)
    ]
    expected, measured = np.concatenate(predicted), np.concatenate([third for *_, third in levels])
    skewness = expected @ measured / max(expected @ expected, np.finfo(float).tiny)
    low, high = tuning.skewness_limits
    shown = np.median([misfit for _, misfit in fits]) <= tuning.max_tone_misfit and low <= skewness <= high
    return tuple(moments for moments, _ in fits) if shown else None


def remove_tone_bias(denoised: Array, found: ToneBias, *, tuning: RefineSettings = TUNED) -> Array:
    """R14: the tones (C, ...) whose noisy means are those of a result; where they are darker, half way to them."""
    change = np.stack([np.interp(x, m.mean, GRID) - x for x, m in zip(denoised, found, strict=True)])
    return np.asarray(denoised + np.where(change < 0, tuning.black_share, 1) * change)


def expected_bias(unbiased: Array, found: ToneBias, *, tuning: RefineSettings = TUNED) -> Array:
    """Mean of the noise at the tones (C, ...) that R14 gives."""
    bias = np.stack([np.interp(x, GRID, m.mean - GRID) for x, m in zip(unbiased, found, strict=True)])
    return np.asarray(np.where(bias > 0, tuning.black_share, 1) * bias)


def _measure_levels(noisy: Array, denoised: Array, *, count: int) -> tuple[Array, Array, Array]:
    """Mean tone, and variance and third moment of the residual, in levels of equally many pixels."""
    rows = []
    for part in np.array_split(denoised.argsort(kind="stable"), count):
        residual = noisy[part] - denoised[part]
        deviation = residual - residual.mean()
        rows.append((denoised[part].mean(), np.mean(deviation**2), np.mean(deviation**3)))
    tones, variance, third = np.array(rows).T
    return tones, variance, third


def _fit(tones: Array, variance: Array, *, unbiased: bool) -> tuple[Moments, float]:
    """R12: the moments whose variance at the tones is nearest to the measured one, and their misfit."""
    from scipy.optimize import minimize

    target = np.log(np.maximum(variance, np.finfo(float).tiny))

    def misfit(logarithms: Array) -> float:
        moments = predict_moments(*10**logarithms)
        fitted = np.interp(tones, GRID if unbiased else moments.mean, moments.variance)
        return float(np.mean((np.log(np.maximum(fitted, np.finfo(float).tiny)) - target) ** 2))

    options = {"xatol": 0.01, "fatol": 1e-5, "maxiter": 150}
    fits = [minimize(misfit, np.array(start), method="Nelder-Mead", options=options) for start in STARTS]
    best = min(fits, key=lambda found: float(found.fun))
    return predict_moments(*10**best.x), float(best.fun)
