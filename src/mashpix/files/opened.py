"""An open file of any format: planes to read, and a copy whose planes can be replaced."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import WITHIN, Index, samples_axis
from mashpix.errors import FileError
from mashpix.files.hashing import hash_file
from mashpix.files.image_file import check_kept, mismatch
from mashpix.files.suffixes import check_same_format
from mashpix.files.windows import WindowedPlane, is_window, whole_plane, within
from mashpix.missing import NoData, find_nodata

Put = Callable[[Index, Any], None]
"""Writes a new plane, an array or a `WindowedPlane`, at the place of `opened[index]`."""


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

    def __call__(self, index: Index, plane: NDArray[Any] | WindowedPlane) -> None:
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


@dataclass(kw_only=True)
class OpenFile(ABC):
    """An open file: `opened[index]` reads one plane, with a number for each axis outside of it.

    path : where it is
    axes : one letter per axis as tifffile writes them: "TCYX", "YXS", "YX"
    shape, dtype : of all planes, alpha left out; native byte order
    is_rgb : True if the file says that its samples (axis S) are red, green and blue, False if it says that they are
        not or has none, None if nothing says what they are
    is_stack : False for a single image, axes "YX" or "YXS", which is in memory
    nodata : ranges of values, both ends included, that mean "no data"; None if nothing says which values do
    padded : whether constant padding at the border of a plane holds no data
    left_out : pixels to leave out, as the user says, True there: an array that broadcasts to a plane
    fill_value : of a Zarr, of which an unwritten pixel may hold data nevertheless; None elsewhere
    notes : remarks for the user, one line each
    lost : what no copy can keep, one line each; a copy's `warnings` add what turned out when it was written
    """

    path: Path
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_rgb: bool | None
    is_stack: ClassVar[bool]
    nodata: tuple[NoData, ...] | None = None
    padded: bool = False
    left_out: NDArray[np.bool_] | None = None
    fill_value: float | None = None
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def __getitem__(self, index: Index) -> NDArray[Any]:
        """One plane or a window of it, read-only. What was read last is kept: reading it again costs nothing."""

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """Lengths of the axes within a plane."""
        return tuple(length for letter, length in zip(self.axes, self.shape, strict=True) if letter in WITHIN)

    def missing(self, index: Index) -> NDArray[np.bool_] | None:
        """Return where a plane holds no data, True there, as an array that broadcasts to it; None if nothing says so.

        A colour of RGB is missing only together with the others. NaN and infinite pixels need not be named. In a window
        of a plane, padding is not looked for.
        """
        found, axis = self.left_out, samples_axis(self.axes)
        if found is not None and is_window(index):
            found = np.broadcast_to(found, self.plane_shape)[within(index)]
        if self.nodata is not None:
            without = find_nodata(self[index], self.nodata)
            without = np.asarray(without.all(axis, keepdims=True)) if self.is_rgb and axis is not None else without
            found = without if found is None else found | without
        if self.padded and not is_window(index) and (padding := self.padding(index)) is not None:
            padding = padding if axis is None else np.expand_dims(padding, axis)
            found = padding if found is None else found | padding
        return found

    def padding(self, index: Index) -> NDArray[np.bool_] | None:
        """Return where a plane is constant padding at its border, True there, (H, W); None without any."""
        from mashpix.padding import find_padding

        axis, plane = samples_axis(self.axes), self[index]
        return find_padding(plane[None] if axis is None else np.moveaxis(plane, axis, 0))

    def widened(self, dtype: np.dtype[Any]) -> "OpenFile":
        """Return the file with its planes in a dtype that holds all of their values; its copies have that dtype too.

        Raises
        ------
        FileError
            If the dtype does not hold all values, or the format cannot hold it.
        """
        if dtype == self.dtype:
            return self
        if not np.can_cast(self.dtype, dtype):
            raise FileError(f"`dtype`: {dtype} does not hold all values of the file ({self.dtype}; a wider one needed)")
        return self._widen(dtype)

    def _widen(self, dtype: np.dtype[Any]) -> "OpenFile":
        """As `widened`, for another dtype that holds all values."""
        raise FileError(f"`dtype`: such a file keeps its dtype ({self.dtype}; leave it out)")

    @abstractmethod
    def sha256(self) -> str:
        """Return the hash of the file as it was read."""

    @abstractmethod
    def check_target(self, target: Path, *, strict: bool) -> list[str]:
        """Refuse a target that cannot hold the file, before any work is done; if `strict`, not all of it.

        Returns what that target cannot keep beyond `lost`, one line each.

        Raises
        ------
        FileError
            With the reason. `check_output` checks whether the target may be replaced.
        """

    @abstractmethod
    def copy_to(self, target: Path, *, overwrite: bool, strict: bool = False) -> AbstractContextManager[Copy]:
        """A copy of the file whose planes can be replaced; it appears, complete, when the block ends without error.

        Raises
        ------
        FileError
            If the copy cannot be written, or exists and `overwrite` is False; if `strict`, also if part of the file
            cannot be kept.
        """

    def close(self) -> None:  # noqa: B027
        """Close the file."""


@dataclass(kw_only=True)
class OpenStack(OpenFile):
    """A stack in a file; each format says how a plane is read, and how one of a copy is replaced.

    by_windows : whether that is done window by window; else a `WindowedPlane` is replaced as a whole
    """

    is_stack: ClassVar[bool] = True
    by_windows: ClassVar[bool] = False
    kept: tuple[Index, NDArray[Any]] | None = field(default=None, init=False)

    @abstractmethod
    def read_plane(self, index: Index) -> NDArray[Any]:
        """Read one plane, or if `by_windows` a window of it, in native byte order."""

    @abstractmethod
    def copy_planes(self, target: Path, *, overwrite: bool) -> AbstractContextManager[Put]:
        """Copy the file; the copy gets its name when the block ends without an error."""

    def number_of(self, index: Index) -> int:
        """Return how many planes lie before one, where the axes outside of a plane come first."""
        numbers = numbers_of(index)
        return int(np.ravel_multi_index(numbers, self.shape[: len(numbers)])) if numbers else 0

    def __getitem__(self, index: Index) -> NDArray[Any]:
        place = index if self.by_windows else whole_plane(index)
        if self.kept is None or self.kept[0] != place:
            self.kept = None  # so that two planes are never held at once
            self.kept = place, read_only(self.read_plane(place))
        return self.kept[1] if place == index else self.kept[1][within(index)]

    def sha256(self) -> str:
        """Return the hash of the file, which is read again for it."""
        return hash_file(self.path)

    def check_target(self, target: Path, *, strict: bool) -> list[str]:
        """Refuse a target of another format, and planes that cannot be written as the file stores them."""
        self._check_kept(target, strict=strict)
        self.try_writing()
        return []

    def _check_kept(self, target: Path, *, strict: bool) -> None:
        check_same_format(self.path, target)
        if strict:
            check_kept(self.lost)

    def try_writing(self) -> None:
        """Encode a plane as a copy would, so that an encoder complains before any work is done."""

    @contextmanager
    def copy_to(self, target: Path, *, overwrite: bool, strict: bool = False) -> Iterator[Copy]:
        """A copy that is made at once, and whose planes are replaced one by one."""
        self._check_kept(target, strict=strict)
        with (
            self.copy_planes(target, overwrite=overwrite) as put,
            Copy(put if self.by_windows else _whole(put), self.plane_shape, self.dtype).closing() as copy,
        ):
            yield copy


def _whole(put: Put) -> Put:
    return lambda index, plane: put(index, np.asarray(plane))


def numbers_of(index: Index) -> tuple[int, ...]:
    """Return the numbers in an index: one for each axis outside of the plane."""
    return tuple(number for number in index if isinstance(number, int))


def read_only(plane: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that a kept plane stays as in the file."""
    view = plane.view()
    view.flags.writeable = False
    return view
