"""Images with too few blocks to measure the noise in: there it counts as no more than neighbouring pixels show.

The flattest of a few blocks holds content too, and the prediction of a small image misses much of it: measured in the
residual, that content would pass for noise and be removed. What neighbouring pixels differ by is nearly free of
content. It is less than the noise where that is correlated; then less is removed, and the result is still no worse
than its input.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine.residual_noise import NoiseModel, usable_blocks
from mashpix.refine.shrinking import SIDE
from mashpix.refine.tuning import TUNED, RefineSettings

DIFFERENCES = ((1.0, -2.0, 1.0), (1.0, -4.0, 6.0, -4.0, 1.0))
"""Second and fourth differences, taken along both axes: the fourth hold less content, but need more pixels."""


def has_few_blocks(picture: Picture, *, tuning: RefineSettings = TUNED) -> bool:
    """Whether an image has fewer usable blocks than it takes to measure the noise in the flat ones."""
    usable = picture.valid[0].all(dim=0)
    return int(usable_blocks(picture.pixels[0], usable, side=SIDE, tuning=tuning).sum()) < tuning.min_blocks


def fine_variance(pixels: Tensor, usable: Tensor) -> Tensor:
    """Variance (C,) of white noise that explains the differences of neighbouring pixels (C, H, W); 0 without any.

    Mean absolute second differences as in Immerkaer, "Fast noise variance estimation", Computer Vision and Image
    Understanding 64, 1996, or fourth ones if those show less. `usable` is (H, W) or (C, H, W).

    Examples
    --------
    >>> noise = 3 * torch.randn((1, 128, 128), generator=torch.Generator().manual_seed(0))
    >>> fine_variance(noise, noise < torch.inf).sqrt().round(decimals=1)
    tensor([3.])
    """
    variances = []
    for weights in DIFFERENCES:
        line = torch.tensor(weights).to(pixels)
        mask = line[:, None] * line
        differences = F.conv2d(pixels[:, None], mask[None, None])[:, 0].abs()
        whole = F.max_pool2d((~usable).expand_as(pixels).to(pixels)[:, None], len(line), stride=1)[:, 0] == 0
        mean = (differences * whole).sum(dim=(1, 2)) / whole.sum(dim=(1, 2)).clamp(min=1)
        variances.append(mean.square() * (math.pi / 2) / mask.square().sum())
    return torch.stack(variances).amin(dim=0)


def limit(noise: NoiseModel, variance: Tensor) -> NoiseModel:
    """The noise with no coefficient above that of white noise of a variance (C,)."""
    return noise._replace(psd=torch.minimum(noise.psd, variance[:, None]))
