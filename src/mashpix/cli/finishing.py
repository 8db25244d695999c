"""From what the method gives to what is written: detail back, blend, verdict; for `denoise` and `blend` alike."""

from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mashpix.trust.verdict import Verdict


def finish(
    noisy: NDArray[Any], denoised: NDArray[Any], *, strength: float, detail: float, channel_axis: int | None = None
) -> tuple[NDArray[Any], "Verdict"]:
    """The pixels to write, and the verdict on what they are a blend of. Pictures are grey, or have a channel axis.

    Noise that is left in on purpose is in the result and in its residual alike, and would look like lost detail.
    """
    from mashpix.arrays.normalization import blend
    from mashpix.trust.detail import add_detail
    from mashpix.trust.verdict import GOOD, Verdict, check

    if np.array_equal(noisy, denoised, equal_nan=True):  # a blank plane, which may hold nothing finite
        return denoised, Verdict(GOOD, "nothing was changed")
    detailed = add_detail(noisy, denoised, detail, channel_axis=channel_axis)
    return blend(noisy, detailed, strength), check(noisy, denoised, channel_axis=channel_axis)


def draw_comparison(
    noisy: NDArray[Any], denoised: NDArray[Any], *, channel_axis: int | None, name: str | None = None
) -> bytes:
    """What --compare writes. `name` says which plane of a stack it is."""
    from mashpix.trust.comparison_sheet import compare

    return compare(noisy, denoised, channel_axis=channel_axis, name=name)


def residual_of(noisy: NDArray[Any], denoised: NDArray[Any]) -> NDArray[np.float32]:
    """What was taken away, as --save keeps it; NaN at infinite pixels."""
    exact = np.float64 if denoised.itemsize > 4 else np.float32
    with np.errstate(invalid="ignore", over="ignore"):
        residual: NDArray[Any] = np.subtract(noisy, denoised, dtype=exact)
        return residual.astype(np.float32, copy=False)


def channels_last(picture: NDArray[Any]) -> int | None:
    """Axis of the channels of a picture (H, W) or (H, W, C)."""
    return -1 if picture.ndim == 3 else None


def show_verdict(verdict: "Verdict") -> None:
    """One line: the verdict and its reason."""
    typer.echo(f"verdict: {verdict.verdict} ({verdict.reason})")
