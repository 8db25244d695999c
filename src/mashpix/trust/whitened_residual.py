"""The residual of a denoised image, block by block, against the noise that was measured in it."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mashpix.arrays.colour import Channels, Kind, decide_channels
from mashpix.arrays.normalization import Array, Normalized, normalize, to_picture
from mashpix.arrays.tones import noise_mean
from mashpix.errors import InputError
from mashpix.missing import holds_data, mask_missing
from mashpix.refine.colour import opponent_matrix
from mashpix.refine.dct import block_transform
from mashpix.refine.residual_noise import NoiseModel, measure_noise

SIDE = 16
"""Side in pixels of the blocks."""
STRIDE = 8
"""Distance in pixels of two blocks."""
MAX_SLOW_FREQUENCY = 4
"""Coefficients whose two frequencies add up to so much are slow: waves of 8 pixels and more."""

MIN_NOISE_FRACTION = 1e-6
"""Least variance of the noise, as a fraction of the mean square of the residual: flat blocks may be unchanged."""


class ScaledPair(NamedTuple):
    """An image before and after on one scale, in channels of independent noise.

    noisy, denoised : (C, H, W), 0 where not usable
    usable : (H, W): False where a channel of either holds no data
    is_rgb : whether the channels are brightness and the two opponent colours
    """

    noisy: Tensor
    denoised: Tensor
    usable: Tensor
    is_rgb: bool


class Blocks(NamedTuple):
    """Residual of each block of a grid, in units of the noise expected there.

    mean : (C, rows, columns): mean of the residual, in standard deviations of such means
    slow, fast : (rows, columns): mean square of the whitened slow and of the other coefficients; 1 for noise alone.
        Of RGB the brightness counts: its colours hold the coarse blocks of JPEG
    brightness : (rows, columns): of the denoised image
    variation : (rows, columns): variance of the denoised image inside the block, over all channels
    usable : (rows, columns): whether all pixels of the block are
    """

    mean: Tensor
    slow: Tensor
    fast: Tensor
    brightness: Tensor
    variation: Tensor
    usable: Tensor


def to_common_scale(
    noisy: NDArray[Any], denoised: NDArray[Any], *, channel_axis: int | None, is_rgb: bool = False
) -> ScaledPair:
    """Bring both arrays to the scale of the noisy one; different shapes or an invalid image raise `InputError`.

    A tone curve gives dark noise a mean: it is taken off where the result was freed of it. So are stripes.
    """
    noisy, denoised = np.asanyarray(noisy), np.asarray(denoised)
    if noisy.shape != denoised.shape:
        raise InputError(f"an image and its denoised version of different shapes ({noisy.shape} and {denoised.shape})")
    if denoised.dtype.kind not in "iuf":
        raise InputError(f"a denoised image of another kind of value ({denoised.dtype}; numbers needed)")
    normalized = normalize(
        noisy, channel_axis=channel_axis, data_range=None, scale="percentiles", is_rgb=is_rgb, stripes="auto"
    )
    after = denoised[None] if channel_axis is None else np.moveaxis(denoised, channel_axis, 0)
    after = mask_missing(after, ~holds_data(normalized.sound))
    cpu = torch.device("cpu")
    centred = normalized.array
    for taken_off in (noise_mean(centred, after, is_rgb=is_rgb), _pattern(normalized, after)):
        if taken_off is not None:
            centred = centred - taken_off
    before, result = (
        to_picture(replace(normalized, array=array, stripes=None), multiple=1, device=cpu) for array in (centred, after)
    )
    usable = (before.valid & result.valid)[0].all(dim=0)
    to_channels = opponent_matrix(before.unit, is_rgb=before.is_rgb)
    noisier, cleaner = (torch.tensordot(to_channels, item.pixels[0], dims=1).mul_(usable) for item in (before, result))
    return ScaledPair(noisier, cleaner, usable, before.is_rgb)


def _pattern(normalized: Normalized, denoised: Array) -> Array | None:
    """The stripes of an image (C, H, W), if they are missing in its result."""
    if normalized.stripes is None:
        return None
    pattern, held = normalized.stripes.pattern.astype(np.float64), holds_data(denoised)
    before, after = (np.where(held, np.asarray(array), 0).astype(np.float64) for array in (normalized.array, denoised))
    residual = before - after
    return pattern if (residual * pattern).sum() > np.square(pattern).sum() / 2 else None


def kind_of(noisy: NDArray[Any], *, channel_axis: int | None, channels: Channels) -> Kind | None:
    """Decide how the channels of an image belong together; None for a single one."""
    if channel_axis is None:
        return None
    return decide_channels(np.moveaxis(np.asanyarray(noisy), channel_axis, 0), channels)


def measure_residual(both: ScaledPair) -> NoiseModel | None:
    """The noise in flat blocks of the residual, never quite zero; None without a block to measure it in."""
    noise = measure_noise(both.noisy, both.denoised, both.usable, side=SIDE, is_rgb=both.is_rgb)
    if noise is None:
        return None
    least = MIN_NOISE_FRACTION * (both.noisy - both.denoised).square().mean()
    return noise._replace(psd=noise.psd.clamp(min=float(least)))


def whiten(residual: Tensor, denoised: Tensor, usable: Tensor, noise: NoiseModel) -> Blocks:
    """Compare the residual (C, H, W) of a denoised image with the noise measured in it, row of blocks by row."""
    parts = []
    for top in range(0, residual.shape[1] - SIDE + 1, STRIDE):
        here = slice(top, top + SIDE)
        parts.append(_whiten_row(residual[:, here], denoised[:, here], usable[here], noise))
    mean, *others = zip(*parts, strict=True)
    return Blocks(torch.stack(mean, dim=1), *(torch.stack(values) for values in others))


def _whiten_row(residual: Tensor, denoised: Tensor, usable: Tensor, noise: NoiseModel) -> tuple[Tensor, ...]:
    """Fields of `Blocks` for one row of them: arguments are SIDE pixels high."""
    cut = (plane.unfold(-1, SIDE, STRIDE).movedim(-2, -3).flatten(-2) for plane in (residual, denoised, usable))
    missed, seen, whole = cut  # (C, N, SIDE * SIDE) twice, (N, SIDE * SIDE)
    brightness = noise.brightness(seen.mean(dim=2))
    variance = noise.variance(brightness).transpose(1, 2).clamp(min=torch.finfo(seen.dtype).tiny)
    white = missed @ block_transform(SIDE, missed).T / variance.sqrt()
    index = torch.arange(SIDE)
    slow = ((index[:, None] + index) <= MAX_SLOW_FREQUENCY).flatten()
    main = white[:1] if noise.is_rgb else white
    energy = (main[:, :, part].square().mean(dim=(0, 2)) for part in (slow, ~slow))
    return white[:, :, 0].clone(), *energy, brightness, seen.var(dim=2).sum(dim=0), whole.all(dim=1)
