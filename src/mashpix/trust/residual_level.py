"""Whether a residual holds more than the noise of the noisy image: an error that is everywhere.

All other measures compare parts of the residual with one another. An error that fills the flat places too, such as
that of a network which has learnt nothing, passes for noise there. So the level of the residual is compared with the
noise as the noisy image alone shows it. That blind estimate is too low where a camera's processing has smoothed flat
places, and uncertain where noise follows the brightness strongly: the rule counts for white and even noise only.
"""

import numpy as np
import torch
from torch import Tensor

from mashpix.noise_estimation.blind_estimate import measure_noise_level
from mashpix.refine.blind_noise import find_clipped

NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Lags (rows, columns) at which noise is white if it is uncorrelated there."""


def measure_excess(noisy: Tensor, residual: Tensor, usable: Tensor) -> dict[str, float]:
    """Compare the level of the residual with a blind estimate of the noise in (C, H, W), channel by channel.

    Gives `residual_excess`, `noise_whiteness` and `noise_evenness` of `Verdict`; none without a block to measure in.
    """
    clipped = torch.stack([find_clipped(plane, usable) for plane in noisy])
    noise = measure_noise_level(noisy, usable.expand_as(noisy), clipped)
    if noise is None or not noise.sigma.min() > 0:
        return {}
    level = residual[:, usable].double().std(dim=1).numpy()
    centre = noise.correlation.shape[1] // 2
    correlation = np.stack([noise.correlation[:, centre + down, centre + right] for down, right in NEIGHBOURS])
    return {
        "residual_excess": float((level / noise.sigma).max() - 1),
        "noise_whiteness": float(1 - np.abs(correlation).max()),
        "noise_evenness": float(1 / noise.dependence.max()),
    }
