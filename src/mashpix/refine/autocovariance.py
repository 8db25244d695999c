"""The autocovariance of noise, from the mean squares of the cosine coefficients of calm blocks.

Even calm blocks hold some texture, most of it in slow coefficients. So the measured spectrum is split into an
autocovariance of up to REACH pixels, which is assumed to be short, and a share of the texture that all blocks hold.
Coefficients above both count less: texture only adds.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mashpix.refine.dct import cosine_matrix

SIDE = 16
"""Side of the blocks in pixels."""
SLOW = 3.0
"""Coefficients slower than this, in half periods per block, hold too much of the image to measure noise by."""
REACH = 7
"""Largest lag of the fitted autocovariance, pixels."""
SHORT = 2.5
"""Lag in pixels up to which the autocovariance is hardly held to 0."""
HOLD = 3.0
"""How strongly lags are held to 0: weight of (lag / SHORT) ** 4, in units of one coefficient."""
N_FITS = 4
"""How often the autocovariance is fitted, with the weights that follow from the fit before."""
STANDS_OUT = 2.0
"""Coefficients above the fit count less from so many times the scatter of those below it."""
RIDGE = 1e-12
"""Added to the diagonal, of 1, of the normal equations: without texture they are singular."""
MIN_POWER = 0.02
"""Least variance of a coefficient, against the variance of the noise."""

Array = NDArray[np.float64]
_PLACE = np.arange(SIDE)
FREQUENCY = torch.from_numpy(np.hypot(_PLACE[:, None], _PLACE[None, :]).ravel())
"""Of each coefficient, half periods per block."""
EVEN = torch.from_numpy((_PLACE[:, None] + _PLACE[None, :]).ravel() % 2 == 0)
"""One half of the coefficients, a chequerboard: for stationary noise independent of those beside."""


def fit_autocovariances(spectrum: Tensor, everywhere: Tensor) -> tuple[list[Array], Tensor]:
    """For each channel the autocovariance of the noise, one quadrant; and the spectra (C, K) that follow.

    Parameters
    ----------
    spectrum, everywhere : Tensor
        (C, K), mean squares of the coefficients in calm blocks, and in all.
    """
    pairs = zip(spectrum.double().numpy(), everywhere.double().numpy(), strict=True)
    fits = [_fit(calm, mean) for calm, mean in pairs]
    return [covariance for covariance, _ in fits], torch.from_numpy(np.stack([fitted for _, fitted in fits])).float()


def _fit(spectrum: Array, everywhere: Array) -> tuple[Array, Array]:
    """Autocovariance, the same in all four quadrants, whose spectrum with some texture is nearest to a measured one."""
    basis, hold = _model()
    fast = FREQUENCY.numpy() >= SLOW
    unit = max(spectrum[fast].mean(), 1e-30)
    wanted, texture = spectrum / unit, np.maximum(everywhere - spectrum, 0) / unit
    total, trust, variance = np.ones_like(wanted), np.ones_like(wanted), 1.0
    for _ in range(N_FITS):  # weighted by the fit and not by what was measured, which would pull it down
        weight = np.where(fast, trust / total, 0.0)
        covariance, share = _solve(np.column_stack([basis, texture]), wanted, weight, hold / variance)
        variance = max(covariance[0], 0.1)
        fitted = np.maximum(basis @ covariance, MIN_POWER * variance)
        total = fitted + share * texture
        excess = wanted / total - 1
        below = excess[fast & (excess < 0)]
        scatter = np.sqrt(np.square(below).mean()) if below.size else 1.0
        trust = np.minimum(1.0, STANDS_OUT * scatter / np.maximum(excess, 1e-9))
    return unit * covariance.reshape(REACH + 1, REACH + 1), unit * fitted


def _solve(design: Array, wanted: Array, weight: Array, hold: Array) -> tuple[Array, float]:
    """Autocovariance and share of the texture, at least 0, by least squares.

    The normal equations are set up without BLAS: its threads would wait for one another far longer than they compute.
    """
    equations = design * weight[:, None]
    square = np.einsum("ki,kj->ij", equations, equations)
    square[np.diag_indices(len(hold))] += hold**2
    unit = np.sqrt(np.maximum(np.diag(square), 1e-30))
    square = square / np.outer(unit, unit) + RIDGE * np.eye(len(square))
    right = np.einsum("ki,k->i", equations, wanted * weight) / unit
    solution = np.linalg.solve(square, right) / unit
    if solution[-1] >= 0:
        return solution[:-1], float(solution[-1])
    return np.linalg.solve(square[:-1, :-1], right[:-1]) / unit[:-1], 0.0


@cache
def _model() -> tuple[Array, Array]:
    """Variance of the coefficients (K, lags) for an autocovariance of 1 at one lag, and how each lag is held to 0."""
    basis = _one_way(SIDE)
    lags = np.arange(REACH + 1)
    square_lag = (lags[:, None] ** 2 + lags[None, :] ** 2).ravel()
    return np.kron(basis, basis).astype(float), HOLD * (square_lag / SHORT**2) ** 2


def _one_way(side: int) -> Array:
    """Variance of the coefficients of `side` pixels in a row, (side, lags), for an autocovariance of 1 at one lag."""
    cosine: Array = cosine_matrix(side).double().numpy()
    lags = range(REACH + 1)
    columns = [(cosine[:, lag:] * cosine[:, : side - lag]).sum(axis=1) * (2 if lag else 1) for lag in lags]
    basis: Array = np.stack(columns, axis=1)
    return basis


def spectrum_of(quadrant: Array, side: int) -> Array:
    """Variance of the cosine coefficients (side * side,) of blocks, at least 8 x 8, of noise of an autocovariance."""
    basis = _one_way(side)
    spectrum: Array = np.maximum(basis @ quadrant @ basis.T, MIN_POWER * quadrant[0, 0]).ravel()
    return spectrum


def quadrants_of(spectrum: Array) -> Array:
    """The autocovariances whose spectra in blocks of 8 x 8 these are, (C, 64) to (C, lags, lags): see `spectrum_of`."""
    basis = np.linalg.inv(_one_way(REACH + 1))
    quadrants: Array = basis @ spectrum.reshape(-1, REACH + 1, REACH + 1) @ basis.T
    return quadrants


def halved(quadrant: Array) -> Array:
    """Autocovariance of the means of 2 x 2 pixels, where it is known: at the smaller half of the lags.

    Examples
    --------
    >>> white = np.zeros((REACH + 1, REACH + 1))
    >>> white[0, 0] = 4
    >>> halved(white)[:2, :2]
    array([[1., 0.],
           [0., 0.]])
    """
    lags = np.arange((REACH + 1) // 2)
    one_way = np.zeros((REACH + 1, REACH + 1))
    for shift, weight in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        np.add.at(one_way, (lags, abs(2 * lags + shift)), weight)
    return one_way @ quadrant @ one_way.T


def mirror(quadrant: Array) -> Array:
    """All lags from those of one quadrant."""
    half = np.concatenate([quadrant[:0:-1], quadrant])
    return np.concatenate([half[:, :0:-1], half], axis=1)
