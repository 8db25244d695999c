"""Compare what denoising removed with the noise that was estimated before, and say why where they differ."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.missing import with_nan
from mashpix.noise_report.estimates import ROUGH
from mashpix.noise_report.report import NoiseReport

LESS, MORE = 0.7, 1.4
"""What was removed, relative to the noise level, below and above which they differ."""
NOISE_LEFT = "noise is left"
FLAT = "the level is that of flat regions, where processing and compression have left less noise than in texture"
SIGNAL = "more than noise was removed, or there is more of it in texture: see the verdict"


def describe_removed(report: NoiseReport, noisy: NDArray[Any], denoised: NDArray[Any]) -> str:
    """Describe what was removed: its standard deviation, units of the image, relative to the noise level of the report.

    noisy, denoised : (H, W) or (H, W, C), of one shape

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0, 10, (64, 64))
    >>> describe_removed(NoiseReport(noisy.shape, "float64", sigma=10.0, kind="white"), noisy, 0.5 * noisy)
    '4.99, 0.5 times the noise level: noise is left'
    """
    residual = with_nan(noisy) - with_nan(denoised)
    finite = residual[np.isfinite(residual)]
    removed = float(finite.std()) if finite.size else 0.0
    if report.kind is None or not report.sigma:
        return f"{removed:.3g}, where hardly any noise was found"
    ratio = removed / math.hypot(report.sigma, *report.stripes.values())
    level = "noise level and stripes" if report.stripes else "noise level"
    reason = FLAT if report.kind in ("correlated", "jpeg-blocky") else SIGNAL
    reason = NOISE_LEFT if ratio < LESS else reason if ratio > MORE else ""
    if reason and any(note.startswith(ROUGH) for note in report.notes):
        reason = "the level is rough"
    return f"{removed:.3g}, {ratio:.2g} times the {level}{reason and ': '}{reason}"
