"""Windows of a TIFF page: only the strips or tiles that they touch are read, and new ones are encoded band by band."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, product
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mashpix.files.ome_zarr.array import overlap_of, relative
from mashpix.files.pyramid import rounded, shrink_windows
from mashpix.files.tiff.copy import encode_segments
from mashpix.files.tiff.template import TiffTemplate
from mashpix.files.windows import WindowedPlane

ROWS = 64
"""Rows that are read at once for a checksum."""


def segment_size(page: Any) -> tuple[int, int]:
    """Return the rows and columns of the strips or tiles of a page."""
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def read_window(page: Any, file: BinaryIO, rows: slice, columns: slice) -> NDArray[Any]:
    """Read a window of a page, (H, W), (H, W, S) or, for samples one after another, (S, H, W)."""
    size = segment_size(page)
    down, across = -(-page.imagelength // size[0]), -(-page.imagewidth // size[1])
    planes = len(page.dataoffsets) // (down * across)  # one, or one per sample
    result = np.zeros(
        (planes, rows.stop - rows.start, columns.stop - columns.start, page.samplesperpixel // planes), page.dtype
    )
    touched = (
        range(part.start // side, -(-part.stop // side)) for part, side in zip((rows, columns), size, strict=True)
    )
    for plane, row, column in product(range(planes), *touched):
        number = (plane * down + row) * across + column
        file.seek(page.dataoffsets[number])
        data = file.read(page.databytecounts[number])
        values = page.decode(data, number, jpegtables=page.jpegtables, jpegheader=page.jpegheader)[0][0]
        place = tuple(
            slice(place * side, place * side + length)
            for place, side, length in zip((row, column), size, values.shape, strict=False)
        )
        both = overlap_of(place, (rows, columns))
        result[plane][relative(both, (rows, columns))] = values[relative(both, place)]
    within = result if planes > 1 else result[0]
    return within if planes == 1 and page.samplesperpixel > 1 else within[..., 0]


def encode_bands(plane: WindowedPlane, page: Any, factors: Sequence[int], old: TiffTemplate) -> Iterator[bytes]:
    """Encode the strips or tiles of a page, of a plane or of one whose blocks of `factors` pixels are averaged."""
    size, by = ([of[page.axes.index(letter)] for letter in "YX"] for of in (page.shape, factors))
    windows = shrink_windows(plane, size, by, (segment_size(page)[0], 1))
    for _, parts in groupby(windows, key=lambda part: part[0][0].start):
        band = np.concatenate([means for _, means in parts], axis=page.axes.index("X"))
        yield from encode_segments(old, rounded(band, old.dtype))


def checksum(height: int, read: Callable[[slice], NDArray[Any]]) -> int:
    """Return the checksum of a plane that `read` returns rows of."""
    total = 0
    for top in range(0, height, ROWS):
        rows = read(slice(top, min(top + ROWS, height)))
        total = crc32(np.ascontiguousarray(rows).data, total)
    return total
