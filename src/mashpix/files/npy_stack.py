"""Stacks in NPY files: planes are read on demand; pickles are never read.

The file is mapped anew for every plane: pages of a map count as memory in use for as long as the map exists.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import MAX_COLOURS, Index, check_axes, guess_axes
from mashpix.errors import FileError
from mashpix.files.atomic import atomic_file
from mashpix.files.image_file import check_size
from mashpix.files.npy import read_header
from mashpix.files.opened import OpenStack, Put


@dataclass(kw_only=True)
class _NpyStack(OpenStack):
    """A stack in an NPY file: `stored` is its dtype there, `offset` where its values start."""

    handle: BinaryIO
    offset: int
    stored: np.dtype[Any]
    order: Literal["C", "F"]

    def read_plane(self, index: Index) -> NDArray[Any]:
        return np.array(self._map(self.handle, "r")[index], self.dtype)

    def _map(self, file: BinaryIO, mode: Literal["r", "r+"]) -> NDArray[Any]:
        """Map the whole stack into memory."""
        return np.memmap(file, self.stored, mode, self.offset, self.shape, self.order)

    def close(self) -> None:
        self.handle.close()

    @contextmanager
    def copy_planes(self, target: Path, *, overwrite: bool) -> Iterator[Put]:
        with atomic_file(target, overwrite=overwrite) as file:
            self.handle.seek(0)
            shutil.copyfileobj(self.handle, file)
            file.flush()

            def put(index: Index, plane: NDArray[Any]) -> None:
                self._map(file, "r+")[index] = plane

            yield put


def open_npy(path: Path, *, axes: str | None, max_pixels: int) -> _NpyStack | None:
    """Open an NPY file as a stack; None if it holds a single image."""
    file, stack = path.open("rb"), None
    try:
        stack = _open_stack(path, file, axes=axes, max_pixels=max_pixels)
    finally:
        if stack is None:
            file.close()
    return stack


def _open_stack(path: Path, file: BinaryIO, *, axes: str | None, max_pixels: int) -> _NpyStack | None:
    shape, is_fortran, dtype = read_header(file)
    if axes is None and (len(shape) < 3 or (len(shape) == 3 and shape[2] <= MAX_COLOURS)):
        return None
    axes, note = (check_axes(axes, shape), None) if axes is not None else guess_axes(shape)
    if axes in ("YX", "YXS") and len(shape) <= 3 and shape[-1] <= MAX_COLOURS:
        return None
    lengths = dict(zip(axes, shape, strict=True))
    check_size(lengths["X"], lengths["Y"], lengths.get("S", 1), max_pixels=max_pixels)
    needed, found = int(np.prod(shape, dtype=object)) * dtype.itemsize, path.stat().st_size - file.tell()
    if needed == 0 or needed != found:
        raise FileError(f"truncated or damaged NPY ({found} bytes of {needed})")
    return _NpyStack(
        path=path,
        axes=axes,
        shape=shape,
        dtype=dtype.newbyteorder("="),
        is_rgb=None if note and "S" in axes else lengths.get("S") == 3,  # samples that are named are colours
        notes=(note,) if note else (),
        handle=file,
        offset=file.tell(),
        stored=dtype,
        order="F" if is_fortran else "C",
    )
