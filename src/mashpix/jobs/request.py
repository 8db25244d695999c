"""Requests for jobs: frozen, picklable, with a default for every option, and independent of any front end."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mashpix import files
from mashpix.arrays.colour import Channels, check_choice
from mashpix.axes import Networks
from mashpix.deprecation import FITS
from mashpix.errors import UsageError
from mashpix.files import MAX_PIXELS, MAX_WHOLE, OpenFile
from mashpix.files.hashing import hash_file
from mashpix.jobs.leaving_out import check_nodata, leave_out
from mashpix.jobs.model_reference import ModelReference
from mashpix.settings import PRESETS, Settings

Dtype = Literal["uint16", "uint32", "int16", "int32", "float32", "float64"]
"""What the values of a file can be converted to, if it holds them all."""
Map = Literal["spread", "residual", "report"]
"""What can be saved beside an output, in addition to its recipe."""


def hashed_channels(channels: Channels) -> dict[str, Any]:
    """Return a choice as hashed in manifests and models: in the spelling of version 0.1, if it had this choice."""
    former = {"joint": channels == "joint"}
    return former if channels in ("auto", "joint") else former | {"channels": channels}


@dataclass(frozen=True, kw_only=True)
class FileRequest:
    """What all requests have in common: how to read the inputs, and whether outputs may be replaced.

    axes : one letter per axis as tifffile writes them; None uses what the file says
    channels : what the channels are, as in `mashpix.denoise`; "auto" uses what the file says, and measures three
        samples of an image if nothing is known about them
    dtype : convert the inputs to this wider dtype, which the output then has; None keeps that of each file
    overwrite : whether existing outputs may be replaced
    sparse : accept missing chunks of an OME-Zarr as empty
    max_pixels : largest width x height of a plane
    nodata : values in the file, whatever `dtype`, that mean "no data": "VALUE", "LOW..HIGH", the "fill" value of a
        Zarr, or "none": no pixel but NaN and infinity, whatever the file says and shows; None uses what it says, and
        constant padding at the border
    mask : an image of the size of a plane that is not 0 at pixels to leave out, in addition
    """

    axes: str | None = None
    channels: Channels = "auto"
    dtype: Dtype | None = None
    overwrite: bool = False
    sparse: bool = False
    max_pixels: int = MAX_PIXELS
    nodata: str | None = None
    mask: Path | None = None

    def __post_init__(self) -> None:
        """Refuse unknown choices; `UsageError` names them."""
        check_choice(self.channels)
        check_nodata(self.nodata)
        if self.dtype not in (None, *get_args(Dtype)):
            raise UsageError(f"`dtype`: unknown choice ({self.dtype!r}; one of {', '.join(get_args(Dtype))})")

    def open(self, path: Path) -> OpenFile:
        """Open one of the inputs, with its pixels without data, in the wanted dtype; errors as in `files.open_file`.

        `FileError` for a dtype that does not fit.
        """
        limits = {"max_pixels": self.max_pixels, "max_whole": self.max_whole}
        opened = files.open_file(path, axes=self.axes, sparse=self.sparse, **limits)
        try:
            leave_out(
                opened,
                nodata=self.nodata,
                mask=self.mask,
                max_pixels=self.max_pixels,
                find_padding=self.block_side(opened) is None,
            )
            opened = opened if self.dtype is None else opened.widened(np.dtype(self.dtype))
        except BaseException:
            opened.close()
            raise
        return opened

    @property
    def max_whole(self) -> int:
        """The most pixels of a single image that are read at once, as for `files.open_file`."""
        return MAX_WHOLE

    def block_side(self, opened: OpenFile) -> int | None:
        """Return the side of the blocks that the planes of a file are denoised by, pixels; None: each as a whole."""
        return None

    @property
    def hashed_missing(self) -> dict[str, Any]:
        """What is left out, as hashed in manifests, models and recipes: nothing if these options are not used."""
        found = {"nodata": self.nodata, "mask": self.mask and hash_file(self.mask)}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def widening(self) -> dict[str, str]:
        """The dtype, where one is chosen, as hashed in manifests and models: others have the hash that they had."""
        return {} if self.dtype is None else {"dtype": self.dtype}


@dataclass(frozen=True, kw_only=True)
class DenoiseRequest(FileRequest):
    """Denoise one file: an image, or a stack plane by plane. Other fields as in `FileRequest`.

    source, target : the input file (or OME-Zarr folder), and the path of the result
    settings, seed, device, data_range : as in `mashpix.denoise`
    strength : 0 leaves the image as it is, 1 denoises it
    detail : how much fine texture to restore from the residual, 0 to 1
    networks : "shared" fits one network to the planes of a kind, "each" fits one per plane
    model : a fitted model to apply, instead of fitting
    save : what to write beside the output, in addition to its recipe
    compare : path of a PNG that shows before, after and residual
    in_place : whether the input itself may be replaced
    strict : refuse a file if part of it cannot be kept
    command : the command line that reproduces the output, for its recipe; "" if there is none
    by_blocks : denoise planes in blocks of about this side, pixels; the bytes do not depend on the number. None does
        so only where a plane is too large
    preview_every : of a single image, network updates between two steps with a preview; 0 for none. No bytes change
    """

    source: Path
    target: Path
    settings: Settings = PRESETS["default"]
    seed: int = 0
    device: str = "auto"
    data_range: float | None = None
    strength: float = 1.0
    detail: float = 0.0
    networks: Networks = "shared"
    model: ModelReference | None = None
    save: tuple[Map, ...] = ()
    compare: Path | None = None
    in_place: bool = False
    strict: bool = False
    command: str = ""
    by_blocks: int | None = None
    preview_every: int = 0

    def __post_init__(self) -> None:
        """Refuse unknown choices; `UsageError` names them."""
        super().__post_init__()
        if self.networks not in get_args(Networks):
            raise UsageError(f"`networks`: unknown choice ({self.networks!r}; one of {', '.join(get_args(Networks))})")
        if unknown := sorted(set(self.save) - set(get_args(Map))):
            raise UsageError(f"`save`: unknown ({', '.join(unknown)}; any of {', '.join(get_args(Map))})")

    @property
    def max_whole(self) -> int:
        """None, if blocks are asked for."""
        return MAX_WHOLE if self.by_blocks is None else 0

    def block_side(self, opened: OpenFile) -> int | None:
        """Return the side of blocks that are asked for, or needed."""
        from mashpix.arrays.blocks import CELL, block_side
        from mashpix.arrays.costs import needs_blocks

        if self.by_blocks is None and (self.model is not None or not needs_blocks(prod(opened.plane_shape))):
            return None
        return block_side(self.by_blocks or CELL)

    @property
    def options(self) -> dict[str, Any]:
        """Options besides settings, seed and device that affect the bytes of an output, for the hash in a manifest."""
        names = ("strength", "detail", "data_range", "axes")
        fit = next(fit for fit, networks in FITS.items() if networks == self.networks)  # as version 0.1 hashed it
        model = {"model": self.model.sha256} if self.model else {}
        found = {name: getattr(self, name) for name in names} | {"fit": fit} | hashed_channels(self.channels)
        found |= {"blocks": True} if self.by_blocks else {}
        return found | model | self.hashed_missing | self.widening


@dataclass(frozen=True, kw_only=True)
class FitRequest(FileRequest):
    """Fit a model to up to four images or planes, evenly spread over those of the files. Others as in `FileRequest`.

    sources : files of one kind
    target : path of the model
    settings, seed, device, data_range : as in `mashpix.denoise`
    names : name of each source in the model's header; if given, files that cannot be read are skipped
    """

    sources: tuple[Path, ...]
    target: Path
    settings: Settings = PRESETS["default"]
    seed: int = 0
    device: str = "auto"
    data_range: float | None = None
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class InspectRequest(FileRequest):
    """Estimate the noise of an image or a stack. Other fields as in `FileRequest`.

    source : the input
    html, json : paths of the report, if any
    denoised : the denoised version: the report shows what was removed, with a verdict
    preset_name, probe, device, seed : as in `mashpix.inspect`
    """

    source: Path
    html: Path | None = None
    json: Path | None = None
    denoised: Path | None = None
    preset_name: str = "default"
    probe: bool = False
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class BlendRequest(FileRequest):
    """Blend a denoised file with its noisy original, and restore detail; nothing is trained.

    source, finished : the noisy file, whose metadata is kept, and its denoised version
    target : path of the result
    strength, detail, compare : as in `DenoiseRequest`; other fields as in `FileRequest`
    """

    source: Path
    finished: Path
    target: Path
    strength: float = 1.0
    detail: float = 0.0
    compare: Path | None = None
