"""Colour photos as tones, 0 black to 1 white, to find and undo the bias of their tone curve (`refine.tone_bias`)."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mashpix.arrays.normalization import Array, Normalized
from mashpix.missing import holds_data
from mashpix.refine.tone_bias import ToneBias, expected_bias, find_tone_bias, remove_tone_bias
from mashpix.refine.tuning import TUNED

BAND = 256
"""Rows whose tones are changed together: bounds the memory."""
LENIENT = replace(TUNED, max_tone_misfit=0.2, skewness_limits=(0.2, 2.5))
"""What a finished result has to show: limits that one whose bias was removed is safely within."""


def without_tone_bias(denoised: Tensor, normalized: Normalized) -> tuple[Tensor, float | None]:
    """Remove the bias from a result (1, C, H, W) on the network's scale, if it is a colour photo that shows it.

    Returns the RMS of the change too, in units of the image; None for a result that is left as it is.
    """
    if (white := _white(normalized.array, is_rgb=normalized.is_rgb)) is None:
        return denoised, None
    low, unit = (values[:, None, None].astype(np.float32) for values in (normalized.low, normalized.unit))
    height, width = normalized.array.shape[1:]
    step = _step(normalized.array)
    few = denoised[0, :, :height:step, :width:step].cpu().numpy()
    found = _find(normalized.array[:, ::step, ::step], (few * unit + low) / np.float32(white), white)
    if found is None:
        return denoised, None
    result, squares, held = denoised.clone(), 0.0, holds_data(normalized.array)
    for index, band in enumerate(torch.split(result[0, :, :height, :width], BAND, dim=1)):
        tones = (band.cpu().numpy() * unit + low) / np.float32(white)
        changed = remove_tone_bias(tones, found, tuning=TUNED).astype(np.float32)
        change = (changed - tones) * held[:, index * BAND : (index + 1) * BAND]
        squares += float(np.square(change).sum(dtype=np.float64))
        band.copy_(torch.from_numpy((changed * np.float32(white) - low) / unit))
    rms = (squares / held.sum()) ** 0.5
    return (result, white * rms) if rms >= TUNED.min_tone_change else (denoised, None)


def noise_mean(noisy: Array, denoised: Array, *, is_rgb: bool) -> Array | None:
    """Mean of the noise at each pixel of a result (C, H, W) without bias; None unless it explains the residual."""
    if (white := _white(noisy, is_rgb=is_rgb)) is None or noisy.dtype != denoised.dtype:
        return None
    step = _step(noisy)
    few, result = (array[:, ::step, ::step] for array in (noisy, denoised))
    found = _find(few, result / np.float32(white), white, unbiased=True)
    if found is None:
        return None
    mean = white * expected_bias(denoised / np.float32(white), found, tuning=LENIENT)
    residual = (noisy.astype(np.float32) - denoised).mean(axis=(1, 2))
    explained = np.square(residual - mean.mean(axis=(1, 2))).sum() < np.square(residual).sum()
    return mean if explained else None


def _white(array: Array, *, is_rgb: bool) -> int | None:
    """The value of white in a colour photo (C, H, W); None for anything else."""
    return int(np.iinfo(array.dtype).max) if is_rgb and array.dtype.kind == "u" else None


def _step(array: Array) -> int:
    """Distance along both axes of the pixels of an image (C, H, W) that suffice to find the bias."""
    return max(1, int(np.sqrt(array[0].size / TUNED.max_tones)))


def _find(noisy: Array, tones: Array, white: int, *, unbiased: bool = False) -> ToneBias | None:
    """The bias of the pixels (C, H, W) of a photo that hold data, and of its result."""
    held = holds_data(noisy).all(axis=0)
    few, result = (np.asarray(array)[:, held] for array in (noisy, tones))
    return find_tone_bias(few / white, result, unbiased=unbiased, tuning=LENIENT if unbiased else TUNED)
