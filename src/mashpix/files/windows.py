"""Planes too large for memory: read and written window by window."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import WITHIN, Index, window_of
from mashpix.tiling import tiles

AT_ONCE = 2048
"""Side in pixels of windows, about: whole numbers of the chunks of a file."""


@dataclass(frozen=True)
class WindowedPlane:
    """A plane that is read window by window: like an array, which it becomes as a whole where a format needs that.

    index : of the plane in its stack
    axes, stack_shape, dtype : of the stack
    read : reads a window, by its index
    """

    index: Index
    axes: str
    stack_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Index], NDArray[Any]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes within the plane."""
        return tuple(length for letter, length in zip(self.axes, self.stack_shape, strict=True) if letter in WITHIN)

    def windows(self, chunk: tuple[int, int] = (1, 1)) -> Iterator[tuple[Index, NDArray[Any]]]:
        """Yield windows of whole chunks (rows, columns), by their index, row by row."""
        lengths = dict(zip(self.axes, self.stack_shape, strict=True))
        sides = [max(AT_ONCE // side, 1) * side for side in chunk]
        for tile in tiles(lengths["Y"], lengths["X"], tile_size=sides[0], tile_width=sides[1], context=0):
            index = window_of(self.index, self.axes, *tile.target)
            yield index, self.read(index)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole plane."""
        return np.asarray(self.read(self.index), dtype)


def parts_of(
    index: Index, plane: NDArray[Any] | WindowedPlane, chunk: tuple[int, int] = (1, 1)
) -> Iterator[tuple[Index, NDArray[Any]]]:
    """Yield the windows of a plane, by their index; an array is a single one."""
    if isinstance(plane, WindowedPlane):
        yield from plane.windows(chunk)
    else:
        yield index, plane


def is_window(index: Index) -> bool:
    """Return whether an index names a window of a plane."""
    return any(isinstance(item, slice) and item.stop is not None for item in index)


def within(index: Index) -> tuple[slice, ...]:
    """Return the slices of an index: those along the axes of the plane."""
    return tuple(item for item in index if isinstance(item, slice))


def whole_plane(index: Index) -> Index:
    """Return the index of the plane that holds a window."""
    return tuple(slice(None) if isinstance(item, slice) else item for item in index)
