"""Begin a new TIFF whose values are written later: uncompressed, one plane after another."""

from typing import Any, BinaryIO

import numpy as np

LARGEST_CLASSIC = 2**32 - 2**25
"""Bytes of pixels beyond which a TIFF becomes a BigTIFF."""


def begin_tiff(
    file: BinaryIO, name: str, *, shape: tuple[int, ...], dtype: np.dtype[Any], is_rgb: bool, **options: Any
) -> int:
    """Write a TIFF except for its values, and return where these start; other options are those of tifffile."""
    import tifffile

    place: Any = tifffile.imwrite(
        tifffile.FileHandle(file, name=name, size=0),
        shape=shape,
        dtype=dtype,
        bigtiff=int(np.prod(shape, dtype=object)) * dtype.itemsize > LARGEST_CLASSIC,
        photometric="rgb" if is_rgb else "minisblack",
        returnoffset=True,
        **options,
    )
    return int(place[0])
