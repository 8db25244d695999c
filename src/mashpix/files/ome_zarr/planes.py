"""Planes of a chunked array: those that share chunks are read and written together, a few at a time."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import WITHIN, Index
from mashpix.files.ome_zarr.array import Region, ZarrArray, overlap_of, region_of, relative, shape_of

MAX_KEPT = 2**26
"""Bytes of planes to keep for reading, and for writing, because they share chunks."""
Starts = tuple[int, ...]
"""Where a region starts along each axis."""


@dataclass
class Planes:
    """The planes of an array.

    array, axes : the array and its letters
    kept : the last region read, and its values
    waiting : planes to be written and their regions, by their starts, by the start of the region that shares chunks
    """

    array: ZarrArray
    axes: str
    kept: tuple[Region, NDArray[Any]] | None = None
    waiting: dict[Starts, dict[Starts, tuple[Region, NDArray[Any]]]] = field(default_factory=dict)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """One plane, or a window of it."""
        plane = region_of(index, self.array.layout.shape)
        block = self._share_chunks(plane)
        if prod(shape_of(block)) * self.array.layout.dtype.itemsize > MAX_KEPT:
            values = self.array.read(plane)
        else:
            if self.kept is None or self.kept[0] != block:
                self.kept = block, self.array.read(block)
            values = self.kept[1][relative(plane, block)].copy()
        lengths = zip(values.shape, self.axes, strict=True)
        return values.reshape([length for length, letter in lengths if letter in WITHIN])

    def put(self, index: Index, plane: NDArray[Any]) -> None:
        """Replace a plane; it is written once all that share its chunks have arrived, or too many are waiting."""
        region = region_of(index, self.array.layout.shape)
        block = self._share_chunks(region)
        planes = self.waiting.setdefault(_starts(block), {})
        planes[_starts(region)] = region, np.array(plane, self.array.layout.dtype).reshape(shape_of(region))
        if len(planes) == self._count(block):
            self._write(self.waiting.pop(_starts(block)))
        elif sum(len(planes) for planes in self.waiting.values()) * plane.nbytes > MAX_KEPT:
            self.flush()

    @property
    def chunk(self) -> tuple[int, int]:
        """Rows and columns of a chunk."""
        sides = dict(zip(self.axes, self.array.layout.chunks, strict=True))
        return sides["Y"], sides["X"]

    def flush(self) -> None:
        """Write all planes that are waiting."""
        while self.waiting:
            self._write(self.waiting.popitem()[1])

    def _write(self, planes: dict[Starts, tuple[Region, NDArray[Any]]]) -> None:
        """Put planes that share chunks into these, one chunk after another."""
        block = self._share_chunks(next(iter(planes.values()))[0])
        is_whole = len(planes) == self._count(block)
        for place, part in self.array.parts(block):
            empty = np.empty(shape_of(part), self.array.layout.dtype)
            values = empty if is_whole else self.array.read_part(place, part)
            for region, plane in planes.values():
                both = overlap_of(region, part)
                values[relative(both, part)] = plane[relative(both, region)]
            self.array.write_part(place, part, values)

    def _count(self, block: Region) -> int:
        """Count the planes of a region."""
        lengths = zip(shape_of(block), self.axes, strict=True)
        return prod(length for length, letter in lengths if letter not in WITHIN)

    def _share_chunks(self, plane: Region) -> Region:
        """Return the region of the planes that share chunks with a plane."""
        parts, layout = [], self.array.layout
        for letter, part, chunk, length in zip(self.axes, plane, layout.chunks, layout.shape, strict=True):
            start = part.start // chunk * chunk
            parts.append(part if letter in WITHIN else slice(start, min(start + chunk, length)))
        return tuple(parts)


def _starts(region: Region) -> Starts:
    return tuple(part.start for part in region)
