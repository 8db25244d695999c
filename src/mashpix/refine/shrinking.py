"""Relations R4 and R6: shrink the coefficients of blocks by the noise in them, and take the slow part from half size.

A Wiener filter behind a hard threshold is that of BM3D (Dabov et al., IEEE TIP 2007); the slow part from a smaller
image is in the spirit of Pierazzo and Facciolo, "Multi-scale DCT denoising", IPOL 2017.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.refine.dct import analyse, block_means, keep_mean, synthesise, wiener_gain
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.tuning import TUNED, RefineSettings

SIDE = 16
"""Side in pixels of the blocks that are shrunk one by one."""


def shrink(noisy: Tensor, *, noise: NoiseModel, threshold: float, tuning: RefineSettings = TUNED) -> Tensor:
    """R4: hard thresholding of an image (C, H, W), then the Wiener filter that it is the pilot of.

    The mean of each block is kept: intensities are measurements.
    """
    size = noisy.shape[1], noisy.shape[2]
    coefficients = analyse(noisy, SIDE)
    variance = tuning.caution * noise.variance(noise.brightness(block_means(coefficients)))
    stands_out = keep_mean((coefficients.square() > threshold**2 * variance).to(coefficients))
    pilot = synthesise(coefficients, stands_out, variance, size, tuning=tuning)
    gain = keep_mean(wiener_gain(analyse(pilot, SIDE), variance))
    return synthesise(coefficients, gain, variance, size, tuning=tuning)


def halve(pixels: Tensor) -> Tensor:
    """(C, H, W) at half the size: means of 2 x 2 pixels."""
    return F.avg_pool2d(pixels, 2)


def with_slow_part(pixels: Tensor, slow: Tensor, *, share: float = 1.0, tuning: RefineSettings = TUNED) -> Tensor:
    """R6: replace the slow part of an image (C, H, W) by that of one of half the size, or bring it nearer; in place."""
    if not tuning.slow_part:
        return pixels
    window = tuning.slow_window
    planes = zip(torch.split(pixels, 1), torch.split(slow, 1), strict=True)
    for plane, slow_plane in planes:  # one at a time, for memory
        change = F.pad(share * (slow_plane - halve(plane)), (window // 2,) * 4, mode="replicate")
        change = F.interpolate(F.avg_pool2d(change, window, stride=1)[None], scale_factor=2, mode="bilinear")
        plane.add_(change[0])
    return pixels
