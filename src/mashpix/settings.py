"""Every number of the method, with its unit and source: one frozen dataclass, and the presets made from it.

Sources named below: [paper] Chihaoui and Favaro, CVPR 2024, arXiv 2404.09389; [scripts] its authors' released
scripts; [ours] measured here, see docs/experiments.md.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from mashpix.errors import UsageError

Scale = Literal["data-range", "percentiles"]
MaskChannels = Literal["each", "shared"]
Loss = Literal["squared", "absolute"]
ChooseBy = Literal["gap", "correlation"]
NoiseEstimate = Literal["one-pass", "mean"]
Shuffle = Literal["auto", "always", "never"]
Stripes = Literal["auto", "on", "off"]

RENAMED = {"channels": "network_channels"}
"""Settings whose flag on the command line is named differently from the field: there, --channels is another option."""


def number(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:
    """A field of `Settings`: its default, what it means, and the limits it is checked against."""
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one run; the defaults of the fields are the preset `scripts`.

    Every field is a flag of `mashpix denoise` and a key of the recipe. Grey levels are steps of an 8-bit
    image, that is 1/255 of the image's value range. A field outside its limits raises `UsageError`.
    """

    # What the network sees: scale of values (arrays/normalization.py)
    scale: Scale = number(
        "data-range",
        "how values become the network's 0..1: the nominal range, or the image's own percentiles",
    )  # [scripts]; percentiles: [ours]

    # Defects of the sensor, D1 to D4
    find_defects: bool = number(
        False, "find hot and dead pixels, cosmic rays and dead lines, and leave them out"
    )  # [ours], method.md
    repair_defects: bool = number(
        False, "fill the defects that were found from the result; else they are kept"
    )  # [ours]

    # Stripes and periodic patterns, S1 to S5
    stripes: Stripes = number(
        "off", "take off noise of rows and columns and periodic patterns: 'auto' where it is sure"
    )  # [ours], method.md

    # Masking, Eq. 3 and 4
    masking_ratio: float | None = number(
        None, "fraction of pixels hidden; 'auto' chooses it by the image", low=0.0, high=1.0
    )  # [paper]: chosen
    mask_channels: MaskChannels = number("each", "one mask per channel, or one shared by all")  # [scripts]
    loss: Loss = number("absolute", "error counted on hidden pixels")  # [scripts]; squared: [paper]

    # Choice of the masking ratio, Eq. 8 to 10
    choose_by: ChooseBy = number(
        "gap", "how the masking ratio is chosen: gap of two probes, or correlation of neighbours in flat blocks"
    )  # [paper]; correlation: [ours]
    low_ratio: float = number(0.1, "ratio chosen in the low regime", low=0.0, high=1.0)  # [scripts]
    medium_ratio: float = number(0.5, "ratio chosen in the medium regime", low=0.0, high=1.0)  # [paper], [scripts]
    high_ratio: float = number(0.9, "ratio chosen in the high regime", low=0.0, high=1.0)  # [scripts]
    low_probe_ratio: float = number(0.2, "ratio of the first probe", low=0.0, high=1.0)  # [paper], [scripts]
    high_probe_ratio: float = number(0.8, "ratio of the second probe", low=0.0, high=1.0)  # [paper], [scripts]
    probe_steps: int = number(800, "network updates of each probe", low=1)  # [scripts]
    noise_estimate: NoiseEstimate = number(
        "mean", "noise level from one masked pass (RMS) or from the mean prediction (standard deviation)"
    )  # [scripts]; one-pass: [paper]
    low_gap: float = number(1.0, "gaps up to this choose the low regime, grey levels", low=0.0)  # [scripts]
    high_gap: float = number(2.0, "gaps above this choose the high regime, grey levels", low=0.0)  # [scripts]
    low_correlation: float = number(
        0.2, "correlations up to this choose the low regime", low=0.0, high=1.0
    )  # [ours], experiments.md section 2
    high_correlation: float = number(
        0.35, "correlations above this choose the high regime", low=0.0, high=1.0
    )  # [ours], experiments.md section 2

    # Local pixel shuffling, Eq. 5 to 7
    shuffle: Shuffle = number("auto", "shuffle flat regions; auto: high regime only")  # [paper]
    shuffle_start: int = number(50, "update from which the target is shuffled (N1)", low=0)  # [scripts]
    block_size: int = number(4, "side of the tiles that are permuted, pixels (s)", low=2)  # [scripts]
    flat_threshold: float = number(
        0.5, "flat: local deviation below this fraction of its maximum (lambda)", low=0.0, high=1.0
    )  # [scripts]
    redraw_shuffle: bool = number(
        False, "a new permutation at every update instead of one for the whole fit"
    )  # [scripts]: one; a new one: [ours]

    # Network and its fit
    channels: int = number(48, "feature channels of the U-Net", low=1)  # [scripts]
    depth: int = number(5, "poolings of the U-Net", low=1, high=8)  # [scripts]
    steps: int = number(800, "network updates of the final fit (N)", low=1)  # [scripts]
    fits: int = number(1, "networks fitted one after another; the mean of their results counts", low=1)  # [ours]
    stop_after: int = number(
        0, "network updates of the run after which fits end early, on the schedule of the full fit; 0: never", low=0
    )  # [ours]: how a run that was stopped is made again
    learning_rate: float = number(4e-4, "Adam's first learning rate, annealed to 0 by a cosine", low=0.0)  # [scripts]
    window_size: int = number(
        512, "images with a larger side are fitted on random windows, pixels", low=32
    )  # [ours]: the published images are smaller

    # Prediction, Eq. 11
    masks: int = number(10, "random masks whose predictions are averaged (K)", low=1)  # [scripts]
    refine: bool = number(False, "restore detail above the estimated noise spectrum of the residual")  # [ours]
    threshold: float = number(2.7, "hard threshold of refining, noise standard deviations", low=0.0)  # [ours]
    tone_correction: bool = number(
        False, "lighten dark tones by what a tone curve's noise took from them, in colour photos that show it"
    )  # [ours], experiments.md section 9
    tile_size: int = number(
        512, "side of the tiles by which large images are predicted, pixels", low=32
    )  # [ours]: changes no result

    def __post_init__(self) -> None:
        """Check every field against its limits and choices."""
        for item in fields(self):
            _check(item.name, getattr(self, item.name), item.type, item.metadata)

    def replace(self, **values: Any) -> "Settings":
        """The same settings with other values for some fields."""
        return replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a recipe."""
        return asdict(self)


def _check(name: str, value: Any, kind: Any, metadata: Mapping[str, Any]) -> None:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise UsageError(f"{name}: unknown choice ({value!r}; one of {', '.join(get_args(kind))})")
        return
    if value is None and type(None) in get_args(kind):
        return
    if kind is bool or kind is int:
        fits = type(value) is kind
    else:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits:
        raise UsageError(f"{name}: wrong kind of value ({value!r}; {getattr(kind, '__name__', kind)} needed)")
    low, high = metadata["low"], metadata["high"]
    if not ((low is None or value >= low) and (high is None or value <= high)):
        limits = f"{low:g} or more" if high is None else f"{low:g} to {high:g}"
        raise UsageError(f"{name}: outside its limits ({value:g}; {limits})")


SCRIPTS = Settings()
PAPER = replace(
    SCRIPTS,
    low_ratio=0.2,
    medium_ratio=0.5,
    high_ratio=0.8,
    low_gap=1.5,
    high_gap=2.5,
    noise_estimate="one-pass",
    loss="squared",
)

DEFAULT = replace(  # [ours]
    SCRIPTS,
    scale="percentiles",
    find_defects=True,
    stripes="auto",
    choose_by="correlation",
    low_ratio=0.2,
    shuffle="never",
    channels=24,
    depth=3,
    steps=250,
    learning_rate=2e-3,
    window_size=128,
    refine=True,
    tone_correction=True,
)

PRESETS = MappingProxyType(
    {
        "default": DEFAULT,
        "fast": replace(DEFAULT, steps=60, masks=4),
        "scripts": SCRIPTS,
        "scripts-fmdd": replace(SCRIPTS, steps=700, probe_steps=700, shuffle_start=100, flat_threshold=0.1),
        "paper": PAPER,
    }
)
"""The presets by name."""


def preset(name: str | Settings) -> Settings:
    """The settings of a preset, or settings as they are; an unknown name raises `UsageError`.

    Examples
    --------
    >>> preset("paper").loss
    'squared'
    """
    if isinstance(name, Settings):
        return name
    if name not in PRESETS:
        raise UsageError(f"unknown preset ({name!r}; one of {', '.join(PRESETS)})")
    return PRESETS[name]
