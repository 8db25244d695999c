"""The smaller sizes of an image: remade from the result by averaging blocks of pixels."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import WITHIN, window_of
from mashpix.files.windows import AT_ONCE, WindowedPlane
from mashpix.tiling import tiles

Shape = tuple[int, ...]


def level_notes(are_made: list[bool]) -> list[str]:
    """Note which of the smaller sizes of a pyramid are remade."""
    made, left = sum(are_made), len(are_made) - sum(are_made)
    notes = [f"the {made} smaller sizes of its pyramid are made from the result"] if made else []
    if left:
        notes.append(
            f"{left} of the smaller sizes stay as they were (not a whole fraction of the full size, or another dtype)"
        )
    return notes


def factors_of(full: Shape, level: Shape) -> Shape | None:
    """Return how many pixels along each axis make one pixel of a smaller size; None unless these are integers.

    Examples
    --------
    >>> factors_of((3, 65, 100), (3, 33, 25))
    (1, 2, 4)
    """
    if len(full) != len(level):
        return None
    factors = tuple(max(round(long / short), 1) for long, short in zip(full, level, strict=True))
    pairs = zip(full, level, factors, strict=True)
    fits = all(short in (long // factor, -(-long // factor)) for long, short, factor in pairs)
    return factors if fits else None


def shrink_to(image: NDArray[Any], shape: Shape) -> NDArray[Any] | None:
    """Shrink an image by averaging blocks of pixels; None if the size is not an integer fraction.

    Examples
    --------
    >>> shrink_to(np.arange(16, dtype=np.uint8).reshape(4, 4), (2, 2))
    array([[ 2,  4],
           [10, 12]], dtype=uint8)
    """
    if image.shape == shape:
        return image
    if factors_of(image.shape, shape) is None:
        return None
    return rounded(means_of(image, shape), image.dtype)


def means_of(image: NDArray[Any], shape: Shape, factors: Shape | None = None) -> NDArray[Any]:
    """Average blocks of pixels, without rounding; the size must be an integer fraction, or that of `factors`."""
    small = image
    factors = factors or tuple(max(round(long / short), 1) for long, short in zip(image.shape, shape, strict=True))
    for axis, (factor, short) in enumerate(zip(factors, shape, strict=True)):
        if factor > 1:
            small = _shrink_axis(small, axis, short, factor)
    return small


def shrink_windows(
    plane: WindowedPlane, size: Sequence[int], factors: Sequence[int], chunk: tuple[int, int]
) -> Iterator[tuple[tuple[slice, slice], NDArray[Any]]]:
    """Average blocks of pixels, without rounding, window by window of the smaller size, each of whole chunks of it.

    `size`, `factors` and `chunk` are those of rows and columns; yields rows and columns of the window, and its means.
    """
    sides = [max(AT_ONCE // max(factors) // side, 1) * side for side in chunk]
    lengths = dict(zip(plane.axes, plane.stack_shape, strict=True))
    for tile in tiles(*size, tile_size=sides[0], tile_width=sides[1], context=0):
        rows, columns = (
            slice(part.start * factor, min(part.stop * factor, lengths[letter]))
            for part, factor, letter in zip(tile.target, factors, "YX", strict=True)
        )
        values = plane.read(window_of(plane.index, plane.axes, rows, columns))
        within = [letter for letter in plane.axes if letter in WITHIN]
        small = dict(zip("YX", tile.target, strict=True))
        shape = (small[letter].stop - small[letter].start if letter in small else lengths[letter] for letter in within)
        by = dict(zip("YX", factors, strict=True))
        yield tile.target, means_of(values, tuple(shape), tuple(by.get(letter, 1) for letter in within))


def _shrink_axis(image: NDArray[Any], axis: int, length: int, factor: int) -> NDArray[Any]:
    """Average along one axis; if the last block is incomplete, repeat the last pixel."""
    places = np.arange(length * factor).clip(max=image.shape[axis] - 1)
    parts = np.take(image, places, axis=axis).astype(np.float64)
    means: NDArray[Any] = parts.reshape(*parts.shape[:axis], length, factor, *parts.shape[axis + 1 :]).mean(axis + 1)
    return means


def rounded(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert values to a dtype, rounding for integers."""
    return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)
