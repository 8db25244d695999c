"""One page of a TIFF: how it is encoded, and new strips or tiles for it."""

import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.tiff.copy import put_segments
from mashpix.files.tiff.template import LOSSLESS, TiffTemplate, compression_of, find_layout, find_strips, photometric_of

COMPRESSION, PHOTOMETRIC, FILL_ORDER, SUBSAMPLING = 259, 262, 266, 530
DEFLATE, RGB = 8, 2


def template_of(tiff: Any, page: Any, dtype: np.dtype[Any]) -> TiffTemplate:
    """Return how a page is encoded, for values of a dtype."""
    return TiffTemplate(
        shape=page.shape,
        dtype=dtype,
        byteorder=tiff.byteorder,
        layout=find_layout(tiff, page)[0],
        is_bigtiff=tiff.is_bigtiff,
    )


def samples_last(page: Any, array: NDArray[Any]) -> NDArray[Any]:
    """Return the pixels of a page with its samples as the last axis."""
    return np.moveaxis(array, 0, -1) if page.axes == "SYX" else array


def put_page(file: BinaryIO, page: Any, old: TiffTemplate, segments: Iterable[bytes], *, overlap: bool) -> None:
    """Replace the strips or tiles of one page; a lossy compression becomes deflate."""
    strips = find_strips(page)
    if strips is None:
        raise FileError("a page without the lengths of its strips (save it with another program first)")
    put_segments(file, old, strips._replace(overlap=strips.overlap or overlap), segments)
    changes: dict[int, tuple[int, ...]] = {FILL_ORDER: (1,)} if page.fillorder != 1 else {}
    if compression_of(page) not in LOSSLESS:
        changes |= {COMPRESSION: (DEFLATE,)}
    if photometric_of(page) == "YCBCR":
        changes |= {PHOTOMETRIC: (RGB,)} | ({SUBSAMPLING: (1, 1)} if SUBSAMPLING in page.tags else {})
    for code, values in changes.items():
        file.seek(page.tags[code].valueoffset)
        file.write(struct.pack(f"{old.byteorder}{len(values)}H", *values))
