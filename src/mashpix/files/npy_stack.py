"""Stacks in NPY files: mapped into memory, so that only the planes that are looked at are read; never a pickle."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index, check_axes, guess_axes
from mashpix.errors import FileError
from mashpix.files.atomic import atomic_file
from mashpix.files.image_file import check_size
from mashpix.files.npy import MOST_COLOURS, read_header


@dataclass(frozen=True)
class NpyStack:
    """A `Stack` in an NPY file."""

    path: Path
    mapped: NDArray[Any]
    offset: int
    axes: str
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of all axes."""
        return self.mapped.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values, in native byte order."""
        return self.mapped.dtype.newbyteorder("=")

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """One plane, native byte order."""
        return np.array(self.mapped[index], self.dtype)

    def close(self) -> None:
        """Nothing to close: the map goes with the last array that uses it."""

    @contextmanager
    def copy_to(self, target: Path, *, overwrite: bool) -> Iterator[Callable[[Index, NDArray[Any]], None]]:
        """A copy of the file whose planes can be replaced."""
        with atomic_file(target, overwrite=overwrite) as file:
            with self.path.open("rb") as source:
                shutil.copyfileobj(source, file)
            file.flush()
            order: Literal["C", "F"] = (
                "F" if self.mapped.flags.f_contiguous and not self.mapped.flags.c_contiguous else "C"
            )
            copy = np.memmap(file, self.mapped.dtype, "r+", self.offset, self.mapped.shape, order)

            def put(index: Index, plane: NDArray[Any]) -> None:
                copy[index] = plane

            yield put
            copy.flush()


def open_npy(path: Path, *, axes: str | None, max_pixels: int) -> NpyStack | None:
    """Open an NPY file as a stack; None if it holds a single picture."""
    with path.open("rb") as file:
        shape, is_fortran, dtype = read_header(file)
        offset = file.tell()
    if axes is None and (len(shape) < 3 or (len(shape) == 3 and shape[2] <= MOST_COLOURS)):
        return None
    axes, note = (check_axes(axes, shape), None) if axes is not None else guess_axes(shape)
    if axes in ("YX", "YXS") and len(shape) <= 3 and shape[-1] <= MOST_COLOURS:
        return None
    lengths = dict(zip(axes, shape, strict=True))
    check_size(lengths["X"], lengths["Y"], lengths.get("S", 1), max_pixels=max_pixels)
    needed, found = int(np.prod(shape, dtype=object)) * dtype.itemsize, path.stat().st_size - offset
    if needed == 0 or needed != found:
        raise FileError(f"truncated or damaged NPY ({found} bytes of {needed})")
    mapped = np.memmap(path, dtype, "r", offset, shape, "F" if is_fortran else "C")
    return NpyStack(path, mapped, offset, axes, (note,) if note else ())
