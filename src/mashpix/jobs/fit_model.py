"""Fit a network to a few images or planes out of many files, and write it as a model."""

import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mashpix import __version__, files
from mashpix.axes import plane_groups
from mashpix.errors import FileError, UsageError
from mashpix.jobs.channels import ModelChannels, channels_of_model, decide_file_channels
from mashpix.jobs.events import Event, FitOutcome, Note, Written
from mashpix.jobs.kept_planes import KeptPlanes
from mashpix.jobs.memory import one_line_for_memory
from mashpix.jobs.model_reference import kind_of
from mashpix.jobs.recipe import hash_settings, sha256
from mashpix.jobs.request import FitRequest, hashed_channels

if TYPE_CHECKING:
    from mashpix.arrays.planes import Planes
    from mashpix.files import OpenFile


def fit_model(request: FitRequest) -> Generator[Event, None, FitOutcome]:
    """Fit a model to up to four images, evenly spread over those of the files, and write it.

    The model's header records what it was fitted to, with the hashes of the files that were read.

    Parameters
    ----------
    request : FitRequest
        What is asked for.

    Yields
    ------
    Step, Note or Written
        One step per update, remarks on the files, and the model when it is written. The generator returns the
        `FitOutcome`.

    Raises
    ------
    FileError
        For a file that cannot be read, an output that cannot be written, or if all images are blank.
    UsageError
        If a file has several channels that need one model each.
    InputError, DeviceError, ExtraError
        As `denoise`.
    """
    from mashpix.arrays.modelling import fit_model_steps
    from mashpix.jobs.model_file import encode_model

    started = time.perf_counter()
    files.check_output(None, request.target, overwrite=request.overwrite)
    with one_line_for_memory():
        places = yield from _list_places(request)
        chosen, channels, found = _choose(places, request)
        model = yield from fit_model_steps(
            chosen,
            channels=channels,
            data_range=request.data_range,
            settings=request.settings,
            seed=request.seed,
            device=request.device,
        )
    yield from map(Note, model.notes)
    data = encode_model(model, origin=origin_of(request) | found)
    files.atomic_write(request.target, data, overwrite=request.overwrite)
    yield Written(request.target, "model")
    return FitOutcome(
        target=request.target,
        sha256=sha256(data),
        fitted=len(chosen),
        planes=len(places),
        kinds=tuple(found["kinds"]),
        masking_ratio=model.masking.masking_ratio,
        seconds=time.perf_counter() - started,
    )


def origin_of(request: FitRequest) -> dict[str, Any]:
    """Return what a model depends on besides the images, for its header."""
    options = {"data_range": request.data_range, "axes": request.axes} | hashed_channels(request.channels)
    options |= request.hashed_missing | request.widening
    return {"version": __version__, "seed": request.seed, "settings": hash_settings(request.settings, **options)}


def _open(path: Path, request: FitRequest) -> "OpenFile":
    """Open one of the files; errors name it."""
    try:
        return request.open(path)
    except FileError as error:
        raise FileError(f"{str(path)!r}: {error}") from None


def _list_places(request: FitRequest) -> "Generator[Event, None, list[tuple[int, Planes]]]":
    """List every image that the network is for: the number of its source, and its planes there."""
    places: list[tuple[int, Planes]] = []
    for number, source in enumerate(request.sources):
        try:
            with _open(source, request) as opened:
                together = opened.is_stack and decide_file_channels(opened, request.channels)[1]
                groups = plane_groups(opened.axes, opened.shape, joint=together)
                notes = opened.notes if request.names is None else ()
        except FileError:
            if request.names is None:
                raise
            continue
        if len(groups) > 1:
            raise UsageError(
                f"{len(groups)} channels need a model each ({str(source)!r}; `channels`: joint makes one for all)"
            )
        yield from (Note(f"{str(source)!r}: {note}", "info") for note in notes)
        places += [(number, planes) for planes in groups[0]]
    return places


def _choose(
    places: "list[tuple[int, Planes]]", request: FitRequest
) -> "tuple[list[Any], ModelChannels, dict[str, Any]]":
    """Choose the images to fit to; return them, their kind of channels, and their description for the header."""
    from mashpix.arrays.planes import read_picture
    from mashpix.arrays.shared import choose_pictures

    inputs: dict[str, str] = {}
    kinds: set[str] = set()
    channels: list[ModelChannels] = []

    def read(index: int) -> Any:
        number, planes = places[index]
        name = request.names[number] if request.names else str(request.sources[number])
        try:
            with _open(request.sources[number], request) as opened:
                inputs[name] = inputs.get(name) or opened.sha256()
                kinds.add(kind_of(opened.axes, opened.shape, opened.dtype))
                channels.append(channels_of_model(opened, request.channels))
                return read_picture(KeptPlanes(opened), opened.axes, planes)
        except (FileError, OSError):
            if request.names is None:
                raise
            return np.zeros((1, 1, 1))  # blank: nothing to fit to

    chosen = choose_pictures(read, len(places)) if places else []
    if not chosen:
        raise FileError("nothing to fit to (all images are blank)")
    together: ModelChannels = channels[0] if len(set(channels)) == 1 else "auto"  # images of several kinds are refused
    return chosen, together, {"kinds": sorted(kinds), "inputs": inputs}
