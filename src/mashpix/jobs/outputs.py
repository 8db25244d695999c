"""The outputs of a job: their names, the check before any work is done, and writing them plane by plane."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mashpix import files
from mashpix.arrays.colour import Channels
from mashpix.axes import Index, samples_axis
from mashpix.errors import UsageError
from mashpix.files.suffixes import split_name
from mashpix.jobs.recipe import recipe_path
from mashpix.jobs.request import BlendRequest, DenoiseRequest
from mashpix.missing import holds_data

if TYPE_CHECKING:
    from mashpix.files import Copy, OpenFile, Put
    from mashpix.trust.stack_verdict import PlaneVerdicts

MAPS = ("spread", "residual")
"""Sidecar files that are images."""
ENDINGS = {"spread": "_spread{}", "residual": "_residual{}", "report": "_report.json"}
"""Name endings of saved files; maps of an NPY file are NPY files, all others TIFF."""


def sidecar_paths(request: DenoiseRequest) -> dict[str, Path]:
    """Return the paths of the files beside the output, by kind as in `Written`, in the order of writing."""
    target = request.target
    stem, ending = split_name(target)
    ending = ".npy" if ending.lower() == ".npy" else ".tif"
    saved = {kind: target.with_name(stem + ENDINGS[kind].format(ending)) for kind in request.save}
    return saved | {"recipe": recipe_path(target)}


def check_outputs(
    outputs: dict[str, Path], sources: Sequence[Path], *, clash: str, overwrite: bool, in_place: bool = False
) -> None:
    """Check that all outputs of a job, the main one first, can be written.

    Raises
    ------
    FileError
        For an output that exists, is one of the `sources`, or cannot be written; only the main one may be `in_place`.
    UsageError
        With the message `clash`, if two outputs are the same file.
    """
    for number, path in enumerate(outputs.values()):
        may = {"overwrite": overwrite, "in_place": in_place and number == 0}
        for source in sources:
            files.check_output(source, path, is_folder=number == 0 and source.is_dir(), **may)
    if len({path.resolve() for path in outputs.values()}) < len(outputs):
        raise UsageError(clash)


@contextmanager
def new_map(path: Path, like: "OpenFile", *, overwrite: bool) -> "Iterator[Put]":
    """Create a file of 32-bit floats for planes; it gets its name when the block ends without an error."""
    if like.is_stack:
        with files.map_stack(path, axes=like.axes, shape=like.shape, overwrite=overwrite) as put:
            yield put
        return
    values: list[NDArray[Any]] = []
    yield lambda index, plane: values.append(np.asarray(plane))
    files.atomic_write(path, files.encode_map(values[0], suffix=path.suffix), overwrite=overwrite)


def put_plane(
    index: Index,
    noisy: NDArray[Any],
    denoised: NDArray[Any],
    *,
    request: DenoiseRequest | BlendRequest,
    channels: Channels,
    copy: "Copy",
    judged: "PlaneVerdicts",
) -> NDArray[Any]:
    """Restore detail, blend, judge and write one plane; return it as written."""
    from mashpix.trust.finishing import finish

    axis = samples_axis(judged.axes)
    how: dict[str, Any] = {"strength": request.strength, "detail": request.detail, "channels": channels}
    finished, verdict = finish(noisy, denoised, channel_axis=axis, **how)
    copy(index, finished)
    judged.add(index, noisy, finished, verdict, channels=channels)
    return finished


def residual_of(noisy: NDArray[Any], denoised: NDArray[Any]) -> NDArray[np.float32]:
    """Return what denoising removed, noisy minus denoised, as stored in its map; NaN where there are no data."""
    exact = np.float64 if denoised.itemsize > 4 else np.float32
    with np.errstate(invalid="ignore", over="ignore"):
        residual: NDArray[Any] = np.subtract(np.asarray(noisy), denoised, dtype=exact)
        return np.where(holds_data(noisy), residual, np.nan).astype(np.float32, copy=False)
