"""The interface of open files of any format: planes to read, and a copy whose planes can be replaced."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index
from mashpix.errors import FileError
from mashpix.files.image_file import mismatch

Put = Callable[[Index, NDArray[Any]], None]
"""Writes a new plane at the place of `stack[index]`."""


class Stack(Protocol):
    """The interface of a stack: `stack[index]` reads one plane, with a number for each axis outside of it.

    axes : letters as tifffile writes them
    shape, dtype : of the stack, alpha left out
    is_rgb : whether the samples of a plane are red, green and blue; None if unknown
    notes : remarks for the user, one line each
    lost : what a copy cannot keep, one line each
    """

    @property
    def axes(self) -> str: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    @property
    def is_rgb(self) -> bool | None: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def lost(self) -> tuple[str, ...]: ...  # noqa: D102

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """One plane, native byte order."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...

    def copy_to(self, target: Path, *, overwrite: bool) -> AbstractContextManager[Put]:
        """Copy the file, to replace planes in the copy, which gets its name when the block ends without an error."""
        ...


@dataclass
class Copy:
    """A copy of a file in the making: call it to replace a plane.

    warnings : what could not be kept beyond `OpenFile.lost`, one line each; complete once the copy is written
    """

    put: Put
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    warnings: list[str] = field(default_factory=list)
    is_closed: bool = False

    def __call__(self, index: Index, plane: NDArray[Any]) -> None:
        """Replace the plane at an index, by one of the same shape and dtype.

        Raises
        ------
        FileError
            If the plane does not fit or cannot be written, or the copy is closed already.
        """
        if self.is_closed:
            raise FileError("the copy is closed")
        if reason := mismatch(plane, self.shape, self.dtype):
            raise FileError(reason)
        self.put(index, plane)

    @contextmanager
    def closing(self) -> Iterator[Self]:
        """Yield the copy, which accepts no more planes once the block has ended."""
        try:
            yield self
        finally:
            self.is_closed = True


class OpenFile(Protocol):
    """An open file: `opened[index]` reads one plane, with a number for each axis outside of it.

    path : where it is
    axes : one letter per axis as tifffile writes them: "TCYX", "YXS", "YX"
    shape, dtype : of all planes, alpha left out; native byte order
    is_rgb : True if the file says that its samples (axis S) are red, green and blue, False if it says that they are
        not or has none, None if nothing says what they are
    is_stack : False for a single image, axes "YX" or "YXS", which is in memory
    notes : remarks for the user, one line each
    lost : what no copy can keep, one line each; a copy's `warnings` add what turned out when it was written
    """

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def axes(self) -> str: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    @property
    def is_rgb(self) -> bool | None: ...  # noqa: D102
    @property
    def is_stack(self) -> bool: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def lost(self) -> tuple[str, ...]: ...  # noqa: D102

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """One plane, read-only. The plane that was read last is kept: reading it again costs nothing."""
        ...

    def sha256(self) -> str:
        """Return the hash of the file as it was read."""
        ...

    def check_target(self, target: Path, *, strict: bool) -> None:
        """Refuse a target that cannot hold the file, before any work is done; if `strict`, not all of it.

        Raises
        ------
        FileError
            With the reason. `check_output` checks whether the target may be replaced.
        """
        ...

    def copy_to(self, target: Path, *, overwrite: bool, strict: bool = False) -> AbstractContextManager[Copy]:
        """A copy of the file whose planes can be replaced; it appears, complete, when the block ends without error.

        Raises
        ------
        FileError
            If the copy cannot be written, or exists and `overwrite` is False; if `strict`, also if part of the file
            cannot be kept.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...
