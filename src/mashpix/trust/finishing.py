"""From a denoised image to what is written: texture restored, blended with the noisy image, and judged."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.blending import blend
from mashpix.arrays.colour import Channels
from mashpix.arrays.denoising import denoise_steps
from mashpix.missing import mask_missing
from mashpix.report import Report
from mashpix.settings import Settings
from mashpix.trust.detail import add_detail
from mashpix.trust.verdict import GOOD, UNCHANGED, Verdict, check


def finish(
    noisy: NDArray[Any],
    denoised: NDArray[Any],
    *,
    strength: float,
    detail: float,
    channel_axis: int | None = None,
    channels: Channels = "auto",
) -> tuple[NDArray[Any], Verdict]:
    """Restore detail in a denoised image, blend it with the noisy one, and judge it; options as in `denoise_and_check`.

    The verdict is on the denoised image before both: noise that is left in on purpose is in the result and in its
    residual alike, and would look like lost detail.
    """
    if np.array_equal(noisy, denoised, equal_nan=True):  # a blank plane, which may hold nothing finite
        return denoised, Verdict(GOOD, UNCHANGED)
    detailed = add_detail(noisy, denoised, detail=detail, channel_axis=channel_axis, channels=channels)
    verdict = check(noisy, denoised, channel_axis=channel_axis, channels=channels)
    return blend(noisy, detailed, strength=strength), verdict


@dataclass(frozen=True)
class Denoised:
    """A denoised image with all that is known of it.

    image : shape and dtype of the noisy image
    spread : standard deviation over the masks, float32, units of the image
    report : what was measured and decided
    verdict : whether signal was lost, as far as the residual shows
    """

    image: NDArray[Any]
    spread: NDArray[np.float32]
    report: Report
    verdict: Verdict


def denoise_and_check(
    image: NDArray[Any],
    *,
    channel_axis: int | None = None,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
    strength: float = 1.0,
    detail: float = 0.0,
) -> Denoised:
    """Denoise one image and return everything: the image, its spread, the report and the verdict.

    Parameters
    ----------
    image, channel_axis, channels, missing, data_range, settings, seed, device
        As in `denoise`.
    strength, detail : float
        As in `blend` and `add_detail`, applied to the denoised image; the verdict is on the image before both.

    Returns
    -------
    Denoised

    Raises
    ------
    InputError, UsageError, DeviceError
        As `denoise`, `blend` and `add_detail`.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(100, 10, (32, 32)).astype(np.float32)
    >>> result = denoise_and_check(noisy, settings=Settings(masking_ratio=0.5, steps=3), device="cpu")
    >>> result.image.shape, result.spread.shape, result.report.masking_ratio
    ((32, 32), (32, 32), 0.5)
    """
    image = mask_missing(image, missing, channel_axis=channel_axis)
    *_, last = denoise_steps(
        image,
        channel_axis=channel_axis,
        channels=channels,
        data_range=data_range,
        settings=settings,
        seed=seed,
        device=device,
        preview_every=0,
    )
    assert last.denoised is not None
    assert last.spread is not None
    assert last.report is not None
    decided = last.report.channels or "auto"
    finished, verdict = finish(
        image, last.denoised, strength=strength, detail=detail, channel_axis=channel_axis, channels=decided
    )
    return Denoised(finished, last.spread, last.report, verdict)
