"""Write a TIFF with new pixels and the rest of an old one: new strips in a copy of it, or a new file with its tags."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import SEEK_END, BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.tiff.directories import edit_directory
from mashpix.files.tiff.template import RESOLUTION, Strips, TiffTemplate

HORIZONTAL, FLOATING_POINT = 2, 3
"""Predictors."""
LIMIT_TAGS = {280, 281, 340, 341}
"""Tags that hold the least and largest values, in the dtype of the pixels."""
LEVELS = {2: 85, 4: 17}
"""Distance of two grey levels of 2 or 4 bits when they are stretched to 8 bits."""


def new_file(array: NDArray[Any], *, has_alpha: bool) -> bytes:
    """Encode (H, W) or (H, W, C) as a new TIFF; the last channel may be alpha."""
    colours = 1 if array.ndim == 2 else array.shape[2] - has_alpha
    options: dict[str, Any] = {"photometric": "rgb" if colours == 3 else "minisblack"}
    if array.ndim == 3:
        options["planarconfig"] = "contig"
    if has_alpha:
        options["extrasamples"] = [*["unspecified"] * (colours - 1 if colours != 3 else 0), "unassalpha"]
    return _encode(array, compression="adobe_deflate", **options)


def widen(old: TiffTemplate, dtype: np.dtype[Any]) -> TiffTemplate:
    """Return the template of a new file for pixels of another dtype, with the same layout and tags."""
    layout, tags = dict(old.layout), dict(old.tags)
    if "predictor" in layout:
        layout["predictor"] = FLOATING_POINT if dtype.kind == "f" else HORIZONTAL
    tags["extratags"] = [tag for tag in old.tags.get("extratags", ()) if tag[0] not in LIMIT_TAGS]
    return replace(old, dtype=dtype, layout=layout, tags=tags, bits=None, strips=None)


def rebuild(old: TiffTemplate, array: NDArray[Any]) -> bytes:
    """Encode a new TIFF in the layout of the old one, with its tags."""
    layout = old.layout
    if array.dtype.kind == "f" and layout.get("predictor") == HORIZONTAL:
        layout = layout | {"predictor": FLOATING_POINT}
    data = _encode(_lay_out(old, array), bigtiff=old.is_bigtiff, software=False, **layout, **old.tags)
    return edit_directory(data, old.directories, without=set() if "resolution" in old.tags else RESOLUTION)


def _lay_out(old: TiffTemplate, array: NDArray[Any]) -> NDArray[Any]:
    """Arrange axes and bytes of the array in the order of the old file."""
    if old.layout.get("planarconfig") == 2:
        array = np.moveaxis(array, -1, 0)
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder(old.byteorder)))


def _encode(array: NDArray[Any], **options: Any) -> bytes:
    import tifffile

    file = BytesIO()
    tifffile.imwrite(file, array, metadata=None, **options)
    return file.getvalue()


def put_pixels(file: BinaryIO, old: TiffTemplate, strips: Strips, array: NDArray[Any]) -> None:
    """Write new strips or tiles into a copy of the old file: in their old places if they fit, else at the end."""
    put_segments(file, old, strips, encode_segments(old, array))


def put_segments(file: BinaryIO, old: TiffTemplate, strips: Strips, segments: Iterable[bytes]) -> None:
    """As `put_pixels`, for strips or tiles that are encoded already, or one by one."""
    offsets, counts = list(strips.offsets), list[int]()
    for index, segment in enumerate(segments):
        counts.append(len(segment))
        if index >= len(offsets):
            break
        if len(segment) > strips.counts[index] or strips.overlap:
            offsets[index] = _append(file, segment)
        else:
            file.seek(offsets[index])
            file.write(segment)
    if len(counts) != len(offsets):
        raise FileError(f"an unusual layout of strips that cannot be written again ({len(offsets)} of them)")
    _patch(file, old, strips.offsets_entry, offsets)
    _patch(file, old, strips.counts_entry, counts)


def _append(file: BinaryIO, segment: bytes) -> int:
    """Append to a file at an even offset; return the offset."""
    place = file.seek(0, SEEK_END)
    file.write(b"\0" * (place % 2) + segment)
    return place + place % 2


def encode_segments(old: TiffTemplate, array: NDArray[Any]) -> list[bytes]:
    """Encode the strips or tiles of an array as in the old file."""
    import tifffile

    laid_out, layout = _lay_out(old, array), old.layout
    if old.bits is not None:
        laid_out = _pack(laid_out, old)
        layout = layout | {"predictor": 1}  # `_pack` has applied it
    elif laid_out.dtype.kind == "f" and layout.get("predictor") == HORIZONTAL:
        laid_out = laid_out.view(laid_out.dtype.str.replace("f", "u"))  # libtiff subtracts floats as integers
    encoded = _encode(laid_out, photometric="minisblack", **layout)
    with tifffile.TiffFile(BytesIO(encoded)) as file:
        page = file.pages.first
        return [
            encoded[start : start + count] for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]


def _pack(array: NDArray[Any], old: TiffTemplate) -> NDArray[np.uint8]:
    """Rows of values as the bytes that hold them: (H, W) or (H, W, C) to (H, bytes), (C, H, W) to (C, H, bytes)."""
    import imagecodecs

    assert old.bits is not None
    is_planar = old.layout.get("planarconfig") == 2
    rows, largest = array.shape[: 1 + is_planar], 2**old.bits - 1
    values = array.astype(array.dtype.newbyteorder("=")) // array.dtype.type(LEVELS.get(old.bits, 1))
    values = np.minimum(values, largest)
    if old.layout.get("predictor") == HORIZONTAL:
        along = len(rows)
        values = np.diff(values, axis=along, prepend=np.zeros_like(values.take([0], along))) & largest
    values = np.ascontiguousarray(values.reshape(int(np.prod(rows)), -1))
    packed = imagecodecs.packints_encode(values, old.bits, runlen=values.shape[1])
    return np.frombuffer(packed, np.uint8).reshape(*rows, -1)


def _patch(file: BinaryIO, old: TiffTemplate, entry: int, values: Sequence[int]) -> None:
    """Replace the numbers of a directory entry; they go to the end of the file if they do not fit."""
    number, kind, size = ("Q", 16, 8) if old.is_bigtiff else ("L", 4, 4)
    if not old.is_bigtiff and max(file.seek(0, SEEK_END) + len(values) * size, *values) >= 2**32:
        raise FileError("the TIFF would grow beyond 4 GB (save it as BigTIFF first)")
    packed = struct.pack(f"{old.byteorder}{len(values)}{number}", *values)
    if len(values) > 1:
        packed = struct.pack(old.byteorder + number, _append(file, packed))
    file.seek(entry + 2)
    file.write(struct.pack(f"{old.byteorder}H{number}", kind, len(values)) + packed)
