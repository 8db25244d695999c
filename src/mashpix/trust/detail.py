"""Restore fine texture from the residual of a finished result, where it exceeds the noise."""

from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mashpix.arrays.colour import Channels
from mashpix.deprecation import third_by_name
from mashpix.errors import UsageError
from mashpix.missing import holds_data, mask_missing
from mashpix.trust.whitened_residual import STRIDE, Blocks, kind_of, measure_residual, to_common_scale, whiten

CHANCE = 1.5
"""Energy of the residual of a block, 1 for noise alone, up to which nothing is brought back."""
SLOW_WINDOW = 9
"""Side in pixels of the windows whose mean residual stays out: only what is finer comes back. Odd."""


@third_by_name("detail")
def add_detail(
    noisy: NDArray[Any],
    denoised: NDArray[Any],
    *,
    detail: float,
    channel_axis: int | None = None,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
) -> NDArray[Any]:
    """Restore fine texture from the residual, where a block of it holds more energy than the noise would.

    The noise is measured in flat blocks of the residual. A block of 16 x 16 pixels whose residual holds e times the
    energy expected there gets the fraction detail * (1 - 1.5 / e) of the fine part of its residual back; weights
    are interpolated between blocks. The texture carries its noise with it.

    Parameters
    ----------
    noisy, denoised : ndarray
        Images of one shape, grey (H, W) or with channels along `channel_axis`.
    detail : float
        0 gives the denoised image as it is, 1 the most.
    channel_axis : int or None
        Axis of the channels; None for a grey picture.
    channels : {"auto", "rgb", "independent", "joint"}
        As for `denoise`.
    missing : ndarray of bool or None
        True for pixels without data, as for `denoise`.

    Returns
    -------
    ndarray
        Shape and dtype of `noisy`; pixels without data as in `denoised`, values within the range of both.

    Raises
    ------
    InputError
        If the shapes differ or an array is not a valid image.
    UsageError
        If `detail` is not within 0 to 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> flat = np.full((64, 64), 100.0)
    >>> bool((add_detail(flat + rng.normal(0, 5, flat.shape), flat, detail=1.0) == flat).all())  # noise alone
    True
    """
    if not 0 <= detail <= 1:
        raise UsageError(f"`detail`: outside its limits ({detail:g}; 0 to 1)")
    if detail == 0 and noisy.shape == denoised.shape:
        return denoised.astype(noisy.dtype, copy=True)
    noisy = mask_missing(noisy, missing, channel_axis=channel_axis)
    kind = kind_of(noisy, channel_axis=channel_axis, channels=channels)
    if channel_axis is not None and kind == "independent" and noisy.shape == denoised.shape:
        pairs = zip(*(np.moveaxis(array, channel_axis, 0) for array in (noisy, denoised)), strict=True)
        return np.stack([_add_to_one(before, after, detail, None, False) for before, after in pairs], axis=channel_axis)
    return _add_to_one(noisy, denoised, detail, channel_axis, kind == "rgb")


def _add_to_one(
    noisy: NDArray[Any], denoised: NDArray[Any], detail: float, channel_axis: int | None, is_rgb: bool
) -> NDArray[Any]:
    """Detail in channels that have their noise in common; an image that is unchanged, a blank one too, stays so."""
    if np.array_equal(noisy, denoised, equal_nan=True):
        return denoised.astype(noisy.dtype, copy=True)
    both = to_common_scale(noisy, denoised, channel_axis=channel_axis, is_rgb=is_rgb)
    residual = both.noisy - both.denoised
    noise = measure_residual(both)
    if noise is None:
        return denoised.astype(noisy.dtype, copy=True)
    weight = detail * _weight(whiten(residual, both.denoised, both.usable, noise), residual)
    return _add(noisy, denoised, weight.numpy(), channel_axis=channel_axis)


def _weight(blocks: Blocks, residual: Tensor) -> Tensor:
    """Fraction (H, W) of the fine residual that comes back, before `detail`: linear between the centres of blocks."""
    gain = (1 - CHANCE / blocks.fast.clamp(min=CHANCE)) * blocks.usable
    cells = F.pad(gain[None, None], (1, 2, 1, 2), mode="replicate")  # each cell STRIDE wide, its block's centre at
    height, width = residual.shape[1:]  # half a cell more than its own
    pixels = F.interpolate(cells, scale_factor=STRIDE, mode="bilinear")[0, 0, STRIDE // 2 :, STRIDE // 2 :]
    return pixels[:height, :width]


def _add(
    noisy: NDArray[Any], denoised: NDArray[Any], weight: NDArray[Any], *, channel_axis: int | None
) -> NDArray[Any]:
    """The denoised image and the weighted fine part of its residual, in the dtype of the noisy one."""
    from scipy.ndimage import uniform_filter

    axes = [axis for axis in range(noisy.ndim) if channel_axis is None or axis != channel_axis % noisy.ndim]
    held = holds_data(noisy) & np.isfinite(denoised)
    before, after = (np.where(held, np.asarray(values), 0).astype(np.float64) for values in (noisy, denoised))
    residual = before - after
    fine = residual - uniform_filter(residual, SLOW_WINDOW, axes=axes, mode="nearest")
    weight = weight if channel_axis is None else np.expand_dims(weight, channel_axis % noisy.ndim)
    result = np.clip(after + weight * fine, np.minimum(before, after).min(), np.maximum(before, after).max())
    returned = np.asarray((np.rint(result) if noisy.dtype.kind in "iu" else result).astype(noisy.dtype))
    kept = ~held | np.broadcast_to(weight == 0, noisy.shape)
    returned[kept] = denoised[kept]
    return returned
