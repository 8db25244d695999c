"""Signal in the residual: the error of a shift, and detail that a blur removed."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, gaussian_filter

from mashpix.refine.colour import brightness
from mashpix.refine.residual_noise import NoiseModel
from mashpix.tiling import window_sums
from mashpix.trust.whitened_residual import SIDE, ScaledPair

FINE, COARSE = 1.0, 2.0
"""Deviations in pixels of the Gaussians whose difference is the detail that a blurred image lacks."""
DERIVATIVE = 1.0
"""Deviation in pixels of the Gaussian whose derivatives a shift is measured with."""
RICH_FRACTION = 0.05
"""Fraction of the windows, those that hold most, that missing detail and what a shift changes are measured in."""
MARGIN = 6
"""Distance in pixels from a hole up to which nothing is compared."""
MIN_ERROR = 1e-6
"""Least standard error of a mean, in noise levels: keeps ratios finite."""


def measure_signal(residual: torch.Tensor, both: ScaledPair, noise: NoiseModel) -> dict[str, float]:
    """Measure the error of a shift and the detail lost to a blur by regression of the residual on the image."""
    picture, missed = (brightness(planes, is_rgb=both.is_rgb).numpy() for planes in (both.denoised, residual))
    weight = (1 / noise.variance_model.ratio(noise.brightness(both.denoised))).numpy()
    weight = weight * (binary_erosion(both.usable.numpy(), iterations=MARGIN, border_value=1))
    power = float(noise.psd[: 1 if both.is_rgb else None, 1:].mean())
    sigma = max(power**0.5, np.finfo(float).tiny)
    return _measure_shift(picture, missed, weight, sigma) | _measure_detail(picture, missed, weight, sigma)


def _measure_shift(picture: NDArray[Any], missed: NDArray[Any], weight: NDArray[Any], sigma: float) -> dict[str, float]:
    """Regression of the residual on the slopes and the sharpness of the image: its displacement in pixels."""
    smooth = gaussian_filter(picture, DERIVATIVE)
    slopes = np.gradient(smooth)
    sharpness = -sum(np.gradient(slope, axis=axis) for axis, slope in enumerate(slopes))
    features = (*slopes, sharpness)
    products = np.array([[np.vdot(weight * a, b) for b in features] for a in features], dtype=np.float64)
    answers = np.array([np.vdot(weight * a, missed) for a in features], dtype=np.float64)
    shift = np.linalg.lstsq(products, answers, rcond=None)[0][:2]
    moved = sum(step * slope for step, slope in zip(shift, slopes, strict=True))
    energy = window_sums(weight * moved * moved, SIDE)
    return {
        "displacement": float(np.hypot(*shift)),
        "displacement_error": max(_in_errors(slope, missed, weight) for slope in slopes),
        "displacement_level": float(np.sqrt(energy[_richest(energy)].mean()) / (SIDE * sigma)),
    }


def _in_errors(feature: NDArray[Any], missed: NDArray[Any], weight: NDArray[Any]) -> float:
    """Slope of a regression in its standard errors; windows are the independent samples."""
    above, below = (window_sums(weight * feature * other, SIDE) for other in (missed, feature))
    if not below.sum() > 0:
        return 0.0
    rest = above - above.sum() / below.sum() * below
    error = max(float(np.sqrt(np.square(rest).sum())), MIN_ERROR * float(np.abs(above).sum()), np.finfo(float).tiny)
    return float(abs(above.sum()) / error)


def _measure_detail(
    picture: NDArray[Any], missed: NDArray[Any], weight: NDArray[Any], sigma: float
) -> dict[str, float]:
    """Regression of the residual on the detail of the image, in the windows that hold most of it."""
    detail = gaussian_filter(picture, FINE) - gaussian_filter(picture, COARSE)
    missed = gaussian_filter(missed, FINE)
    pairs = (detail, missed), (detail, detail), (missed, missed)
    shared, own, other = (window_sums(weight * one * two, SIDE) for one, two in pairs)
    richest = _richest(own)
    common, left, right = (float(values[richest].sum()) for values in (shared, own, other))
    if not (left > 0 and right > 0):
        return dict.fromkeys(("missing_detail", "missing_detail_level", "signal_correlation"), 0.0)
    level = common / (np.sqrt(left * len(richest)) * SIDE * sigma)
    return {
        "missing_detail": common / left,
        "missing_detail_level": float(level),
        "signal_correlation": float(common / np.sqrt(left * right)),
    }


def _richest(energy: NDArray[Any]) -> NDArray[np.intp]:
    """Select the windows that hold most."""
    return energy.argsort()[-max(4, int(RICH_FRACTION * energy.size)) :]
