"""Estimates of the noise itself: level, dependence on the intensity, correlation, kind."""

from typing import Any

import numpy as np
import torch

from mashpix.arrays.normalization import Array, Normalized
from mashpix.missing import holds_data
from mashpix.noise_estimation.blind_estimate import NoiseLevel, measure_noise_level
from mashpix.noise_report.classification import BLOCKY, classify_noise, measure_blockiness
from mashpix.noise_report.image_facts import clipped_limits
from mashpix.picture import Picture
from mashpix.refine.autocovariance import REACH

DEPENDENT = 1.5
"""Ratio of the largest to the smallest variance above which the noise counts as dependent on the intensity."""
UNCORRELATED = 0.1
"""Correlation that marks the end of the correlation length."""
FEW_BLOCKS = 400
"""Number of blocks below which the estimates are rough."""
MAX_CLIPPED = 0.3
"""Fraction of clipped values above which the estimates are rough."""
ROUGH = "rough"
"""First word of a note on estimates that may be far off."""
MIN_SIGMA = 0.29
"""Noise level, in integer steps, up to which nothing else is estimated: what rounding alone causes."""


def estimate_noise(normalized: Normalized, picture: Picture) -> dict[str, Any]:
    """Estimate the noise; return fields of a report."""
    height, width = normalized.array.shape[1:]
    pixels, valid = picture.pixels[0, :, :height, :width], picture.valid[0, :, :height, :width]
    limits = [clipped_limits(np.sort(np.asarray(plane)[holds_data(plane)])) for plane in normalized.array]
    pairs = zip(np.asarray(normalized.array), limits, strict=True)
    clipped = np.stack([(plane == low) | (plane == high) for plane, (low, high) in pairs])
    noise = measure_noise_level(pixels, valid, torch.from_numpy(clipped))
    if noise is None:
        return {"notes": ("no block of 16 x 16 pixels to measure the noise in",)}
    sigma = noise.sigma * normalized.unit
    notes = []
    if noise.blocks < FEW_BLOCKS:
        notes.append(f"{ROUGH}: only {noise.blocks} blocks to measure the noise in")
    if clipped.mean() > MAX_CLIPPED:
        notes.append(f"{ROUGH}: {clipped.mean():.0%} of the values are clipped, and hide their noise")
    found: dict[str, Any] = {
        "sigma": float(np.sqrt(np.square(sigma).mean())),
        "sigma_by_channel": tuple(map(float, sigma)),
        "notes": tuple(notes),
    }
    blockiness = measure_blockiness(pixels, valid)
    if sigma.max() <= (MIN_SIGMA if normalized.array.dtype.kind in "iu" else 0.0):
        found["notes"] = ("hardly any noise: less than rounding makes", *notes)
        if blockiness is not None and blockiness > BLOCKY:
            found |= {"kind": "jpeg-blocky", "kind_measures": {"blockiness": blockiness}}
        return found
    kind, measures = classify_noise(noise, blockiness)
    return found | {"kind": kind, "kind_measures": measures} | _dependence_and_correlation(noise, normalized)


def _dependence_and_correlation(noise: NoiseLevel, normalized: Normalized) -> dict[str, Any]:
    """Estimate how the noise depends on the intensity and how it is correlated; return fields of a report."""
    correlation = noise.correlation.mean(axis=0)
    between = tuple(tuple(map(float, row)) for row in noise.between)
    return {
        "noise_by_intensity": _in_units(noise, normalized),
        "signal_dependent": bool(noise.dependence.max() > DEPENDENT),
        "signal_dependence": float(noise.dependence.max()),
        "lag1": (float(correlation[REACH + 1, REACH]), float(correlation[REACH, REACH + 1])),
        "correlation_length": _length(correlation),
        "autocorrelation": tuple(tuple(map(float, row)) for row in correlation),
        "channel_correlation": between if len(between) > 1 else None,
    }


def _in_units(noise: NoiseLevel, normalized: Normalized) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return noise against intensity for each channel, in the units of the image."""
    return tuple(
        tuple((float(low + unit * place), float(unit * sigma)) for place, sigma in table)
        for table, low, unit in zip(noise.levels, normalized.low, normalized.unit, strict=True)
    )


def _length(correlation: Array) -> int:
    """Return the largest lag up to which the correlation along either axis stays above UNCORRELATED."""
    along = np.maximum(correlation[REACH:, REACH], correlation[REACH, REACH:])
    below = np.flatnonzero(along < UNCORRELATED)
    return int(below[0]) - 1 if len(below) else REACH
