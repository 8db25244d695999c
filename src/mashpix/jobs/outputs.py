"""Check the outputs of a job before any work is done, and open them for writing planes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mashpix import files
from mashpix.errors import UsageError
from mashpix.jobs.request import DenoiseRequest
from mashpix.jobs.sidecars import sidecar_paths

if TYPE_CHECKING:
    from mashpix.files import OpenFile, Put

MAPS = ("spread", "residual")
"""Sidecar files that are images."""


def check_outputs(request: DenoiseRequest) -> dict[str, Path]:
    """Check that all outputs can be written; return those beside the target, the comparison sheet last.

    Raises
    ------
    FileError
        For an output that exists, is the input, or cannot be written.
    UsageError
        If two outputs are the same file.
    """
    may = {"overwrite": request.overwrite, "in_place": request.in_place}
    files.check_output(request.source, request.target, is_folder=request.source.is_dir(), **may)
    sidecars = sidecar_paths(request)
    if request.compare is not None:
        sidecars["compare"] = request.compare
    if len({path.resolve() for path in (request.target, *sidecars.values())}) <= len(sidecars):
        raise UsageError(f"`compare` is another output ({str(request.compare)!r}; name another file)")
    for path in sidecars.values():
        files.check_output(request.source, path, overwrite=request.overwrite, in_place=False)
    return sidecars


@contextmanager
def new_map(path: Path, like: "OpenFile", *, overwrite: bool) -> "Iterator[Put]":
    """Create a file of 32-bit floats for planes; it gets its name when the block ends without an error."""
    if like.is_stack:
        with files.map_stack(path, axes=like.axes, shape=like.shape, overwrite=overwrite) as put:
            yield put
        return
    values: list[NDArray[Any]] = []
    yield lambda index, plane: values.append(plane)
    files.atomic_write(path, files.encode_map(values[0], suffix=path.suffix), overwrite=overwrite)


def residual_of(noisy: NDArray[Any], denoised: NDArray[Any]) -> NDArray[np.float32]:
    """Return what denoising removed, noisy minus denoised, as stored in its map; NaN at infinite pixels."""
    exact = np.float64 if denoised.itemsize > 4 else np.float32
    with np.errstate(invalid="ignore", over="ignore"):
        residual: NDArray[Any] = np.subtract(noisy, denoised, dtype=exact)
        return residual.astype(np.float32, copy=False)
