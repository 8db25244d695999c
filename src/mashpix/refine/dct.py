"""Overlapping blocks of a picture, as coefficients of the cosine transform: there, noise and picture come apart.

Averaging shrunk overlapping blocks is the method of Yu and Sapiro, "DCT image denoising", IPOL 2011.
Pictures here are (C, H, W) with independent noise in the channels, coefficients (C, side * side, N) of N blocks.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

OVERLAP = 4
"""Blocks start every side / OVERLAP pixels."""
WEIGHT_FLOOR = 0.01
"""Least noise that a block is taken to keep when blocks are averaged, as a fraction of what it held."""


def cosine_matrix(size: int) -> Tensor:
    """Orthonormal discrete cosine transform (type 2) of vectors of a size, (size, size).

    Examples
    --------
    >>> cosine_matrix(2)
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]])
    """
    place = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(torch.pi / size * (place[None, :] + 0.5) * place[:, None]) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


def block_transform(side: int, like: Tensor) -> Tensor:
    """Orthonormal cosine transform of blocks, (side * side, side * side), on the device of `like`."""
    cosine = cosine_matrix(side)
    return torch.kron(cosine, cosine).to(like)


def analyse(pixels: Tensor, side: int) -> Tensor:
    """Coefficients of all blocks of a picture whose sides are multiples of the blocks'."""
    return block_transform(side, pixels) @ F.unfold(pixels[:, None], side, stride=side // OVERLAP)


def synthesise(coefficients: Tensor, gain: Tensor, variance: Tensor, size: tuple[int, int]) -> Tensor:
    """The picture (C, *size) of coefficients times gain; blocks that keep less noise count more where they overlap.

    Parameters
    ----------
    coefficients, gain : Tensor
        Of all blocks, as `analyse` gives them.
    variance : Tensor
        Of the noise in each coefficient.
    """
    side = math.isqrt(coefficients.shape[1])
    weight = noise_weight(gain, variance, dim=1)
    blocks = block_transform(side, coefficients).T @ (coefficients * gain)
    stride = side // OVERLAP
    total = F.fold(blocks * weight, size, side, stride=stride)
    return (total / F.fold(weight.expand_as(blocks), size, side, stride=stride))[:, 0]


def noise_weight(gain: Tensor, variance: Tensor, *, dim: int | tuple[int, ...]) -> Tensor:
    """Weight of shrunk coefficients: one over the fraction of their noise that they keep."""
    kept = (gain.square() * variance).sum(dim=dim, keepdim=True)
    held = variance.expand_as(gain).sum(dim=dim, keepdim=True).clamp(min=torch.finfo(variance.dtype).tiny)
    return 1 / (kept / held + WEIGHT_FLOOR)


def wiener_gain(signal: Tensor, variance: Tensor) -> Tensor:
    """Gain of each coefficient: energy of the signal over that of signal and noise."""
    energy = signal.square()
    return energy / (energy + variance).clamp(min=torch.finfo(energy.dtype).tiny)


def brightness(coefficients: Tensor, *, is_rgb: bool) -> Tensor:
    """Mean of each block, (N,): in RGB that of the first of the opponent colours, else that over the channels."""
    side = math.isqrt(coefficients.shape[1])
    return main_channel(coefficients[:, 0], is_rgb=is_rgb) / side  # the first coefficient is the mean times the side


def main_channel(channels: Tensor, *, is_rgb: bool) -> Tensor:
    """The channel that noise depends on: in RGB the first of the opponent colours, else the mean of them (C, ...)."""
    return channels[0] if is_rgb else channels.mean(dim=0)


def opponent_colours(unit: Tensor, *, is_rgb: bool) -> Tensor:
    """Matrix (C, C) from the network's scale to channels of independent noise: RGB to brightness and two opponents."""
    if not is_rgb:
        return torch.eye(len(unit)).to(unit)
    return cosine_matrix(3).to(unit) * (unit / unit.max())
