"""Overlapping blocks of an image as coefficients of the cosine transform, which separates image and noise.

Averaging shrunk overlapping blocks is the method of Yu and Sapiro, "DCT image denoising: a simple and effective image
denoising algorithm", IPOL 2011. Images here are (C, H, W) with independent noise in the channels, coefficients
(C, side * side, N) of N blocks.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.refine.tuning import TUNED, RefineSettings

OVERLAP = 4
"""Blocks start every side / OVERLAP pixels, so that 16 of them hold each pixel."""


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
    """Coefficients of all blocks of an image whose sides are multiples of the blocks'."""
    return block_transform(side, pixels) @ F.unfold(pixels[:, None], side, stride=side // OVERLAP)


def synthesise(
    coefficients: Tensor, gain: Tensor, variance: Tensor, size: tuple[int, int], *, tuning: RefineSettings = TUNED
) -> Tensor:
    """Image (C, *size) of coefficients of all blocks, as from `analyse`, times gain.

    Blocks that keep less noise, of a variance in each coefficient, count more where they overlap.
    """
    side = math.isqrt(coefficients.shape[1])
    weight = block_weight(gain, variance, dim=1, tuning=tuning)
    blocks = block_transform(side, coefficients).T @ (coefficients * gain)
    stride = side // OVERLAP
    total = F.fold(blocks * weight, size, side, stride=stride)
    return (total / F.fold(weight.expand_as(blocks), size, side, stride=stride))[:, 0]


def block_weight(
    gain: Tensor, variance: Tensor, *, dim: int | tuple[int, ...], tuning: RefineSettings = TUNED
) -> Tensor:
    """Weight of shrunk blocks: one over the fraction of their noise that they keep."""
    kept = (gain.square() * variance).sum(dim=dim, keepdim=True)
    held = variance.expand_as(gain).sum(dim=dim, keepdim=True).clamp(min=torch.finfo(variance.dtype).tiny)
    return 1 / (kept / held + tuning.min_kept_noise)


def wiener_gain(signal: Tensor, variance: Tensor) -> Tensor:
    """Gain of each coefficient: energy of the signal over that of signal and noise."""
    energy = signal.square()
    return energy / (energy + variance).clamp(min=torch.finfo(energy.dtype).tiny)


def block_means(coefficients: Tensor) -> Tensor:
    """Mean of each block in each channel, (C, N): the first coefficient is the mean times the side."""
    return coefficients[:, 0] / math.isqrt(coefficients.shape[1])


def keep_mean(gain: Tensor) -> Tensor:
    """Let the mean of each block through, its first coefficient."""
    gain[:, 0] = 1
    return gain
