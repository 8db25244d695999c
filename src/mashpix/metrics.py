"""PSNR and SSIM as scikit-image defines them; the data range is always given."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from mashpix.errors import InputError, UsageError

WINDOW = 7
"""Side in pixels of the uniform window of the SSIM."""
K1, K2 = 0.01, 0.03
"""Stabilising constants of Wang et al. (2004), as fractions of the data range."""


def psnr(clean: NDArray[Any], denoised: NDArray[Any], *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB, over all pixels and channels together.

    Parameters
    ----------
    clean, denoised : ndarray
        Images of one shape, any numeric dtype.
    data_range : float
        Distance from black to white, in the units of the pictures.

    Returns
    -------
    float
        Infinite for equal pictures.

    Raises
    ------
    InputError
        If the shapes differ.
    UsageError
        If `data_range` is not positive.

    Examples
    --------
    >>> clean = np.zeros((8, 8))
    >>> round(psnr(clean, clean + 25.5, data_range=255), 6)
    20.0
    """
    _check(clean, denoised, data_range)
    error = np.mean(np.square(clean.astype(np.float64) - denoised.astype(np.float64)))
    return float(10 * np.log10(data_range**2 / error)) if error > 0 else float("inf")


def ssim(clean: NDArray[Any], denoised: NDArray[Any], *, data_range: float, channel_axis: int | None = None) -> float:
    """Structural similarity (Wang et al., 2004): 7 x 7 uniform window, sample covariance, mean over the channels.

    Parameters
    ----------
    clean, denoised : ndarray
        Images of one shape, any numeric dtype, both sides at least 7 pixels.
    data_range : float
        Distance from black to white, in the units of the pictures.
    channel_axis : int or None
        Axis of the channels; None for a grey picture.

    Returns
    -------
    float
        1 for equal pictures.

    Raises
    ------
    InputError
        If the shapes differ or a side is too short.
    UsageError
        If `data_range` is not positive.

    Examples
    --------
    >>> clean = np.arange(64.0).reshape(8, 8)
    >>> ssim(clean, clean, data_range=255)
    1.0
    """
    _check(clean, denoised, data_range)
    if channel_axis is not None:
        pairs = zip(np.moveaxis(clean, channel_axis, 0), np.moveaxis(denoised, channel_axis, 0), strict=True)
        return float(np.mean([ssim(x, y, data_range=data_range) for x, y in pairs]))
    if min(clean.shape) < WINDOW:
        raise InputError(f"too small for the SSIM (shape {clean.shape}; sides of at least {WINDOW} pixels)")
    x, y = clean.astype(np.float64), denoised.astype(np.float64)
    mean_x, mean_y = uniform_filter(x, WINDOW), uniform_filter(y, WINDOW)
    sample = WINDOW**x.ndim / (WINDOW**x.ndim - 1)
    variance_x = sample * (uniform_filter(x * x, WINDOW) - mean_x * mean_x)
    variance_y = sample * (uniform_filter(y * y, WINDOW) - mean_y * mean_y)
    covariance = sample * (uniform_filter(x * y, WINDOW) - mean_x * mean_y)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    border = (WINDOW - 1) // 2
    return float(similarity[(slice(border, -border),) * x.ndim].mean())


def _check(clean: NDArray[Any], denoised: NDArray[Any], data_range: float) -> None:
    if clean.shape != denoised.shape:
        raise InputError(f"images of different shapes cannot be compared ({clean.shape} and {denoised.shape})")
    if not data_range > 0:
        raise UsageError(f"`data_range`: not a positive number ({data_range})")
