"""Convolution with a Gaussian, and holes that it fills."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.tiling import Tile, tiles

TILE = 512
"""Side in pixels of the tiles that holes are filled in: a convolution holds each pixel many times over."""
TRACE = 1e-9
"""Weight of what a hole is filled with already, where it is to continue what is around it."""


def fill_holes(noisy: Tensor, predicted: Tensor, valid: Tensor, *, width: float) -> Tensor:
    """Fill the holes of a copy of y with p, and next to rims with what y is there: normalised convolution of y - p.

    Blocks at a rim would show the step from y to p as an edge, and keep the noise beside it. All (C, H, W); `width` is
    that of the Gaussian, in pixels (Knutsson and Westin, "Normalized and differential convolution", CVPR 1993).
    """
    filled = noisy.clone()
    for tile in _tiles_with_holes(valid, width):
        y, p, known = (plane[:, *tile.source] for plane in (noisy, predicted, valid))
        residual = torch.where(known, y - p, 0)
        weight = smooth(known.to(residual), width).clamp(min=torch.finfo(residual.dtype).tiny)
        filled[:, *tile.target] = torch.where(known, y, p + smooth(residual, width) / weight)[:, *tile.inside]
    return filled


def continue_smoothly(filled: Tensor, valid: Tensor, *, widths: tuple[float, ...], share: float) -> None:
    """Fill the holes of planes anew, in place, with what is around them: normalised convolution with several Gaussians.

    Each Gaussian counts by a `share` of the one before, so that the narrowest decides wherever it reaches data. All
    (C, H, W); `filled` is kept where none does.
    """
    for tile in _tiles_with_holes(valid, max(widths)):
        y, known = filled[:, *tile.source], valid[:, *tile.source]
        total, weight = TRACE * y, torch.full_like(y, TRACE)
        for index, width in enumerate(widths):
            total += share**index * smooth(torch.where(known, y, 0), width)
            weight += share**index * smooth(known.to(y), width)
        filled[:, *tile.target] = torch.where(known, y, total / weight)[:, *tile.inside]


def has_holes(valid: Tensor) -> bool:
    """Whether pixels (C, H, W) are missing, other than those that the last rows and columns are padded with."""
    if not valid.any():  # of a window
        return False
    height, width = (int(valid.any(dim=0).any(dim=axis).nonzero().amax()) + 1 for axis in (1, 0))
    return not valid[:, :height, :width].all()


def _tiles_with_holes(valid: Tensor, width: float) -> Iterator[Tile]:
    """The tiles of (C, H, W) that miss some pixels, with as much around them as a Gaussian reaches."""
    for tile in tiles(*valid.shape[1:], tile_size=TILE, context=reach_of(width)):
        if not valid[:, *tile.target].all():
            yield tile


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
