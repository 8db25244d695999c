"""From what the method gives to what is written: detail back, blend, verdict; for `denoise` and `blend` alike."""

from typing import TYPE_CHECKING, Any

import typer
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mashpix.checking import Verdict


def finish(
    noisy: NDArray[Any], denoised: NDArray[Any], *, strength: float, detail: float
) -> tuple[NDArray[Any], "Verdict"]:
    """The pixels to write, and the verdict on what they are a blend of. Pictures are (H, W) or (H, W, C).

    Noise that is left in on purpose is in the result and in its residual alike, and would look like lost detail.
    """
    from mashpix.checking import check
    from mashpix.detail import add_detail
    from mashpix.images import blend

    channel_axis = -1 if noisy.ndim == 3 else None
    detailed = add_detail(noisy, denoised, detail, channel_axis=channel_axis)
    return blend(noisy, detailed, strength), check(noisy, denoised, channel_axis=channel_axis)


def draw_comparison(noisy: NDArray[Any], denoised: NDArray[Any]) -> bytes:
    """What --compare writes. Pictures are (H, W) or (H, W, C)."""
    from mashpix.comparing import compare

    return compare(noisy, denoised, channel_axis=-1 if noisy.ndim == 3 else None)


def show_verdict(verdict: "Verdict") -> None:
    """One line: the verdict and its reason."""
    typer.echo(f"verdict: {verdict.verdict} ({verdict.reason})")
