"""Relations R7, R21 and R22: similar blocks of an image, shrunk together: image repeats in them, noise does not.

Block matching, the hard threshold of groups and their Wiener filter are those of BM3D: Dabov et al., "Image denoising
by sparse 3-D transform-domain collaborative filtering", IEEE TIP 2007.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.devices import repeatable_sums
from mashpix.refine.dct import block_transform, block_weight, wiener_gain
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.tuning import TUNED, RefineSettings

SIDE = 8
"""Side in pixels of the blocks."""
GROUPS_AT_ONCE = 256
"""Groups that are held in memory together: few enough for their numbers to stay in the processor's cache."""


def context(tuning: RefineSettings = TUNED) -> int:
    """Pixels beyond a region that can change the result in it."""
    return 2 * (tuning.search_radius + SIDE)


class Grouping(NamedTuple):
    """How groups are gathered and filtered.

    size : blocks in a group, a power of two
    step : distance in pixels of the blocks that a group is gathered for, a divisor of `SIDE`
    threshold : gain is 1 beyond so many standard deviations of the noise, else 0; None for the Wiener filter
    """

    size: int
    step: int
    threshold: float | None = None


def grouping(tuning: RefineSettings = TUNED) -> Grouping:
    """Groups of R7."""
    return Grouping(tuning.group_size, tuning.group_step)


def white_grouping(tuning: RefineSettings = TUNED, *, known: bool = True) -> Grouping:
    """Groups of R21, by whether the noise was measured in the noisy image itself."""
    threshold = tuning.white_threshold if known else tuning.measured_white_threshold
    return Grouping(tuning.threshold_group_size, tuning.group_step, threshold)


def treated_grouping(tuning: RefineSettings = TUNED) -> Grouping:
    """Groups of R22."""
    return Grouping(tuning.threshold_group_size, tuning.treated_step, tuning.treated_threshold)


def collaborative_filter(
    noisy: Tensor, guide: Tensor, *, noise: NoiseModel, by: Grouping, tuning: RefineSettings = TUNED
) -> Tensor:
    """Filter groups of similar blocks, which are found in `guide`; it is the pilot of the Wiener filter, too.

    Images are (C, H, W), with independent noise in the channels, measured in blocks of side `SIDE`. A pixel becomes the
    mean of all filtered blocks that hold it, those that keep less noise counting more.
    """
    channels, height, width = noisy.shape
    corners = match_blocks(noise.brightness(guide), by=by, tuning=tuning)
    inside = torch.arange(SIDE, device=noisy.device)
    inside = (inside[:, None] * width + inside).reshape(-1)
    transform, across = block_transform(SIDE, noisy), across_group(corners.shape[1]).to(noisy)
    total, weights = (torch.zeros((channels, height * width)).to(noisy) for _ in range(2))
    differ = torch.full((corners.shape[1], 1), noise.across).to(noisy)
    differ[0] = 1  # the mean of the blocks of a group
    for group in torch.split(corners, GROUPS_AT_ONCE):
        pixels = (group[:, :, None] + inside).reshape(-1)
        signal, coefficients = (
            across @ (image.reshape(channels, -1)[:, pixels].reshape(channels, *group.shape, -1) @ transform.T)
            for image in (guide, noisy)
        )  # (C, groups, blocks in a group, coefficients of a block)
        mean = noise.brightness(signal[:, :, 0, 0]) / (SIDE * group.shape[1] ** 0.5)
        variance = tuning.caution * noise.variance(mean).mT[:, :, None, :]
        if by.threshold is None:
            gain = wiener_gain(signal, variance * differ)
        else:
            gain = (coefficients.square() > by.threshold**2 * variance * differ).to(signal)
        gain[:, :, 0, 0] = 1  # the mean of a group is kept
        weight = block_weight(gain, variance, dim=(2, 3), tuning=tuning)
        filtered = across.T @ (coefficients * gain) @ transform
        with repeatable_sums():
            for channel in range(channels):
                total[channel].index_add_(0, pixels, (filtered * weight)[channel].reshape(-1))
                weights[channel].index_add_(0, pixels, weight[channel].expand_as(filtered[channel]).reshape(-1))
    return (total / weights).reshape_as(noisy)


def is_nearly_white(noise: NoiseModel, *, tuning: RefineSettings = TUNED) -> bool:
    """R21: whether slow coefficients hold little more noise than fast ones, in each channel in blocks of side `SIDE`.

    Blocks of noise that is correlated are alike where their noise is: found in the noisy image, they would keep it.
    """
    frequency = torch.arange(SIDE).square()
    frequency = (frequency[:, None] + frequency).sqrt().reshape(-1).to(noise.psd)
    slow, fast = (frequency > 0) & (frequency <= SIDE / 4), frequency > SIDE / 2
    slope = noise.psd[:, slow].mean(dim=1) / noise.psd[:, fast].mean(dim=1)
    return float(slope.max()) <= tuning.max_white_slope


def across_group(size: int) -> Tensor:
    """Haar's transform of the blocks of a group, orthonormal, (size, size); the size is a power of two.

    Examples
    --------
    >>> across_group(2)
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]])
    """
    matrix, reach = torch.eye(size), 1
    while reach < size:
        near, far = matrix[:: 2 * reach].clone(), matrix[reach :: 2 * reach].clone()
        matrix[:: 2 * reach], matrix[reach :: 2 * reach] = (near + far) / 2**0.5, (near - far) / 2**0.5
        reach *= 2
    return matrix


def match_blocks(plane: Tensor, *, by: Grouping, tuning: RefineSettings = TUNED) -> Tensor:
    """Find the blocks of a plane (H, W) that are most similar to each one: (groups, blocks in a group).

    Blocks every `by.step` pixels are compared with those at most `search_radius` away by the squared distance of
    their pixels; each is the first of its own group. A block is named by its top left corner: row * W + column.
    """
    height, width = plane.shape
    radius, step = tuning.search_radius, by.step
    surroundings = F.pad(plane[None], (radius,) * 4, value=torch.inf)
    shifts = [(down, right) for down in range(2 * radius + 1) for right in range(2 * radius + 1)]
    distances = torch.stack(
        [
            F.avg_pool2d(
                (surroundings[:, down : down + height, right : right + width] - plane).square(), SIDE, stride=step
            ).reshape(-1)
            for down, right in shifts
        ],
        dim=1,
    )
    distances[:, len(shifts) // 2] = -1  # each block is in its own group, even where many are the same
    closest = distances.topk(by.size, dim=1, largest=False).indices
    offsets = torch.tensor([(down - radius) * width + right - radius for down, right in shifts], device=plane.device)
    rows, columns = (torch.arange(0, length - SIDE + 1, step, device=plane.device) for length in (height, width))
    corners = (rows[:, None] * width + columns).reshape(-1, 1)
    return corners + offsets[closest]
