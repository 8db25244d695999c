"""What a job is asked for: frozen, picklable, every option with a default; knows no command line, HTTP or Qt."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mashpix.files import MAX_PIXELS
from mashpix.jobs.model_reference import ModelReference
from mashpix.settings import PRESETS, Settings

Networks = Literal["shared", "each"]
"""One network for all planes of a kind, or one for each plane."""
Map = Literal["spread", "residual", "report"]
"""What can be saved beside an output, besides its recipe."""


@dataclass(frozen=True, kw_only=True)
class DenoiseRequest:
    """Denoise one file: an image, or a stack plane by plane.

    source, target : the input file (or OME-Zarr folder) and where the result goes
    settings, seed, device, data_range : as in `mashpix.denoise`
    strength : 0 leaves the image as it is, 1 denoises it
    detail : how much fine texture is restored from the residual, 0 to 1
    axes : one letter per axis as tifffile writes them; None takes what the file says
    networks : "shared" fits one network to the planes of a kind, "each" fits one per plane
    joint : whether the channels of a stack are denoised together
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
    joint: bool = False
    model: ModelReference | None = None
    save: tuple[Map, ...] = ()
    compare: Path | None = None
    overwrite: bool = False
    in_place: bool = False
    strict: bool = False
    sparse: bool = False
    max_pixels: int = MAX_PIXELS
    command: str = ""
