"""Stacks in NPY files: planes are read on demand; pickles are never read."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mashpix.axes import MAX_COLOURS, check_axes, guess_axes
from mashpix.errors import FileError
from mashpix.files.image_file import MAX_WHOLE, check_size
from mashpix.files.mapped import MappedStack, byte_count
from mashpix.files.npy import make_header, read_header


@dataclass(kw_only=True)
class _NpyStack(MappedStack):
    """A stack in an NPY file."""

    def begin(self) -> tuple[bytes, np.dtype[Any]] | None:
        if self.dtype == self.stored.newbyteorder("="):
            return None
        stored = self.dtype.newbyteorder(self.stored.byteorder) if self.stored.itemsize > 1 else self.dtype
        return make_header(self.shape, stored, is_fortran=self.order == "F"), stored


def open_npy(path: Path, *, axes: str | None, max_pixels: int, max_whole: int = MAX_WHOLE) -> _NpyStack | None:
    """Open an NPY file as a stack; None if it holds a single image of at most `max_whole` pixels."""
    file, stack = path.open("rb"), None
    try:
        stack = _open_stack(path, file, axes=axes, max_pixels=max_pixels, max_whole=max_whole)
    finally:
        if stack is None:
            file.close()
    return stack


def _open_stack(path: Path, file: BinaryIO, *, axes: str | None, max_pixels: int, max_whole: int) -> _NpyStack | None:
    shape, is_fortran, dtype = read_header(file)
    is_small = prod(shape[:2]) <= max_whole or len(shape) < 2
    if is_small and axes is None and (len(shape) < 3 or (len(shape) == 3 and shape[2] <= MAX_COLOURS)):
        return None
    axes, note = (check_axes(axes, shape), None) if axes is not None else guess_axes(shape)
    if is_small and axes in ("YX", "YXS") and len(shape) <= 3 and shape[-1] <= MAX_COLOURS:
        return None
    lengths = dict(zip(axes, shape, strict=True))
    check_size(lengths["X"], lengths["Y"], lengths.get("S", 1), max_pixels=max_pixels)
    needed, found = byte_count(shape, dtype), path.stat().st_size - file.tell()
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
        end=file.tell() + needed,
        stored=dtype,
        order="F" if is_fortran else "C",
    )
