"""Relations R8 to R10: restore the prediction from y, and blend it with the groups where the two agree."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.refine.dct import analyse, block_means, keep_mean, synthesise, wiener_gain
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.shrinking import SIDE
from mashpix.refine.tuning import TUNED, RefineSettings


def blend(
    predicted: Tensor, grouped: Tensor, restored: Tensor, *, noise: NoiseModel, tuning: RefineSettings = TUNED
) -> Tensor:
    """R9 and R10 on (C, H, W): x = a r + (1 - a) g."""
    return torch.lerp(grouped, restored, agreement(grouped, predicted, noise=noise, tuning=tuning))


def restore(
    noisy: Tensor,
    predicted: Tensor,
    grouped: Tensor,
    *,
    noise: NoiseModel,
    keep_means: bool,
    tuning: RefineSettings = TUNED,
) -> Tensor:
    """R8: r = p + W(y - p), the signal of the Wiener filter W being a part of g - p. `noise` is S_p.

    Smoother than the groups g, but only as good as the prediction p; `keep_means` gives each block the mean that y has.
    """
    size = noisy.shape[1], noisy.shape[2]
    variance = noise.variance(noise.brightness(block_means(analyse(predicted, SIDE))))
    gain = wiener_gain(analyse((grouped - predicted) * tuning.restored_share, SIDE), variance)
    if keep_means:
        keep_mean(gain)
    return predicted + synthesise(analyse(noisy - predicted, SIDE), gain, variance, size, tuning=tuning)


def agreement(grouped: Tensor, predicted: Tensor, *, noise: NoiseModel, tuning: RefineSettings = TUNED) -> Tensor:
    """R9: agreement of g and p at each pixel, (H, W), 1 to 0: their difference relative to the noise there.

    Two estimates that err in different ways agree where both are right.
    """
    difference = (grouped - predicted).square().sum(dim=0)
    expected = noise.power().sum() * noise.variance_model.ratio(noise.brightness(predicted))
    difference, expected = _local_means(torch.stack([difference, expected]), window=tuning.agreement_window)
    relative = difference / (tuning.disagreement * expected).clamp(min=torch.finfo(expected.dtype).tiny)
    return torch.reciprocal(1 + relative.square())


def _local_means(planes: Tensor, *, window: int) -> Tensor:
    """Means of (C, H, W) over windows around each pixel, averaged twice."""
    padded = F.pad(planes, (window - 1,) * 4, mode="reflect")
    for _ in range(2):
        padded = F.avg_pool2d(padded, window, stride=1)
    return padded
