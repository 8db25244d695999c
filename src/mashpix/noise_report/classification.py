"""Classify noise as white, correlated, structured or JPEG-blocky."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mashpix.noise_estimation.blind_estimate import NoiseLevel
from mashpix.refine.autocovariance import REACH

CORRELATED = 0.15
"""Correlation at lag 1, the larger of both directions, above which noise counts as correlated."""
STRIPED = 2.0
"""Power on an axis of the spectrum relative to the power beside it, above which there are stripes."""
PEAKED = 2.8
"""Power of one coefficient relative to the median around it, above which there is a periodic pattern."""
BLOCKY = 1.04
"""Steps across an 8 x 8 grid relative to those beside it, above which an image is JPEG-blocky."""
FLOOR = 1e-3
"""Smallest power, relative to the mean, that another is compared with."""
GRID = 8
"""Period of the blocks of a JPEG, pixels."""
FAST = 4
"""First coefficient to search for lines and peaks: lower ones hold the image."""

Array = NDArray[np.float64]


def classify_noise(noise: NoiseLevel, blockiness: float | None) -> tuple[str, dict[str, float]]:
    """Find the kind of the noise, and the measures that decide it.

    Returns
    -------
    str
        "jpeg-blocky", "structured" (stripes, periodic), "correlated" or "white": the first that applies.
    dict
        "stripes", "peak", "blockiness" and "lag1", each to be compared with the constant of this module.
    """
    spectrum = noise.spectrum.mean(axis=0)
    middle = noise.correlation.mean(axis=0)
    measures = {
        "stripes": max(_stripes(spectrum), _stripes(spectrum.T)),
        "peak": _peak(spectrum),
        "lag1": float(max(middle[REACH + 1, REACH], middle[REACH, REACH + 1])),
    }
    if blockiness is not None:
        measures["blockiness"] = blockiness
    if blockiness is not None and blockiness > BLOCKY:  # first, since the steps of a JPEG leave lines and peaks too
        return "jpeg-blocky", measures
    if measures["stripes"] > STRIPED or measures["peak"] > PEAKED:
        return "structured", measures
    return ("correlated" if measures["lag1"] > CORRELATED else "white"), measures


def _stripes(spectrum: Array) -> float:
    """Return the power of what is constant along a row relative to what is nearly so."""
    beside = np.median(spectrum[FAST:, 1:4], axis=1)
    return float(np.median(spectrum[FAST:, 0] / np.maximum(beside, FLOOR)))


def _peak(spectrum: Array) -> float:
    """Return the largest power of a coefficient relative to the median of the 5 x 5 around it."""
    from scipy.ndimage import median_filter

    around = np.maximum(median_filter(spectrum, 5, mode="nearest"), FLOOR)
    fast = np.add.outer(np.arange(len(spectrum)), np.arange(len(spectrum))) >= FAST
    inside = fast.copy()
    inside[:, 0] = inside[0] = False  # the axes are those of stripes
    return float((spectrum / around)[inside].max())


def measure_blockiness(pixels: Tensor, valid: Tensor) -> float | None:
    """Compare steps between pixels across the grid of a JPEG with those inside blocks; None for a small image.

    The grid may start anywhere. A step is how much more two pixels differ than their neighbours do; large ones, of
    edges, are left out. Phases are compared with those two pixels away, since a sensor's colours have that period.

    Parameters
    ----------
    pixels, valid : Tensor
        (C, H, W).

    Examples
    --------
    >>> random = torch.Generator().manual_seed(0)
    >>> noise, valid = 0.1 * torch.rand((1, 128, 128), generator=random), torch.ones(1, 128, 128) == 1
    >>> blocks = 0.2 * torch.rand((1, 16, 16), generator=random).repeat_interleave(8, 1).repeat_interleave(8, 2)
    >>> measure_blockiness(noise + blocks, valid) > BLOCKY > measure_blockiness(noise, valid)
    True
    """
    if min(pixels.shape[1:]) < 4 * GRID:
        return None
    plane, usable = pixels.mean(dim=0), valid.all(dim=0)
    found = [_grid_steps(plane, usable), _grid_steps(plane.T, usable.T)]
    return min(found) if min(found) > 0 else None


def _grid_steps(plane: Tensor, usable: Tensor) -> float:
    """Return the largest horizontal steps of the eight phases relative to phases of that parity; 0 if unknown."""
    step = (plane[:, 1:] - plane[:, :-1]).abs()
    known = usable[:, 1:] & usable[:, :-1]
    if not known.any():
        return 0.0
    small = known & (step <= 2 * _median(step[known]))
    phase = torch.arange(step.shape[1], device=plane.device) % GRID
    total = torch.stack([(step * small)[:, phase == index].sum() for index in range(GRID)])
    number = torch.stack([small[:, phase == index].sum() for index in range(GRID)])
    mean = (total / number.clamp(min=1)).double().cpu().numpy()
    others = [np.delete(mean[index % 2 :: 2], index // 2).mean() for index in range(GRID)]
    return float((mean / np.maximum(others, 1e-12)).max()) if min(others) > 0 else 0.0


def _median(values: Tensor) -> Tensor:
    """Return the median of at most about a million of the values."""
    return values[:: max(len(values) // 2**20, 1)].median().clamp(min=1e-6)
