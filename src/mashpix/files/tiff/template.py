"""What a TIFF has beside its pixels, kept so that it can be written again with new ones."""

from dataclasses import dataclass, field
from itertools import pairwise
from mmap import mmap
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.files.tiff.directories import EXIF, GPS, Directory, find_directories

LOSSLESS = {"NONE", "LZW", "DEFLATE", "ADOBE_DEFLATE", "PACKBITS", "ZSTD", "LZMA"}
"""Compressions that are kept; every other one becomes deflate."""
SUB_IMAGES = 330
"""The tag that points to further images, which only a copy of the old file keeps."""
RESOLUTION = {282, 283, 296}
"""Tags of the resolution, which tifffile adds to every new file."""
PIXEL_TAGS = {*RESOLUTION, 320, 347, *range(512, 522), *range(529, 533)}
"""Tags that a new file does not copy: resolution, palette, JPEG tables, YCbCr."""
FRACTIONS = {5: "u4", 10: "i4"}
"""Types of values that are fractions, and of what is above and below their line."""
PHOTOMETRICS = {"MINISWHITE": "miniswhite", "RGB": "rgb", "YCBCR": "rgb", "SEPARATED": "separated"}
"""Photometric interpretations of a new file, by those of the old one; all others become "minisblack"."""


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
    """Options of `tifffile.imwrite` that repeat the tags of a page, values as the bytes that they are.

    Fractions as numbers: of those in bytes, tifffile counts numerator and denominator as two.
    """
    fractions = {kind: page.parent.byteorder + code for kind, code in FRACTIONS.items()}
    raw = [(tag, data[tag.valueoffset : tag.valueoffset + tag.valuebytecount]) for tag in page.tags]
    options: dict[str, Any] = {
        "extratags": [
            (tag.code, int(tag.dtype), tag.count, _numbers(value, fractions.get(int(tag.dtype))), True)
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


def _numbers(value: bytes, dtype: str | None) -> bytes | list[int]:
    return value if dtype is None else list(map(int, np.frombuffer(value, dtype)))
