"""Stacks whose values lie uncompressed in a file, one plane after another: NPY, FITS, MRC.

The file is mapped anew for every plane: pages of a map count as memory in use for as long as the map exists.
"""

import shutil
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index
from mashpix.files.atomic import atomic_file
from mashpix.files.opened import OpenFile, OpenStack, Put
from mashpix.files.windows import WindowedPlane, parts_of

AT_ONCE = 2**24
"""Bytes of zeros to write at a time."""


@dataclass(kw_only=True)
class MappedStack(OpenStack):
    """A stack in a file: `stored` is its dtype there, `offset` where its values start, `order` that of its axes.

    end : where the next part of the file starts, of which each begins at a multiple of `block` bytes
    """

    handle: BinaryIO
    offset: int
    end: int
    stored: np.dtype[Any]
    order: Literal["C", "F"] = "C"
    block: ClassVar[int] = 1
    by_windows: ClassVar[bool] = True

    @abstractmethod
    def begin(self) -> tuple[bytes, np.dtype[Any]] | None:
        """Return what comes before the values of a copy, and how these are stored there; None if as in the file."""

    def finish(self, file: BinaryIO, offset: int, stored: np.dtype[Any]) -> None:
        """Renew what a complete copy says about its values, which start at `offset`."""

    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return a plane as it is denoised, from its values as stored."""
        return np.array(values, self.dtype)

    def encode(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return the values to store for a plane."""
        return plane

    def _widen(self, dtype: np.dtype[Any]) -> OpenFile:
        wider = replace(self, dtype=dtype)
        wider.begin()
        return wider

    def read_plane(self, index: Index) -> NDArray[Any]:
        """Read one plane, in native byte order."""
        return self.decode(self._map(self.handle, "r", self.offset, self.stored)[index])

    def _map(self, file: BinaryIO, mode: Literal["r", "r+"], offset: int, stored: np.dtype[Any]) -> NDArray[Any]:
        """Map the whole stack into memory."""
        return np.memmap(file, stored, mode, offset, self.shape, self.order)

    def close(self) -> None:
        """Close the file."""
        self.handle.close()

    @contextmanager
    def copy_planes(self, target: Path, *, overwrite: bool) -> Iterator[Put]:
        """Copy the file; the copy gets its name when the block ends without an error."""
        with atomic_file(target, overwrite=overwrite) as file:
            offset, stored = self._begin_copy(file)
            file.flush()

            def put(index: Index, plane: NDArray[Any] | WindowedPlane) -> None:
                for window, values in parts_of(index, plane):
                    self._map(file, "r+", offset, stored)[window] = self.encode(values)

            yield put
            file.flush()
            self.finish(file, offset, stored)

    def _begin_copy(self, file: BinaryIO) -> tuple[int, np.dtype[Any]]:
        """Write a copy, with zeros in place of values that are stored in another way; return where they start."""
        new = self.begin()
        if new is None:
            self.handle.seek(0)
            shutil.copyfileobj(self.handle, file)
            return self.offset, self.stored
        head, stored = new
        file.write(head)
        fill(file, len(head), byte_count(self.shape, stored))
        self.handle.seek(self.end)
        file.write(bytes(-file.tell() % self.block))
        shutil.copyfileobj(self.handle, file)
        return len(head), stored


def byte_count(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return the number of bytes that the values of an array take."""
    return int(np.prod(shape, dtype=object)) * dtype.itemsize


def fill(file: BinaryIO, start: int, size: int) -> None:
    """Write zeros in place of the values: a full disk is an error here, but would end the process in a mapped file."""
    file.seek(start)
    zeros = bytes(min(size, AT_ONCE))
    for done in range(0, size, AT_ONCE):
        file.write(zeros[: size - done])
    file.flush()
