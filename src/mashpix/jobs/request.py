"""What jobs are asked for: frozen, picklable, every option with a default; knows no command line, HTTP or Qt."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mashpix.arrays.colour import Channels, check_choice
from mashpix.axes import Networks
from mashpix.errors import UsageError
from mashpix.files import MAX_PIXELS
from mashpix.jobs.model_reference import ModelReference
from mashpix.settings import PRESETS, Settings

FITS: dict[str, Networks] = {"once": "shared", "each": "each"}
"""How recipes, and version 0.1 everywhere, name the choices of `Networks`."""
Map = Literal["spread", "residual", "report"]
"""What can be saved beside an output, besides its recipe."""


def networks_of(fit: str) -> Networks:
    """The choice that recipes and the former option `fit` name "once" or "each".

    Raises
    ------
    UsageError
        For any other name.
    """
    if fit not in FITS:
        raise UsageError(f"`fit`: unknown choice ({fit!r}; one of {', '.join(FITS)})")
    return FITS[fit]


def hashed_channels(channels: Channels) -> dict[str, Any]:
    """A choice as manifests and models hash it: as version 0.1 spelled it, where it knew the choice."""
    former = {"joint": channels == "joint"}
    return former if channels in ("auto", "joint") else former | {"channels": channels}


@dataclass(frozen=True, kw_only=True)
class DenoiseRequest:
    """Denoise one file: an image, or a stack plane by plane.

    source, target : the input file (or OME-Zarr folder) and where the result goes
    settings, seed, device, data_range : as in `mashpix.denoise`
    strength : 0 leaves the image as it is, 1 denoises it
    detail : how much fine texture is restored from the residual, 0 to 1
    axes : one letter per axis as tifffile writes them; None takes what the file says
    networks : "shared" fits one network to the planes of a kind, "each" fits one per plane
    channels : what the channels are, as in `mashpix.denoise`; "auto" takes what the file says, and measures three
        samples of an image that nothing is known of
    model : a fitted model to apply; nothing is fitted then
    save : what is written beside the output, besides its recipe
    compare : where a sheet of before, after and residual is drawn, as PNG
    overwrite, in_place : whether outputs that exist, or the input itself, may be replaced
    strict : refuse a file when part of it cannot be kept
    sparse : accept missing chunks of an OME-Zarr as empty
    max_pixels : largest width x height of a plane
    command : the command line that makes the output again, for its recipe; "" if there is none
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
        """Refuse choices that there are not; `UsageError` names them."""
        if self.networks not in get_args(Networks):
            raise UsageError(f"`networks`: unknown choice ({self.networks!r}; one of {', '.join(get_args(Networks))})")
        check_choice(self.channels)
        if unknown := sorted(set(self.save) - set(get_args(Map))):
            raise UsageError(f"`save`: unknown ({', '.join(unknown)}; any of {', '.join(get_args(Map))})")

    @property
    def fit(self) -> str:
        """How recipes name `networks`."""
        return next(fit for fit, networks in FITS.items() if networks == self.networks)

    @property
    def options(self) -> dict[str, Any]:
        """What changes the bytes of an output besides settings, seed and device: for the hash in a manifest."""
        names = ("strength", "detail", "data_range", "axes", "fit")
        model = {"model": self.model.sha256} if self.model else {}
        return {name: getattr(self, name) for name in names} | hashed_channels(self.channels) | model


@dataclass(frozen=True, kw_only=True)
class FitRequest:
    """Fit a model to up to four images or planes, spread over those of the files given.

    sources : files of one kind
    target : where the model goes
    settings, seed, device, data_range, axes, channels, sparse, max_pixels : as in `DenoiseRequest`
    overwrite : whether a model that exists may be replaced
    names : how each source is named in the model's header; with names, files that cannot be read are left out
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
    html, json : where the report goes, if anywhere
    denoised : the same file denoised: the report shows what was taken away, with a verdict
    preset_name, probe, device, seed : as in `mashpix.inspect`
    axes, channels, max_pixels, sparse : as in `DenoiseRequest`
    overwrite : whether reports that exist may be replaced
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
    """Blend a denoised file with the noisy one that it was made of, and restore detail; nothing is trained.

    source, finished : the noisy file, whose metadata are kept, and its denoised version
    target : where the result goes
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
