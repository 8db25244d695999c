"""The records of a run: a `Step` for every update, and a `Report` of measurements and decisions."""

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from mashpix.notebook import as_table

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Report:
    """Measurements and decisions of one run. Levels are in the units of the image unless stated otherwise.

    shape, dtype : of the image
    device, threads : where it ran; `threads` counts those that torch may use on a CPU
    hole_fraction : fraction of NaN and infinite values, left as they were
    defects : number of defects of the sensor of each kind; they were left out
    repaired : whether the defects were filled from the result; else they are as they were
    stripes : RMS of the offsets of rows and columns and of the waves that were taken off, of those there were
    channels : how several channels were denoised, "rgb" (the colours of one scene), "independent" or "joint"; None
        for a single one
    constant : True if there was nothing to denoise and the image was returned unchanged
    low_noise_level, high_noise_level : noise level seen by the probes (Eq. 8); None without probes
    noise_level_gap : correlation gap (Eq. 9), grey levels; None without probes
    neighbour_correlation : correlation of neighbouring pixels in flat blocks; None where there are none
    masking_ratio : fraction hidden in the fit (Eq. 10)
    shuffled_fraction : fraction of the pixels that local pixel shuffling moved
    mean_spread : mean over the image of the standard deviation over the masks
    held_out_error : RMS of prediction minus image at pixels that a mask hid from the prediction, before refining;
        the fit had them as targets under other masks
    channel_groups : numbers of the channels that shared a network, group by group; empty for a constant image
    averaged_channels : channels that the network had not learnt to predict: before refining, an average of the
        neighbours took the place of the prediction
    few_blocks : True if there were too few blocks of 16 x 16 pixels to measure the noise in (an image of up to about
        48 x 48, narrow strips, mostly holes): it was limited to what neighbouring pixels show
    tone_change : RMS change by `tone_correction`; None where the image does not show that its noise has a bias
    rounding_loss : RMS change of the means of regions of 16 x 16 pixels by rounding to whole numbers, as a fraction of
        what they differ by; None where it does not matter
    seconds : time spent in each stage
    notes : remarks for the user, one line each
    """

    shape: tuple[int, ...]
    dtype: str
    device: str
    threads: int
    hole_fraction: float = 0.0
    defects: dict[str, int] = field(default_factory=dict)
    repaired: bool = False
    stripes: dict[str, float] = field(default_factory=dict)
    channels: Literal["rgb", "independent", "joint"] | None = None
    constant: bool = False
    low_noise_level: float | None = None
    high_noise_level: float | None = None
    noise_level_gap: float | None = None
    neighbour_correlation: float | None = None
    masking_ratio: float | None = None
    shuffled_fraction: float = 0.0
    mean_spread: float | None = None
    held_out_error: float | None = None
    channel_groups: tuple[tuple[int, ...], ...] = ()
    averaged_channels: tuple[int, ...] = ()
    few_blocks: bool = False
    tone_change: float | None = None
    rounding_loss: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def noted(self, note: str) -> "Report":
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        return as_table([(name, str(value)) for name, value in self.to_dict().items()])


@dataclass(frozen=True)
class Step:
    """One update, one predicted tile, or the end of a run.

    stage : "probe 0.2", "probe 0.8", "fit", "predict" (from the second network on "fit 2", ...), the stages of
        refining, in a stack "plane", "done" (the ratios are those of the settings)
    index, total : updates done in this stage, from 1, and how many it has
    fraction : share of the whole run that is done, 0 to 1, by expected cost
    loss : mean error over the hidden pixels, a 0-dimensional tensor (reading it waits for a GPU); None where
        there is none
    denoised : shape and dtype of the input: now and then a preview, and on the last step the result. In a stack the
        plane that is finished; the last step then has none
    preview : inside the method, a preview as a tensor; callers of public functions see it as `denoised`
    spread : on the last step, and for each plane of a stack, the standard deviation over the masks, float32, units of
        the image
    report : on the last step; in a stack, of each image too
    plane : in a stack, the index of the plane `denoised`, as in `stack[plane]`; else None
    """

    stage: str
    index: int
    total: int
    fraction: float = 0.0
    loss: "Tensor | None" = None
    denoised: NDArray[Any] | None = None
    preview: "Tensor | None" = None
    spread: NDArray[Any] | None = None
    report: Report | None = None
    plane: tuple[int | slice, ...] | None = None
