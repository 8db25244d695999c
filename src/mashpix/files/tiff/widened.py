"""A TIFF stack in a wider dtype: a new file with the tags of every page, whose values are written later."""

import re
import struct
from mmap import ACCESS_READ, mmap
from typing import Any, BinaryIO

import numpy as np

from mashpix.errors import FileError
from mashpix.files.tiff.copy import LIMIT_TAGS
from mashpix.files.tiff.directories import EXIF, GPS, find_layout_of
from mashpix.files.tiff.empty import LARGEST_CLASSIC
from mashpix.files.tiff.series import open_tifffile
from mashpix.files.tiff.template import RESOLUTION, find_tags

DESCRIPTION, COLOUR_MAP = 270, 320
OME_TYPES = {"float32": "float", "float64": "double"}
"""Names of types in OME-XML that are not those of numpy."""
PIXELS = re.compile(rb"<(?:\w+:)?Pixels\b[^>]*>")


def check_widening(tiff: Any, series: Any, dtype: np.dtype[Any], *, is_rgb: bool) -> None:
    """Refuse a stack that a new file of one page for each plane cannot hold as it is."""
    why = ""
    if len(tiff.series) > 1 or len(series.levels) > 1 or len(series.pages) != len(tiff.pages):
        why = "holds further images, sizes, or planes without a page of their own"
    elif is_rgb and dtype.kind == "u":
        why = "is RGB, where white is the largest integer; floats keep its values"
    if why:
        raise FileError(f"`dtype`: a stack that {why} ({series.dtype}; leave it out)")


def lost_by_widening(tiff: Any) -> list[str]:
    """Return what the new file does not hold, one line each."""
    codes = {tag.code for page in tiff.pages for tag in page.aspage().tags}
    left = [name for code, name in {EXIF: "EXIF", GPS: "GPS", COLOUR_MAP: "look-up table"}.items() if code in codes]
    return ["written uncompressed, in the new dtype"] + ([f"not kept: {', '.join(left)}"] if left else [])


def begin_widened(file: BinaryIO, tiff: Any, dtype: np.dtype[Any]) -> list[int]:
    """Write all pages without their values; return where those of each start."""
    import tifffile

    size = sum(page.aspage().size for page in tiff.pages) * dtype.itemsize
    handle = tifffile.FileHandle(file, name=tiff.filename, size=0)
    is_big = tiff.is_bigtiff or size > LARGEST_CLASSIC
    with (
        mmap(tiff.filehandle.fileno(), 0, access=ACCESS_READ) as data,
        tifffile.TiffWriter(handle, bigtiff=is_big, byteorder=tiff.byteorder, ome=False) as writer,
    ):
        places = [_begin_page(writer, page.aspage(), data, dtype) for page in tiff.pages]
    _drop_resolution(file, tiff)
    return places


def _begin_page(writer: Any, page: Any, data: mmap, dtype: np.dtype[Any]) -> int:
    options = find_tags(page, data, has_palette=False)
    options["extratags"] = [_renamed(tag, dtype) for tag in options["extratags"] if tag[0] not in LIMIT_TAGS]
    if page.samplesperpixel > 1:
        options["planarconfig"] = page.planarconfig
    how = {"metadata": None, "contiguous": False, "software": False, "returnoffset": True}
    return int(writer.write(shape=page.shape, dtype=dtype, **how, **options)[0])


def _drop_resolution(file: BinaryIO, tiff: Any) -> None:
    """Remove the resolution, which tifffile adds to every page, from those that had none."""
    file.seek(0)
    layout = find_layout_of(file.read(16))
    file.seek(0)
    with open_tifffile(file, tiff.filename, is_ome=False) as made:
        pages = [(new.aspage(), old.aspage()) for new, old in zip(made.pages, tiff.pages, strict=True)]
        places = [new.offset for new, old in pages if 282 not in old.tags]
    length = struct.calcsize(layout.entry)
    for place in places:
        file.seek(place)
        (count,) = struct.unpack(layout.number, file.read(struct.calcsize(layout.number)))
        entries = [file.read(length) for _ in range(count)]
        following = file.read(struct.calcsize(layout.place))
        kept = [entry for entry in entries if struct.unpack_from(f"{layout.order}H", entry)[0] not in RESOLUTION]
        file.seek(place)
        file.write(struct.pack(layout.number, len(kept)) + b"".join(kept) + following)


def _renamed(tag: tuple[Any, ...], dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return a tag in which OME-XML names the new dtype."""
    code, kind, _, value, once = tag
    if code != DESCRIPTION or b"<OME" not in value:
        return tag
    name = OME_TYPES.get(dtype.name, dtype.name).encode()

    def rename(found: re.Match[bytes]) -> bytes:
        pixels = re.sub(rb"\sSignificantBits\s*=\s*[\"']\d*[\"']", b"", found[0])
        return re.sub(rb"(\sType\s*=\s*[\"'])\w+", rb"\g<1>" + name, pixels)

    value = PIXELS.sub(rename, value)
    return code, kind, len(value), value, once
