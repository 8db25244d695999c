"""Similar blocks of a picture, shrunk together: what repeats in them is picture, what does not is noise.

Block matching and the collaborative Wiener filter are those of Dabov et al., "Image denoising by sparse 3-D
transform-domain collaborative filtering", IEEE TIP 2007.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.devices import repeatable_sums
from mashpix.refine.dct import block_transform, cosine_matrix, main_channel, noise_weight, wiener_gain
from mashpix.refine.residual_noise import Noise

SIDE = 8
"""Side in pixels of the blocks."""
STEP = 4
"""Distance in pixels of the blocks that a group is gathered for."""
GROUP_SIZE = 32
"""Blocks in a group."""
REACH = 16
"""How far from its first block, in pixels along each axis, the others of a group may lie."""
CONTEXT = 2 * (REACH + SIDE)
"""Pixels beyond a region that can change the result in it."""
GROUPS_AT_ONCE = 256
"""Groups that are held in memory together: few enough for their numbers to stay in the processor's cache."""


def filter_groups(observed: Tensor, pilot: Tensor, noise: Noise, *, caution: float) -> Tensor:
    """Wiener filter of groups of similar blocks, found in a pilot, which also tells their signal.

    Parameters
    ----------
    observed, pilot : Tensor
        The noisy picture and an estimate of the clean one, (C, H, W), with independent noise in the channels.
    noise : Noise
        Measured in blocks of side `SIDE`.
    caution : float
        What the variance of the noise is multiplied by.

    Returns
    -------
    Tensor
        (C, H, W).
    """
    channels, height, width = observed.shape
    places = find_similar(pilot, is_rgb=noise.is_rgb)
    inside = torch.arange(SIDE, device=observed.device)
    inside = (inside[:, None] * width + inside).reshape(-1)
    transform, across = block_transform(SIDE, observed), cosine_matrix(places.shape[1]).to(observed)
    total, weights = (torch.zeros((channels, height * width)).to(observed) for _ in range(2))
    for group in torch.split(places, GROUPS_AT_ONCE):
        pixels = (group[:, :, None] + inside).reshape(-1)
        signal, coefficients = (
            across @ (picture.reshape(channels, -1)[:, pixels].reshape(channels, *group.shape, -1) @ transform.T)
            for picture in (pilot, observed)
        )  # (C, groups, blocks in a group, coefficients of a block)
        mean = main_channel(signal[:, :, 0, 0], is_rgb=noise.is_rgb) / (SIDE * group.shape[1] ** 0.5)
        variance = caution * noise.variance(mean).mT[:, :, None, :]
        gain = wiener_gain(signal, variance)
        gain[:, :, 0, 0] = 1  # the mean of a group is kept
        weight = noise_weight(gain, variance, dim=(2, 3))
        filtered = across.T @ (coefficients * gain) @ transform
        with repeatable_sums():
            for channel in range(channels):
                total[channel].index_add_(0, pixels, (filtered * weight)[channel].reshape(-1))
                weights[channel].index_add_(0, pixels, weight[channel].expand_as(filtered[channel]).reshape(-1))
    return (total / weights).reshape_as(observed)


def find_similar(pilot: Tensor, *, is_rgb: bool) -> Tensor:
    """Where the blocks most similar to each one lie: (groups, blocks in a group), as row * W + column of their corner.

    Blocks every `STEP` pixels are compared with those at most `REACH` away by the squared distance of their pixels,
    in the main channel; each is the first of its own group.
    """
    height, width = pilot.shape[1:]
    main = main_channel(pilot, is_rgb=is_rgb)[None]
    surroundings = F.pad(main, (REACH,) * 4, value=torch.inf)
    shifts = [(down, right) for down in range(2 * REACH + 1) for right in range(2 * REACH + 1)]
    distances = torch.stack(
        [
            F.avg_pool2d(
                (surroundings[:, down : down + height, right : right + width] - main).square(),
                SIDE,
                stride=STEP,
            ).reshape(-1)
            for down, right in shifts
        ],
        dim=1,
    )
    distances[:, len(shifts) // 2] = -1  # each block is in its own group, even where many are the same
    closest = distances.topk(GROUP_SIZE, dim=1, largest=False).indices
    offsets = torch.tensor([(down - REACH) * width + right - REACH for down, right in shifts], device=pilot.device)
    rows, columns = (torch.arange(0, length - SIDE + 1, STEP, device=pilot.device) for length in (height, width))
    corners = (rows[:, None] * width + columns).reshape(-1, 1)
    return corners + offsets[closest]
