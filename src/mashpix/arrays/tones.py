"""Colour photos as tones, 0 black to 1 white, to find and undo the bias of their tone curve (`refine.tone_bias`)."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mashpix.arrays.normalization import Array, Normalized
from mashpix.refine.tone_bias import ToneBias, expected_bias, find_tone_bias, remove_tone_bias
from mashpix.refine.tuning import TUNED

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
    tones = (denoised[0, :, :height, :width].cpu().numpy() * unit + low) / np.float32(white)
    if (found := _find(normalized.array, tones, white)) is None:
        return denoised, None
    changed = remove_tone_bias(tones, found, tuning=TUNED).astype(np.float32)
    change = float(np.sqrt(np.mean(np.square(changed - tones))))
    if change < TUNED.min_tone_change:
        return denoised, None
    result = denoised.clone()
    result[0, :, :height, :width] = torch.from_numpy((changed * np.float32(white) - low) / unit).to(denoised)
    return result, white * change


def noise_mean(noisy: Array, denoised: Array, *, is_rgb: bool) -> Array | float:
    """Mean that the noise has at each pixel of a result (C, H, W) without bias: 0 unless that explains the residual."""
    if (white := _white(noisy, is_rgb=is_rgb)) is None or noisy.dtype != denoised.dtype:
        return 0.0
    found = _find(noisy, denoised / np.float32(white), white, unbiased=True)
    if found is None:
        return 0.0
    mean = white * expected_bias(denoised / np.float32(white), found, tuning=LENIENT)
    residual = (noisy.astype(np.float32) - denoised).mean(axis=(1, 2))
    explained = np.square(residual - mean.mean(axis=(1, 2))).sum() < np.square(residual).sum()
    return mean if explained else 0.0


def _white(array: Array, *, is_rgb: bool) -> int | None:
    """The value of white in a colour photo (C, H, W); None for anything else."""
    return int(np.iinfo(array.dtype).max) if is_rgb and array.dtype.kind == "u" else None


def _find(noisy: Array, tones: Array, white: int, *, unbiased: bool = False) -> ToneBias | None:
    """The bias, from so many pixels as suffice."""
    step = max(1, int(np.sqrt(noisy[0].size / TUNED.max_tones)))
    few, result = (array[:, ::step, ::step].reshape(len(array), -1) for array in (noisy, tones))
    return find_tone_bias(few / white, result, unbiased=unbiased, tuning=LENIENT if unbiased else TUNED)
