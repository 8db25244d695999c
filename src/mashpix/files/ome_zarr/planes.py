"""Planes of a chunked array: those that share chunks are read and written together, a few at a time."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import WITHIN, Index
from mashpix.files.ome_zarr.array import Region, ZarrArray, relative
from mashpix.files.opened import numbers_of

MAX_KEPT = 2**26
"""Bytes of planes to keep for reading, and for writing, because they share chunks."""
Numbers = tuple[int, ...]
"""Index of a plane: a number for each axis outside of it."""


@dataclass
class Planes:
    """The planes of an array.

    array, axes : the array and its letters
    kept : the last region read, and its values
    waiting : planes to be written, by the start of the block of planes that share their chunks
    """

    array: ZarrArray
    axes: str
    kept: tuple[Region, NDArray[Any]] | None = None
    waiting: dict[Numbers, dict[Numbers, NDArray[Any]]] = field(default_factory=dict)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """One plane."""
        numbers = numbers_of(index)
        block, plane = self._block(numbers), self._region(numbers, numbers)
        if prod(part.stop - part.start for part in block) * self.array.layout.dtype.itemsize > MAX_KEPT:
            return self._flat(self.array.read(plane))
        if self.kept is None or self.kept[0] != block:
            self.kept = block, self.array.read(block)
        return self._flat(self.kept[1][relative(plane, block)]).copy()

    def put(self, numbers: Numbers, plane: NDArray[Any]) -> None:
        """Replace a plane; it is written once all that share its chunks have arrived, or too many are waiting."""
        block = self._block(numbers)
        start = tuple(part.start for part, letter in zip(block, self.axes, strict=True) if letter not in WITHIN)
        planes = self.waiting.setdefault(start, {})
        planes[numbers] = np.array(plane, self.array.layout.dtype)
        if len(planes) == self._count(block):
            self._write(block, self.waiting.pop(start))
        elif sum(len(planes) for planes in self.waiting.values()) * plane.nbytes > MAX_KEPT:
            self.flush()

    def flush(self) -> None:
        """Write all planes that are waiting."""
        while self.waiting:
            start, planes = self.waiting.popitem()
            self._write(self._block(start), planes)

    def _write(self, block: Region, planes: dict[Numbers, NDArray[Any]]) -> None:
        """Put planes of a block into its chunks, one chunk after another."""
        for place, part in self.array.parts(block):
            is_whole = len(planes) == self._count(block)
            values = np.empty(_shape(part), self.array.layout.dtype) if is_whole else self.array.read_part(place, part)
            within = tuple(item for item, letter in zip(part, self.axes, strict=True) if letter in WITHIN)
            for numbers, plane in planes.items():
                target = relative(self._region(numbers, numbers, within=part), part)
                values[target] = plane[within].reshape(_shape(target))
            self.array.write_part(place, part, values)

    def _block(self, numbers: Numbers) -> Region:
        """Return the region of the planes that share chunks with a plane."""
        outside = [axis for axis, letter in enumerate(self.axes) if letter not in WITHIN]
        chunks = [self.array.layout.chunks[axis] for axis in outside]
        first = tuple(number // chunk * chunk for number, chunk in zip(numbers, chunks, strict=True))
        last = tuple(
            min(number + chunk, self.array.shape[axis]) - 1
            for number, chunk, axis in zip(first, chunks, outside, strict=True)
        )
        return self._region(first, last)

    def _region(self, first: Numbers, last: Numbers, *, within: Region | None = None) -> Region:
        """Return the region of planes from first to last along each axis, or its part within another region."""
        ends = iter(zip(first, last, strict=True))
        whole = within or tuple(slice(0, length) for length in self.array.shape)
        return tuple(
            whole[axis] if letter in WITHIN else slice((end := next(ends))[0], end[1] + 1)
            for axis, letter in enumerate(self.axes)
        )

    def _count(self, block: Region) -> int:
        """Count the planes of a block."""
        lengths = zip(_shape(block), self.axes, strict=True)
        return prod(length for length, letter in lengths if letter not in WITHIN)

    def _flat(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the one plane of a region, without the axes outside of it."""
        return values.reshape(
            [length for length, letter in zip(values.shape, self.axes, strict=True) if letter in WITHIN]
        )


def _shape(region: Region) -> tuple[int, ...]:
    return tuple(part.stop - part.start for part in region)
