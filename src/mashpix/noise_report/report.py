"""`NoiseReport`: the noise of an image before it is denoised, as data."""

from dataclasses import asdict, dataclass, field
from typing import Any

from mashpix.arrays.colour import Kind
from mashpix.durations import format_duration
from mashpix.notebook import as_table
from mashpix.report import Step


@dataclass(frozen=True)
class NoiseReport:
    """The noise of one image, and the cost of denoising it. None means unknown.

    Levels are standard deviations in the image's own units; docs/noise-report.md explains each.

    shape, dtype : of the image
    sigma : noise level, root of the mean variance over image and channels
    sigma_by_channel : the same for each channel
    noise_by_intensity : for each channel, pairs (intensity, noise level there)
    signal_dependent : whether the noise depends on the intensity
    signal_dependence : ratio of the largest to the smallest variance of the noise over the intensities of the image
    lag1 : correlation of the noise of neighbours (vertical, horizontal), mean over channels
    correlation_length : largest lag, pixels, up to which the correlation stays above 0.1 along an axis
    autocorrelation : (15, 15), lag (0, 0) at the centre, mean over channels
    channel_correlation : (C, C) correlation of the noise of the channels; None for a grey image
    kind : "white", "correlated", "structured" or "jpeg-blocky"
    kind_measures : the measures that decide the kind
    stripes : RMS of the offsets of rows and columns and of the waves that `denoise` takes off, units
    clipped_low, clipped_high : fraction of the values that pile up at the smallest and at the largest value
    nan_fraction : fraction of NaN and infinite values
    bit_depth : bits needed to represent the distinct values
    neighbour_correlation : correlation of neighbours in flat blocks, from which `default` chooses the masking ratio
    noise_level_gap : correlation gap (Eq. 9), grey levels; None unless probes were requested
    masking_ratio, shuffle : what `denoise` would use with these settings
    margin : distance of the correlation or the gap from the nearest threshold of the choice
    preset, device : to which masking ratio and cost refer; "custom" for settings other than a preset's
    seconds, memory_bytes : estimated cost of `denoise` there
    memory_free_bytes : free main memory
    channels : how `denoise` would treat several channels, "rgb", "independent" or "joint"; None for a single one
    planes : of a stack, the estimates for each inspected plane; the other fields describe the first of them
    notes : remarks for the user, one line each
    """

    shape: tuple[int, ...]
    dtype: str
    sigma: float | None = None
    sigma_by_channel: tuple[float, ...] = ()
    noise_by_intensity: tuple[tuple[tuple[float, float], ...], ...] = ()
    signal_dependent: bool | None = None
    signal_dependence: float | None = None
    lag1: tuple[float, float] | None = None
    correlation_length: int | None = None
    autocorrelation: tuple[tuple[float, ...], ...] | None = None
    channel_correlation: tuple[tuple[float, ...], ...] | None = None
    kind: str | None = None
    kind_measures: dict[str, float] = field(default_factory=dict)
    stripes: dict[str, float] = field(default_factory=dict)
    clipped_low: float = 0.0
    clipped_high: float = 0.0
    nan_fraction: float = 0.0
    bit_depth: int | None = None
    neighbour_correlation: float | None = None
    noise_level_gap: float | None = None
    masking_ratio: float | None = None
    shuffle: bool | None = None
    margin: float | None = None
    preset: str = "default"
    device: str = "cpu"
    seconds: float | None = None
    memory_bytes: int = 0
    memory_free_bytes: int | None = None
    channels: Kind | None = None
    planes: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values as text, for display."""
        reach = None if self.correlation_length is None else f"{self.correlation_length} pixels"
        bits = "" if self.bit_depth is None else f", {self.bit_depth} bits used"
        follows = None
        if self.signal_dependent is not None:
            answer = "yes" if self.signal_dependent else "no"
            follows = f"{answer} (largest to smallest variance {self.signal_dependence:.1f})"
        return [
            ("image", f"{' x '.join(map(str, self.shape))}, {self.dtype}{bits}"),
            ("noise level (sigma)", _text(self.sigma)),
            ("  by channel", ", ".join(map(_text, self.sigma_by_channel)) or "not known"),
            ("follows intensity", _text(follows)),
            ("kind", _text(self.kind)),
            ("correlation at lag 1", _text_lag1(self.lag1)),
            ("correlation length", _text(reach)),
            ("clipped", f"{self.clipped_low:.2%} low, {self.clipped_high:.2%} high"),
            ("NaN or infinite", f"{self.nan_fraction:.2%}"),
            ("neighbour correlation", _text(self.neighbour_correlation)),
            ("noise level gap", _text(self.noise_level_gap)),
            ("masking ratio", f"{_text(self.masking_ratio)} (margin {_text(self.margin)}, preset {self.preset})"),
            *([("channels", self.channels)] if self.channels else []),
            ("shuffling", "not known" if self.shuffle is None else "yes" if self.shuffle else "no"),
            ("time to denoise", "not known" if self.seconds is None else f"about {format_duration(self.seconds)}"),
            ("memory to denoise", f"about {self.memory_bytes / 2**30:.1f} GiB{self._free()}"),
            *((f"plane {plane['plane']}", _text_plane(plane)) for plane in self.planes),
            *(("note", note) for note in self.notes),
        ]

    def _free(self) -> str:
        return "" if self.memory_free_bytes is None else f", {self.memory_free_bytes / 2**30:.1f} GiB free"

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        return as_table(self.rows())


@dataclass(frozen=True)
class NoiseStep(Step):
    """The last step of an inspection: it holds the report."""

    noise_report: NoiseReport | None = None


def _text(value: Any) -> str:
    """Format a value as text."""
    return "not known" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _text_lag1(lag1: tuple[float, float] | None) -> str:
    return "not known" if lag1 is None else f"{lag1[0]:.2f} vertical, {lag1[1]:.2f} horizontal"


def _text_plane(plane: dict[str, Any]) -> str:
    """Format the estimates of one plane of a stack in one line."""
    ratio = f"masking ratio {_text(plane['masking_ratio'])}"
    return f"sigma {_text(plane['sigma'])}, {_text(plane['kind'])}, lag 1 {_text_lag1(plane['lag1'])}, {ratio}"
