"""Requests for jobs: frozen, picklable, with a default for every option, and independent of any front end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mashpix.arrays.colour import Channels, check_choice
from mashpix.axes import Networks
from mashpix.deprecation import FITS
from mashpix.errors import UsageError
from mashpix.files import MAX_PIXELS
from mashpix.jobs.model_reference import ModelReference
from mashpix.settings import PRESETS, Settings

Map = Literal["spread", "residual", "report"]
"""What can be saved beside an output, in addition to its recipe."""


def hashed_channels(channels: Channels) -> dict[str, Any]:
    """Return a choice as hashed in manifests and models: in the spelling of version 0.1, if it had this choice."""
    former = {"joint": channels == "joint"}
    return former if channels in ("auto", "joint") else former | {"channels": channels}


@dataclass(frozen=True, kw_only=True)
class DenoiseRequest:
    """Denoise one file: an image, or a stack plane by plane.

    source, target : the input file (or OME-Zarr folder), and the path of the result
    settings, seed, device, data_range : as in `mashpix.denoise`
    strength : 0 leaves the image as it is, 1 denoises it
    detail : how much fine texture to restore from the residual, 0 to 1
    axes : one letter per axis as tifffile writes them; None uses what the file says
    networks : "shared" fits one network to the planes of a kind, "each" fits one per plane
    channels : what the channels are, as in `mashpix.denoise`; "auto" uses what the file says, and measures three
        samples of an image if nothing is known about them
    model : a fitted model to apply, instead of fitting
    save : what to write beside the output, in addition to its recipe
    compare : path of a PNG that shows before, after and residual
    overwrite, in_place : whether existing outputs, or the input itself, may be replaced
    strict : refuse a file if part of it cannot be kept
    sparse : accept missing chunks of an OME-Zarr as empty
    max_pixels : largest width x height of a plane
    command : the command line that reproduces the output, for its recipe; "" if there is none
    """

    source: Path
    target: Path
    settings: Settings = PRESETS["default"]
    seed: int = 0
    device: str = "auto"
    data_range: float | None = None
    strength: float = 1.0
    detail: float = 0.0
    axes: str | None = None
    networks: Networks = "shared"
    channels: Channels = "auto"
    model: ModelReference | None = None
    save: tuple[Map, ...] = ()
    compare: Path | None = None
    overwrite: bool = False
    in_place: bool = False
    strict: bool = False
    sparse: bool = False
    max_pixels: int = MAX_PIXELS
    command: str = ""

    def __post_init__(self) -> None:
        """Refuse unknown choices; `UsageError` names them."""
        if self.networks not in get_args(Networks):
            raise UsageError(f"`networks`: unknown choice ({self.networks!r}; one of {', '.join(get_args(Networks))})")
        check_choice(self.channels)
        if unknown := sorted(set(self.save) - set(get_args(Map))):
            raise UsageError(f"`save`: unknown ({', '.join(unknown)}; any of {', '.join(get_args(Map))})")

    @property
    def fit(self) -> str:
        """The value of `networks` as spelled in recipes."""
        return next(fit for fit, networks in FITS.items() if networks == self.networks)

    @property
    def options(self) -> dict[str, Any]:
        """Options besides settings, seed and device that affect the bytes of an output, for the hash in a manifest."""
        names = ("strength", "detail", "data_range", "axes", "fit")
        model = {"model": self.model.sha256} if self.model else {}
        return {name: getattr(self, name) for name in names} | hashed_channels(self.channels) | model


@dataclass(frozen=True, kw_only=True)
class FitRequest:
    """Fit a model to up to four images or planes, evenly spread over those of the given files.

    sources : files of one kind
    target : path of the model
    settings, seed, device, data_range, axes, channels, sparse, max_pixels : as in `DenoiseRequest`
    overwrite : whether an existing model may be replaced
    names : name of each source in the model's header; if given, files that cannot be read are skipped
    """

    sources: tuple[Path, ...]
    target: Path
    settings: Settings = PRESETS["default"]
    seed: int = 0
    device: str = "auto"
    data_range: float | None = None
    axes: str | None = None
    channels: Channels = "auto"
    overwrite: bool = False
    sparse: bool = False
    max_pixels: int = MAX_PIXELS
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse channels that there are not."""
        check_choice(self.channels)


@dataclass(frozen=True, kw_only=True)
class InspectRequest:
    """Estimate the noise of an image or a stack.

    source : the input
    html, json : paths of the report, if any
    denoised : the denoised version: the report shows what was removed, with a verdict
    preset_name, probe, device, seed : as in `mashpix.inspect`
    axes, channels, max_pixels, sparse : as in `DenoiseRequest`
    overwrite : whether existing reports may be replaced
    """

    source: Path
    html: Path | None = None
    json: Path | None = None
    denoised: Path | None = None
    preset_name: str = "default"
    probe: bool = False
    device: str = "auto"
    seed: int = 0
    axes: str | None = None
    channels: Channels = "auto"
    max_pixels: int = MAX_PIXELS
    sparse: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Refuse channels that there are not."""
        check_choice(self.channels)


@dataclass(frozen=True, kw_only=True)
class BlendRequest:
    """Blend a denoised file with its noisy original, and restore detail; nothing is trained.

    source, finished : the noisy file, whose metadata is kept, and its denoised version
    target : path of the result
    strength, detail, compare, axes, overwrite, max_pixels : as in `DenoiseRequest`
    """

    source: Path
    finished: Path
    target: Path
    strength: float = 1.0
    detail: float = 0.0
    compare: Path | None = None
    axes: str | None = None
    overwrite: bool = False
    max_pixels: int = MAX_PIXELS
