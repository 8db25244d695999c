"""Spatially correlated Gaussian noise: Eq. 2 of MASH (CVPR 2024, arXiv 2404.09389), through its spectrum.

Eq. 2 is not a valid covariance for every beta: at beta 1, k 3 a fifth of its spectrum is negative. The nearest valid
one is used instead: the negative part of the spectrum is set to 0 and the rest scaled to keep the variance.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from mashpix.errors import InputError
from mashpix.simulation.sensor import check_sigma

Distance = Literal["euclidean", "chebyshev", "manhattan"]
Array = NDArray[Any]

MIN_TORUS_SIDE = 256
"""Shortest side of the torus that noise is drawn on, pixels: on it the projection no longer depends on the size."""
MARGIN = 10
"""Margin of the torus around the image, in units of k: opposite borders are then uncorrelated."""


def correlated_noise(
    shape: Sequence[int],
    *,
    sigma: float,
    beta: float,
    rng: np.random.Generator,
    k: int = 3,
    distance: Distance = "euclidean",
    shared: bool = False,
) -> Array:
    """Draw Gaussian noise whose correlation falls with distance (Eq. 2), in O(N log N).

    Parameters
    ----------
    shape : (H, W) or (H, W, C)
        Shape of the noise; any size.
    sigma : float
        Standard deviation, in the units of the image it is meant for.
    beta : float
        Strength of the correlation, 0 (white) to 1.
    rng : numpy.random.Generator
        Source of randomness.
    k : int
        Reach of the correlation, pixels.
    distance : {"euclidean", "chebyshev", "manhattan"}
        Distance d between two pixels in Eq. 2.
    shared : bool
        One draw for all channels instead of one each.

    Returns
    -------
    ndarray
        Float32, of the given shape. Its correlation is `correlation_reached(...)`; borders are not wrapped.

    Raises
    ------
    InputError
        For a shape or a parameter outside its limits.

    Examples
    --------
    >>> noise = correlated_noise((200, 300), sigma=25, beta=0.5, rng=np.random.default_rng(0))
    >>> bool(abs(noise.std() - 25) < 0.5)
    True
    >>> autocorrelation(noise, radius=1).round(1)
    array([[0.3, 0.3, 0.3],
           [0.3, 1. , 0.3],
           [0.3, 0.3, 0.3]])
    """
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise InputError(f"noise has the shape of an image (shape {tuple(shape)}; (H, W) or (H, W, C))")
    check_sigma(sigma)
    height, width = (fft.next_fast_len(max(side + MARGIN * k, MIN_TORUS_SIDE), real=True) for side in shape[:2])
    amplitude = sigma * np.sqrt(_spectrum(height, width, beta=beta, k=k, distance=distance)).astype(np.float32)
    noise = np.empty(shape, dtype=np.float32)
    planes = noise[..., None] if noise.ndim == 2 else noise
    for channel in range(1 if shared else planes.shape[2]):
        white = rng.standard_normal((height, width), dtype=np.float32)
        plane = fft.irfft2(fft.rfft2(white, overwrite_x=True) * amplitude, (height, width), overwrite_x=True)
        planes[..., channel] = plane[: shape[0], : shape[1]]
    if shared:
        planes[..., 1:] = planes[..., :1]
    return noise


def correlation_asked(*, beta: float, k: int = 3, distance: Distance = "euclidean", radius: int = 4) -> Array:
    """Return the correlation that Eq. 2 asks for: beta (k - d) / k for 0 < d <= k.

    Returns
    -------
    ndarray
        (2 radius + 1, 2 radius + 1); lag (0, 0), where it is 1, is at the centre.

    Examples
    --------
    >>> correlation_asked(beta=1, radius=2)[2:, 2:].round(3)
    array([[1.   , 0.667, 0.333],
           [0.667, 0.529, 0.255],
           [0.333, 0.255, 0.057]])
    """
    lags = np.arange(-radius, radius + 1)
    return _covariance(lags[:, None], lags[None, :], beta=beta, k=k, distance=distance)


def correlation_reached(*, beta: float, k: int = 3, distance: Distance = "euclidean", radius: int = 4) -> Array:
    """Return the correlation that `correlated_noise` reaches: Eq. 2 projected onto the valid covariances.

    Returns
    -------
    ndarray
        As `correlation_asked`.

    Examples
    --------
    >>> correlation_reached(beta=1, radius=2)[2:, 2:].round(3)
    array([[1.   , 0.653, 0.32 ],
           [0.653, 0.509, 0.245],
           [0.32 , 0.245, 0.059]])
    """
    side = max(MIN_TORUS_SIDE, 4 * radius)
    correlation = fft.irfft2(_spectrum(side, side, beta=beta, k=k, distance=distance), (side, side))
    lags = np.arange(-radius, radius + 1)
    return np.asarray(correlation[np.ix_(lags, lags)])


def _covariance(rows: Array, columns: Array, *, beta: float, k: int, distance: Distance) -> Array:
    """Evaluate Eq. 2 at some lags, for variance 1."""
    if not 0 <= beta <= 1:
        raise InputError(f"beta is out of its limits ({beta}; 0 to 1)")
    if k < 1:
        raise InputError(f"k is out of its limits ({k}; 1 pixel or more)")
    rows, columns = np.abs(rows), np.abs(columns)
    if distance == "euclidean":
        d = np.hypot(rows, columns)
    elif distance == "chebyshev":
        d = np.maximum(rows, columns)
    elif distance == "manhattan":
        d = rows + columns
    else:
        raise InputError(f"unknown distance ({distance!r}; euclidean, chebyshev or manhattan)")
    return np.where(d == 0, 1.0, beta * np.clip((k - d) / k, 0, None))


def _spectrum(height: int, width: int, *, beta: float, k: int, distance: Distance) -> Array:
    """Return the power spectrum of Eq. 2 on a torus, (H, W // 2 + 1), its negative part cut off, mean 1."""
    rows, columns = fft.fftfreq(height, 1 / height)[:, None], fft.fftfreq(width, 1 / width)[None, :]
    covariance = _covariance(rows, columns, beta=beta, k=k, distance=distance)
    spectrum = np.clip(fft.rfft2(covariance).real, 0, None)
    return np.asarray(spectrum / fft.irfft2(spectrum, (height, width))[0, 0])


def autocorrelation(noise: Array, *, radius: int = 4) -> Array:
    """Measure the correlation of the pixels of a field at each lag; borders are not wrapped.

    Parameters
    ----------
    noise : (H, W) ndarray
        A field with mean 0 and no invalid values; larger than the radius.
    radius : int
        Largest lag, pixels.

    Returns
    -------
    ndarray
        (2 radius + 1, 2 radius + 1); lag (0, 0), where it is 1, is at the centre.

    Examples
    --------
    >>> stripes = np.tile([1.0, -1.0], (6, 3))
    >>> autocorrelation(stripes, radius=1)
    array([[-1.,  1., -1.],
           [-1.,  1., -1.],
           [-1.,  1., -1.]])
    """
    if noise.ndim != 2 or min(noise.shape) <= radius:
        raise InputError(f"a field larger than the radius is needed (shape {noise.shape}; radius {radius})")
    height, width = noise.shape
    side = 2 * radius + 1
    result = np.empty((side, side))
    values = noise.astype(np.float64)
    for row in range(radius + 1):
        for column in range(-radius, radius + 1):
            left, right = max(column, 0), max(-column, 0)
            first = values[row:, left : width - right]
            second = values[: height - row, right : width - left]
            product = (first * second).mean()
            result[radius + row, radius + column] = result[radius - row, radius - column] = product
    return np.asarray(result / result[radius, radius])
