"""Write a TIFF with new pixels and the rest of an old one: new strips in a copy of it, or a new file with its tags."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from io import SEEK_END, BytesIO
from itertools import pairwise
from mmap import mmap
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.tiff.directories import EXIF, GPS, Directory, edit_directory, find_directories

LOSSLESS = {"NONE", "LZW", "DEFLATE", "ADOBE_DEFLATE", "PACKBITS", "ZSTD", "LZMA"}
"""Compressions that are kept; every other one becomes deflate."""
HORIZONTAL, FLOATING_POINT = 2, 3
"""Predictors."""
SUB_IMAGES = 330
"""The tag that points to further images, which only a copy of the old file keeps."""
RESOLUTION = {282, 283, 296}
"""Tags of the resolution, which tifffile adds to every new file."""
PIXEL_TAGS = {*RESOLUTION, 320, 347, *range(512, 522), *range(529, 533)}
"""Tags that a new file does not copy: resolution, palette, JPEG tables, YCbCr."""
PHOTOMETRICS = {"MINISWHITE": "miniswhite", "RGB": "rgb", "YCBCR": "rgb", "SEPARATED": "separated"}
"""Photometric interpretations of a new file, by those of the old one; all others become "minisblack"."""
LIMIT_TAGS = {280, 281, 340, 341}
"""Tags that hold the least and largest values, in the dtype of the pixels."""
LEVELS = {2: 85, 4: 17}
"""Distance of two grey levels of 2 or 4 bits when they are stretched to 8 bits."""


class Strips(NamedTuple):
    """The places of the strips or tiles in the old file, and the directory entries that record them."""

    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    offsets_entry: int
    counts_entry: int
    overlap: bool


@dataclass(frozen=True, kw_only=True)
class TiffTemplate:
    """The old file, its pixel layout, and what a new file reuses if a copy is not possible.

    shape, dtype : of its pixels, alpha included
    byteorder, is_bigtiff : of the file
    layout, tags : options of `tifffile.imwrite` that lay out pixels as it does, and that repeat its tags
    bits : of a value, unless that is a whole number of bytes; else None
    data, strips : the file, and where its strips or tiles are; None if its pixels cannot be replaced in a copy
    directories : EXIF and GPS
    lost : what a new file, unlike a copy, cannot keep, one line each
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    byteorder: Literal["<", ">"]
    layout: dict[str, Any]
    is_bigtiff: bool = False
    tags: dict[str, Any] = field(default_factory=dict)
    bits: int | None = None
    data: bytes = b""
    strips: Strips | None = None
    directories: Directory = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def make_template(file: Any, page: Any, data: bytes, array: NDArray[Any], *, has_palette: bool) -> TiffTemplate:
    """The template of a file that was read as `array`, (H, W) or (H, W, C)."""
    layout, lost = find_layout(file, page)
    directories, left = find_directories(data)
    if left := left + (["sub-images"] if SUB_IMAGES in page.tags else []):
        lost.append(f"not kept in the new TIFF: {', '.join(left)}")
    bits = page.bitspersample if isinstance(page.bitspersample, int) and not has_palette else 8 * array.itemsize
    is_packed = bits != 8 * array.itemsize
    if is_packed:
        lost.append(f"{bits} bits per value become {8 * array.itemsize}")
    can_copy = compression_of(page) in LOSSLESS and not has_palette and page.fillorder == 1
    can_copy = can_copy and not (bits % 8 and page.is_tiled)
    return TiffTemplate(
        shape=array.shape,
        dtype=array.dtype,
        byteorder=file.byteorder,
        layout=layout,
        is_bigtiff=file.is_bigtiff,
        tags=find_tags(page, data, has_palette=has_palette),
        bits=bits if is_packed else None,
        data=data,
        strips=find_strips(page) if can_copy else None,
        directories=directories,
        lost=tuple(lost),
    )


def find_layout(file: Any, page: Any) -> tuple[dict[str, Any], list[str]]:
    """Find options of `tifffile.imwrite` for the pixel layout of a page, and what of it cannot be kept."""
    compression = compression_of(page)
    is_lossless = compression in LOSSLESS
    layout: dict[str, Any] = {"byteorder": file.byteorder, "compression": page.compression}
    if is_lossless and page.predictor > 1:
        layout["predictor"] = page.predictor
    if page.samplesperpixel > 1:
        layout["planarconfig"] = page.planarconfig
    if page.is_tiled:
        layout["tile"] = (page.tilelength, page.tilewidth)
    else:
        layout["rowsperstrip"] = min(page.rowsperstrip, page.imagelength)
    lost = [] if is_lossless else [f"{compression} compression becomes deflate"]
    if not is_lossless:
        layout["compression"] = "adobe_deflate"
    return layout, lost


def compression_of(page: Any) -> str:
    """Return the name of a page's compression; an uncompressed file may omit the tag."""
    return "NONE" if page.compression == 1 else _name_of(page.compression)


def photometric_of(page: Any) -> str:
    """Return the name of a page's photometric interpretation; a file without the tag is read as grey levels."""
    return _name_of(page.photometric) if 262 in page.tags else "MINISBLACK"


def _name_of(number: Any) -> str:
    """Return the name of a number in tifffile's lists; unknown numbers have none."""
    return str(getattr(number, "name", number))


def find_strips(page: Any) -> Strips | None:
    """Find the strips or tiles; None if the file does not record their lengths."""
    offsets, counts = ("TileOffsets", "TileByteCounts") if page.is_tiled else ("StripOffsets", "StripByteCounts")
    if offsets not in page.tags or counts not in page.tags:
        return None
    places = sorted(zip(page.dataoffsets, page.databytecounts, strict=True))
    overlap = any(start + count > following for (start, count), (following, _) in pairwise(places))
    entries = page.tags[offsets].offset, page.tags[counts].offset
    return Strips(tuple(page.dataoffsets), tuple(page.databytecounts), *entries, overlap)


def find_tags(page: Any, data: bytes | mmap, *, has_palette: bool) -> dict[str, Any]:
    """Options of `tifffile.imwrite` that repeat the tags of a page, values as the bytes that they are."""
    raw = [(tag, data[tag.valueoffset : tag.valueoffset + tag.valuebytecount]) for tag in page.tags]
    options: dict[str, Any] = {
        "extratags": [
            (tag.code, int(tag.dtype), tag.count, value, True)
            for tag, value in raw
            if tag.code not in {SUB_IMAGES, EXIF, GPS} | PIXEL_TAGS and len(value) == tag.valuebytecount
        ],
        "photometric": PHOTOMETRICS.get(photometric_of(page), "minisblack"),
    }
    if has_palette:
        options["photometric"] = "rgb"
    if page.extrasamples:
        options["extrasamples"] = page.extrasamples
    if {282, 283} <= {tag.code for tag in page.tags}:
        options["resolution"] = page.tags[282].value, page.tags[283].value
        options["resolutionunit"] = page.tags[296].value if 296 in page.tags else 2
    return options


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
