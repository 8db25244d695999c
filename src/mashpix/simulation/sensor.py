"""Sensor noise without the processing of a camera: white Gaussian and Poisson-Gaussian."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import InputError


def gaussian_noise(shape: Sequence[int], *, sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw white Gaussian noise.

    Parameters
    ----------
    shape : sequence of int
        Any shape.
    sigma : float
        Standard deviation.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray
        Float32.

    Examples
    --------
    >>> gaussian_noise((1, 3), sigma=2, rng=np.random.default_rng(0)).round(1)
    array([[ 2.2, -2.8, -0.9]], dtype=float32)
    """
    check_sigma(sigma)
    return np.float32(sigma) * rng.standard_normal(tuple(shape), dtype=np.float32)


def add_poisson_gaussian(
    clean: NDArray[Any], *, gain: float, sigma: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Simulate the noise of a photon-counting sensor: gain * Poisson(x / gain) + N(0, sigma**2).

    Its variance is gain * x + sigma**2 at the value x.

    Parameters
    ----------
    clean : ndarray
        Any shape; values of 0 or more, in any unit.
    gain : float
        Image units per photon.
    sigma : float
        Standard deviation of the read noise, in units of the image.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray
        Float64, in the units of `clean`; not clipped.

    Raises
    ------
    InputError
        For negative values, or a gain that is not positive.

    Examples
    --------
    >>> add_poisson_gaussian(np.array([0.0, 100.0]), gain=10, sigma=0, rng=np.random.default_rng(0))
    array([  0., 110.])
    """
    if not (np.isfinite(gain) and gain > 0):
        raise InputError(f"gain must be a positive number ({gain})")
    check_sigma(sigma)
    if clean.size and not clean.min() >= 0:
        raise InputError(f"photon counts cannot be negative (smallest value {clean.min()}; subtract the offset first)")
    return np.asarray(gain * rng.poisson(clean / gain) + rng.normal(0, sigma, clean.shape))


def check_sigma(sigma: float) -> None:
    """Refuse a standard deviation that is not 0 or more."""
    if not (np.isfinite(sigma) and sigma >= 0):
        raise InputError(f"sigma must be 0 or more ({sigma})")
