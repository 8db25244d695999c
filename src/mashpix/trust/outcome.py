"""What a verdict says: plain data that travels between processes, read without torch."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """Whether a denoised image can be trusted to hold the signal, as far as its residual tells.

    verdict : "good", "look closer" or "signal lost"
    reason : one line that names the measure that decided, and its value
    measures : what was measured, by name; empty where nothing could be:
        residual_level : standard deviation of the residual, units of the image
        mean_change : mean of denoised minus noisy, units of the image
        offset : largest mean of the residual over the channels, noise levels
        offset_error : the same in standard errors of that mean
        local_offset : largest mean of the residual of a block, in deviations that the noise lets expect; about 4
            for noise alone
        whiteness : slow over fast energy of the whitened residual where the image is rough; 1 for noise alone
        edges : energy of the residual where the image is rough, over that where it is flat
        displacement : shift that the residual shows, pixels
        displacement_error : the same in standard errors
        displacement_level : RMS of what that shift has changed where it has most, noise levels
        missing_detail : detail that the residual holds over what the denoised image still has, at 1 to 2 pixels
        missing_detail_level : RMS of that detail, noise levels
        signal_correlation : correlation of the residual with the detail of the denoised image where it has most
        structure : largest slow energy of a block of the residual, over its fast energy and over what is usual at
            its brightness; up to about 3 for noise alone
        mean_loss : RMS change of the means of regions of 16 x 16 pixels beyond that by chance, as a fraction of what
            they differ by; where the noise is below one unit of an integer dtype, else 0
        mean_loss_error : the same change in standard errors of the means; about 1 for noise alone
        residual_excess : how much the level of the residual exceeds that of the noise, estimated from the noisy image
            alone, as a fraction of it, largest of the channels; about 0 for noise alone
        noise_whiteness : 1 minus the largest correlation of the noise of two neighbouring pixels, by that estimate
        noise_evenness : least over largest variance of the noise in dark and bright places, by that estimate
        short_tails : how much the fourth moment of the residual's fast coefficients falls short of that of noise;
            about 0 for noise alone, more where weak texture was removed and strong texture kept
        short_tails_error : the same in standard errors
        slow_excess : level of the residual over that of its fastest coefficients; 1 for white noise
    place : top, left, height and width in pixels of a block that the reason speaks of; None if it speaks of all
    plane : of a stack, the plane that the reason speaks of, as in "T 3, C 0"
    """

    verdict: str
    reason: str
    measures: dict[str, float] = field(default_factory=dict)
    place: tuple[int, int, int, int] | None = field(default=None, repr=False)
    plane: str = field(default="", repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)
