"""Relation R24: similar patches, taken for samples of one Gaussian and filtered by its covariance.

Where R7 asks of every coefficient how much of it is image, this asks of every direction in which similar patches
differ; in RGB these are directions of all colours together. The model and its filter are those of non-local Bayes:
Lebrun, Buades and Morel, "A nonlocal Bayesian image denoising algorithm", SIAM Journal on Imaging Sciences 2013. The
pilot is ours: g of R7.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.devices import repeatable_sums
from mashpix.refine.autocovariance import MIN_POWER, quadrants_of
from mashpix.refine.block_matching import GROUPS_AT_ONCE, SIDE, Grouping, match_blocks
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.tuning import TUNED, RefineSettings

PATCH = SIDE // 2
"""Side in pixels of the patches: quarters of the blocks that are compared."""
RIDGE = 1e-5
"""Fraction of the mean variance of the pixels that is added to that of each, so that a covariance can be inverted."""
LEAST_VARIANCE = 1e-12
"""Least variance that is added, on the network's scale squared."""


def patch_grouping(tuning: RefineSettings = TUNED) -> Grouping:
    """Groups of R24, one for each block, side by side."""
    return Grouping(tuning.patch_group_size, SIDE)


def patch_covariance(noise: NoiseModel) -> Tensor:
    """Covariance of the noise of a patch where v is 1, (models, pixels, pixels); pixels are (channel, row, column).

    RGB is one model of all its channels, between which noise is independent (R1); other channels are one model each.

    Examples
    --------
    >>> from mashpix.refine.variance_model import CONSTANT
    >>> white = NoiseModel(torch.full((1, SIDE * SIDE), 4.0), CONSTANT)
    >>> torch.allclose(patch_covariance(white)[0], 4 * torch.eye(PATCH * PATCH), atol=1e-5)
    True
    """
    lags = np.abs(np.subtract.outer(range(PATCH), range(PATCH)))
    quadrants = quadrants_of(noise.psd.cpu().double().numpy())
    channels = quadrants[:, lags[:, None, :, None], lags[None, :, None, :]].reshape(-1, PATCH**2, PATCH**2)
    variances, directions = np.linalg.eigh(channels)  # a spectrum that is measured need not be that of any noise
    variances = np.maximum(variances, MIN_POWER * variances.max(axis=1, keepdims=True))
    channels = (directions * variances[:, None]) @ directions.transpose(0, 2, 1)
    if noise.is_rgb:
        channels = np.einsum("cd,cij->cidj", np.eye(len(channels)), channels).reshape(1, len(channels) * PATCH**2, -1)
    return torch.from_numpy(channels).to(noise.psd)


def filter_patches(noisy: Tensor, pilot: Tensor, *, noise: NoiseModel, tuning: RefineSettings = TUNED) -> Tensor:
    """Filter groups of similar patches, which are found in the pilot; both images are (C, H, W).

    With m and K the mean and the covariance of a group in the pilot, and N the covariance of the noise, a noisy patch y
    becomes m + K (K + N)^-1 (y - m) = y - N (K + N)^-1 (y - m). A pixel becomes the mean of all patches that hold it.
    """
    height, width = noisy.shape[1:]
    covariance = patch_covariance(noise)
    models, length = len(covariance), covariance.shape[1]
    brightness = noise.brightness(pilot)
    corners = match_blocks(brightness, by=patch_grouping(tuning), tuning=tuning)
    ratio = noise.variance_model.ratio(_means(brightness, corners))[:, None, None]
    place = torch.arange(PATCH, device=noisy.device)
    plane = torch.arange(length // PATCH**2, device=noisy.device) * (height * width)
    inside = (plane[:, None, None] + place[:, None] * width + place).reshape(-1)
    total, count = (torch.zeros((models, noisy.numel() // models)).to(noisy) for _ in range(2))
    identity, one = torch.eye(length).to(noisy), torch.ones(1).to(noisy)
    for group, level in zip(torch.split(corners, GROUPS_AT_ONCE), torch.split(ratio, GROUPS_AT_ONCE), strict=True):
        for shift in (0, PATCH, PATCH * width, PATCH * width + PATCH):
            pixels = (group + shift)[:, :, None] + inside  # (groups, patches, pixels)
            for model in range(models):
                signal, patches = (image.reshape(models, -1)[model, pixels] for image in (pilot, noisy))
                mean, own = signal.mean(dim=1, keepdim=True), level * covariance[model]
                signal = signal - mean
                both = signal.mT @ signal / (group.shape[1] - 1) + own
                least = RIDGE * both.diagonal(dim1=1, dim2=2).mean(dim=1) + LEAST_VARIANCE
                both = both + least[:, None, None] * identity
                patches = patches - torch.linalg.solve(both, (patches - mean).mT).mT @ own
                with repeatable_sums():
                    total[model].index_add_(0, pixels.reshape(-1), patches.reshape(-1))
                    count[model].index_add_(0, pixels.reshape(-1), one.expand(pixels.numel()))
    return (total / count).reshape_as(noisy)


def _means(brightness: Tensor, corners: Tensor) -> Tensor:
    """Mean brightness of each group of blocks, (groups,)."""
    width = brightness.shape[1]
    blocks = F.avg_pool2d(brightness[None], SIDE, stride=1)[0]
    return blocks[corners // width, corners % width].mean(dim=1)
