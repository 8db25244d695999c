"""Convolution with a Gaussian, and holes that it fills."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.tiling import tiles

TILE = 512
"""Side in pixels of the tiles that holes are filled in: a convolution holds each pixel many times over."""


def fill_holes(noisy: Tensor, predicted: Tensor, valid: Tensor, *, width: float) -> Tensor:
    """Fill the holes of a copy of y with p, and next to rims with what y is there: normalised convolution of y - p.

    Blocks at a rim would show the step from y to p as an edge, and keep the noise beside it. All (C, H, W); `width` is
    that of the Gaussian, in pixels (Knutsson and Westin, "Normalized and differential convolution", CVPR 1993).
    """
    filled = noisy.clone()
    for tile in tiles(*noisy.shape[1:], tile_size=TILE, context=reach_of(width)):
        if valid[:, *tile.target].all():
            continue
        y, p, known = (plane[:, *tile.source] for plane in (noisy, predicted, valid))
        residual = torch.where(known, y - p, 0)
        weight = smooth(known.to(residual), width).clamp(min=torch.finfo(residual.dtype).tiny)
        filled[:, *tile.target] = torch.where(known, y, p + smooth(residual, width) / weight)[:, *tile.inside]
    return filled


def reach_of(width: float) -> int:
    """How far the Gaussian of a width reaches, pixels."""
    return math.ceil(4 * width)


def smooth(planes: Tensor, width: float) -> Tensor:
    """Planes (C, H, W) convolved with a Gaussian."""
    if width == 0:
        return planes
    reach = reach_of(width)
    weights = torch.exp(-torch.arange(-reach, reach + 1).to(planes).square() / (2 * width**2))
    line = (weights / weights.sum())[None, None]
    padded = F.pad(planes[:, None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, line[..., None, :]), line[..., None])[:, 0]
