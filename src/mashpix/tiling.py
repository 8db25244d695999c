"""Overlapping windows and blocks over an image: pure geometry."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Tile(NamedTuple):
    """The region to `read`, with context, and the one to `keep` inside it: (top, bottom, left, right) each."""

    read: tuple[int, int, int, int]
    keep: tuple[int, int, int, int]

    @property
    def source(self) -> tuple[slice, slice]:
        """Rows and columns to read."""
        return slice(*self.read[:2]), slice(*self.read[2:])

    @property
    def target(self) -> tuple[slice, slice]:
        """Rows and columns to keep."""
        return slice(*self.keep[:2]), slice(*self.keep[2:])

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns to keep, counted from the corner of the region that was read."""
        (top, _, left, _), (first, last, start, end) = self
        return slice(first - top, last - top), slice(start - left, end - left)


def tiles(height: int, width: int, *, tile_size: int, context: int, tile_width: int | None = None) -> Iterator[Tile]:
    """Cover an image with tiles that each see `context` pixels more on every side, inside the image.

    Tiles are square, unless they have another width.
    Where nothing farther than `context` can change an output pixel, the kept regions put side by side equal
    the untiled result: no blend is needed, and there is no seam.

    Examples
    --------
    >>> [tile.read for tile in tiles(4, 10, tile_size=4, context=1)]
    [(0, 4, 0, 5), (0, 4, 3, 9), (0, 4, 7, 10)]
    """
    tile_width = tile_width or tile_size
    for top in range(0, height, tile_size):
        for left in range(0, width, tile_width):
            bottom, right = min(top + tile_size, height), min(left + tile_width, width)
            read = (
                max(top - context, 0),
                min(bottom + context, height),
                max(left - context, 0),
                min(right + context, width),
            )
            yield Tile(read, (top, bottom, left, right))


def tile_count(height: int, width: int, *, tile_size: int) -> int:
    """Count the tiles of `tiles`."""
    return -(-height // tile_size) * -(-width // tile_size)


def cut_blocks(plane: "Tensor", size: int, stride: int) -> "Tensor":
    """Blocks of `size` x `size` pixels every `stride` pixels of a plane (H, W), as rows: (N, size * size).

    Examples
    --------
    >>> import torch
    >>> cut_blocks(torch.arange(12).reshape(3, 4), 2, 1)[:2]
    tensor([[0, 1, 4, 5],
            [1, 2, 5, 6]])
    """
    if min(plane.shape) < size:
        return plane.new_empty((0, size * size))
    return plane.unfold(0, size, stride).unfold(1, size, stride).reshape(-1, size * size)


def window_sums(plane: NDArray[Any], side: int) -> NDArray[np.float64]:
    """Sums over windows side by side, (N,); what is left over at the right and the bottom is left out."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    parts = plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.asarray(parts.sum(axis=(1, 3), dtype=np.float64).ravel())
