"""From a denoised image to what is written: texture restored, blended with the noisy image, and judged."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels
from mashpix.arrays.normalization import blend
from mashpix.trust.detail import add_detail
from mashpix.trust.verdict import GOOD, Verdict, check


def finish(
    noisy: NDArray[Any],
    denoised: NDArray[Any],
    *,
    strength: float,
    detail: float,
    channel_axis: int | None = None,
    channels: Channels = "auto",
) -> tuple[NDArray[Any], Verdict]:
    """Restore detail in a denoised image, blend it with the noisy one, and judge it.

    Parameters
    ----------
    noisy, denoised : ndarray
        Images of one shape, grey (H, W) or with channels along `channel_axis`.
    strength, detail : float
        As in `blend` and `add_detail`.
    channel_axis : int or None
        Axis of the channels; None for a grey image.
    channels : {"auto", "rgb", "independent", "joint"}
        As in `denoise`.

    Returns
    -------
    ndarray, Verdict
        The pixels, in the dtype of `noisy`, and the verdict on the denoised image before both: noise that is left in
        on purpose is in the result and in its residual alike, and would look like lost detail.
    """
    if np.array_equal(noisy, denoised, equal_nan=True):  # a blank plane, which may hold nothing finite
        return denoised, Verdict(GOOD, "nothing was changed")
    detailed = add_detail(noisy, denoised, detail=detail, channel_axis=channel_axis, channels=channels)
    verdict = check(noisy, denoised, channel_axis=channel_axis, channels=channels)
    return blend(noisy, detailed, strength=strength), verdict
