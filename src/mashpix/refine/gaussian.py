"""Convolution with a Gaussian, and holes that it fills."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def fill_holes(noisy: Tensor, predicted: Tensor, valid: Tensor, *, width: float) -> Tensor:
    """Fill the holes of y with p, and next to their rims with what y is there: normalised convolution of y - p.

    Blocks at a rim would show the step from y to p as an edge, and keep the noise beside it. All (C, H, W); `width` is
    that of the Gaussian, in pixels (Knutsson and Westin, "Normalized and differential convolution", CVPR 1993).
    """
    if valid.all():
        return noisy
    residual = torch.where(valid, noisy - predicted, 0)
    weight = smooth(valid.to(residual), width).clamp(min=torch.finfo(residual.dtype).tiny)
    return torch.where(valid, noisy, predicted + smooth(residual, width) / weight)


def smooth(planes: Tensor, width: float) -> Tensor:
    """Planes (C, H, W) convolved with a Gaussian."""
    if width == 0:
        return planes
    reach = math.ceil(4 * width)
    weights = torch.exp(-torch.arange(-reach, reach + 1).to(planes).square() / (2 * width**2))
    line = (weights / weights.sum())[None, None]
    padded = F.pad(planes[:, None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, line[..., None, :]), line[..., None])[:, 0]
