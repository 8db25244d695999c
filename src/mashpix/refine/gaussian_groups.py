"""Relation R24: similar patches as samples of one Gaussian, whose covariance the groups have, filtered together.

The model and its filter are those of non-local Bayes: Lebrun, Buades and Morel, "A nonlocal Bayesian image denoising
algorithm", SIAM Journal on Imaging Sciences 2013. There a first estimate by the same means is the pilot, here R7.
"""

import torch
from torch import Tensor

from mashpix.devices import repeatable_sums
from mashpix.refine.block_matching import GROUPS_AT_ONCE, SIDE, Grouping, match_blocks
from mashpix.refine.dct import block_transform
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.tuning import TUNED, RefineSettings

PATCH = SIDE // 2
"""Side in pixels of the patches: quarters of the blocks that are compared."""
UNCERTAIN = 1e-6
"""Fraction of the mean variance that is added to each pixel's, so that a covariance can be inverted."""
LEAST_VARIANCE = 1e-12
"""Least variance that is added, of the 0..1 scale squared."""


def model_grouping(tuning: RefineSettings = TUNED) -> Grouping:
    """Groups of R24: one for each block, side by side."""
    return Grouping(tuning.group_size, SIDE)


def patch_covariance(noise: NoiseModel) -> Tensor:
    """Covariance of the noise in a patch where v is 1, (models, pixels, pixels), with the channels of a model in turn.

    RGB has one model of all its channels, between which noise is independent (R1); other channels have one each.

    Examples
    --------
    >>> from mashpix.refine.variance_model import CONSTANT
    >>> white = NoiseModel(torch.full((1, SIDE * SIDE), 4.0), CONSTANT)
    >>> bool((patch_covariance(white)[0] - 4 * torch.eye(PATCH * PATCH)).abs().max() < 1e-5)
    True
    """
    transform = block_transform(SIDE, noise.psd)
    blocks = (transform.T * noise.psd[:, None]) @ transform
    places = range(SIDE - PATCH + 1)
    blocks = blocks.reshape(-1, SIDE, SIDE, SIDE, SIDE)
    inside = [(slice(down, down + PATCH), slice(right, right + PATCH)) for down in places for right in places]
    channels = sum(blocks[:, *place, *place] for place in inside) / len(inside)
    channels = channels.reshape(-1, PATCH * PATCH, PATCH * PATCH)
    return torch.block_diag(*channels)[None] if noise.is_rgb else channels


def filter_patches(noisy: Tensor, pilot: Tensor, *, noise: NoiseModel, tuning: RefineSettings = TUNED) -> Tensor:
    """Filter groups of similar patches, which are found in the pilot, (C, H, W) both.

    With m and K the mean and the covariance of a group in the pilot, and N that of the noise, a noisy patch y becomes
    m + K (K + N)^-1 (y - m) = y - N (K + N)^-1 (y - m). A pixel becomes the mean of all patches that hold it.
    """
    channels, height, width = noisy.shape
    covariance = patch_covariance(noise)
    models, pixels_in_model = len(covariance), covariance.shape[1]
    corners = match_blocks(noise.brightness(pilot), by=model_grouping(tuning), tuning=tuning)
    inside = torch.arange(PATCH, device=noisy.device)
    inside = (inside[:, None] * width + inside).reshape(-1)
    planes = (torch.arange(channels // models, device=noisy.device)[:, None] * (height * width) + inside).reshape(-1)
    total, count = torch.zeros((models, channels // models * height * width)).to(noisy), torch.zeros(height * width)
    identity = torch.eye(pixels_in_model).to(noisy)
    for group in torch.split(corners, GROUPS_AT_ONCE):
        level = block_means_of(noise.brightness(pilot), group)
        ratio = noise.variance_model.ratio(level)[:, None, None]
        for shift in (0, PATCH, PATCH * width, PATCH * width + PATCH):
            places = (group + shift)[:, :, None] + planes
            signal, patches = (image.reshape(models, -1)[:, places] for image in (pilot, noisy))
            mean = signal.mean(dim=2, keepdim=True)
            signal = signal - mean
            own = covariance[:, None] * ratio
            both = signal.mT @ signal / (group.shape[1] - 1) + own
            spread = both.diagonal(dim1=-2, dim2=-1).mean(dim=-1)[..., None, None]
            both = both + (UNCERTAIN * spread + LEAST_VARIANCE) * identity
            patches = patches - (torch.linalg.solve(both, (patches - mean).mT).mT @ own)
            with repeatable_sums():
                for model in range(models):
                    total[model].index_add_(0, places.reshape(-1), patches[model].reshape(-1))
    raise NotImplementedError
