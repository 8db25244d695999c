"""One array of a Zarr, read and written one chunk at a time, which bounds memory and identifies a bad chunk."""

import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index
from mashpix.errors import FileError
from mashpix.files.image_file import in_short
from mashpix.files.ome_zarr.metadata import LAYOUTS, Layout

Region = tuple[slice, ...]
"""A region of an array, with a start and a stop along each axis."""
Place = tuple[int, ...]
"""Index of a chunk along each axis."""
BLOSC = struct.Struct("<4xI4xI")
"""Header of a Blosc chunk: its size decoded and stored, in bytes, including the header."""


@dataclass(frozen=True)
class ZarrArray:
    """An open array.

    root : folder of the Zarr
    layout : location of its values
    opened : the array as opened by the library
    sparse : whether chunks may be missing, and are then read as the fill value
    fills : whether missing chunks are written too, or stay missing
    """

    root: Path
    layout: Layout
    opened: Any
    sparse: bool
    fills: bool = False

    def parts(self, region: Region) -> Iterator[tuple[Place, Region]]:
        """Yield the chunks that a region touches, each with its part of the region."""
        chunks = self.layout.chunks
        numbers = (range(part.start // c, -(-part.stop // c)) for part, c in zip(region, chunks, strict=True))
        for place in product(*numbers):
            chunk = tuple(slice(number * c, (number + 1) * c) for number, c in zip(place, chunks, strict=True))
            yield place, overlap_of(chunk, region)

    def check_chunks(self) -> None:
        """Refuse a missing chunk, before any work is done."""
        for place, _ in self.parts(tuple(slice(0, length) for length in self.layout.shape)):
            self._is_there(place)

    def _is_there(self, place: Place) -> bool:
        """Return whether a chunk exists; `FileError` if it is missing and must not be."""
        name = self.layout.chunk_name(place)
        if not (found := (self.root / name).is_file()) and not self.sparse:
            fill = self.opened.fill_value
            raise FileError(f"a chunk is missing ({name!r}; `sparse` reads missing chunks as the fill value {fill})")
        return found

    def read(self, region: Region) -> NDArray[Any]:
        """Read the values of a region, in native byte order."""
        values = np.empty(shape_of(region), self.layout.dtype)
        for place, part in self.parts(region):
            values[relative(part, region)] = self.read_part(place, part)
        return values

    def read_part(self, place: Place, part: Region) -> NDArray[Any]:
        """Read values of one chunk."""
        if self._is_there(place):
            self._check_length(place)
        try:
            with warnings.catch_warnings(action="ignore"):
                values: NDArray[Any] = np.asarray(self.opened[part], self.layout.dtype)
        except Exception as error:  # decoders raise arbitrary errors on damaged chunks
            raise FileError(f"damaged chunk {self.layout.chunk_name(place)!r} ({in_short(error)})") from None
        return values

    def _check_length(self, place: Place) -> None:
        """Refuse an empty chunk, and a truncated Blosc chunk: its decoder would read beyond the end."""
        codecs, name = self.layout.codecs, self.layout.chunk_name(place)
        size = (self.root / name).stat().st_size
        if size == 0:
            raise FileError(f"damaged chunk {name!r} (empty)")
        if codecs[-1:] != ("blosc",) or "sharding_indexed" in codecs:
            return
        with (self.root / name).open("rb") as file:
            start = file.read(BLOSC.size)
        held, stored = BLOSC.unpack(start) if len(start) == BLOSC.size else (0, 0)
        expected = prod(self.layout.chunks) * self.layout.dtype.itemsize
        if stored != size or (held != expected and set(codecs) <= {"blosc"} | LAYOUTS):
            raise FileError(f"damaged chunk {name!r} (truncated, or its Blosc header is damaged)")

    def write_part(self, place: Place, part: Region, values: NDArray[Any]) -> None:
        """Replace values of one chunk, and read them back: values that its codecs cannot hold are an error."""
        if not (self.fills or self._is_there(place)):
            return
        try:
            with warnings.catch_warnings(action="ignore"):
                self.opened[part] = values
        except OSError:  # from the disk, not from an encoder
            raise
        except Exception as error:
            name = self.layout.chunk_name(place)
            raise FileError(f"chunk {name!r} cannot be written ({in_short(error)})") from None
        if not np.array_equal(self.read_part(place, part), values, equal_nan=True):
            raise FileError(f"chunk {self.layout.chunk_name(place)!r} does not hold what was written (a lossy codec?)")


def region_of(index: Index, shape: tuple[int, ...]) -> Region:
    """Return the region of a plane, or of a window of it, in a stack."""
    return tuple(
        slice(item, item + 1) if isinstance(item, int) else slice(*item.indices(length)[:2])
        for item, length in zip(index, shape, strict=True)
    )


def shape_of(region: Region) -> tuple[int, ...]:
    """Return the lengths of a region."""
    return tuple(part.stop - part.start for part in region)


def overlap_of(one: Region, other: Region) -> Region:
    """Return what two regions have in common."""
    return tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def relative(part: Region, region: Region) -> Region:
    """Return a part of a region, relative to the region's start."""
    return tuple(
        slice(inner.start - outer.start, inner.stop - outer.start) for inner, outer in zip(part, region, strict=True)
    )


def open_array(root: Path, layout: Layout, *, sparse: bool, fills: bool = False, mode: str = "r") -> ZarrArray:
    """Open an array whose layout was checked; mode "r+" allows writing. Other parameters are as in `ZarrArray`."""
    import zarr
    from zarr.storage import LocalStore

    try:
        with warnings.catch_warnings(action="ignore"):
            store = LocalStore(root, read_only=mode == "r")
            opened = zarr.open_array(store, path=layout.name, mode=mode, zarr_format=layout.zarr_format)
            opened = opened.with_config({"write_empty_chunks": True})  # else chunks of zeros would be removed
    except Exception as error:  # the library raises arbitrary errors on unknown metadata
        raise FileError(f"damaged Zarr (array {layout.name!r}: {in_short(error)})") from None
    return ZarrArray(root, layout, opened, sparse, fills)
