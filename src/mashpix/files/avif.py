"""AVIF of 8 to 12 bits: the colours are coded anew, and everything else of the old file stays bit for bit.

The new code is appended to a copy of the old file, and the item of the image leads there; so alpha, profile, EXIF, XMP
and all other properties stay. The encoder is libavif with libaom, in imagecodecs.
"""

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import Format, ImageFile, check_size, join_alpha, split_alpha
from mashpix.files.iso_boxes import Box, Item, read_items

QUALITY, LOSSLESS = 95, 100
"""Quality of a lossy file, which does not record its own; and that of a lossless one."""
IDENTITY = 0
"""Matrix coefficients of colours that are stored as red, green and blue, as lossless files do."""
LAYERED = {b"a1op", b"a1lx", b"lsel"}
"""Properties of an image whose code is in layers."""
LONGEST_SIDE = 65_536


class AvifTemplate(NamedTuple):
    """What a copy reuses from the old file: all of it; how its colours are coded, and its alpha as it was read."""

    data: bytes
    bits: int
    options: dict[str, Any]
    alpha: NDArray[Any] | None


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, with or without alpha, without applying a stored rotation."""
    import imagecodecs

    item = _find_colour(data)
    size = _property(item, b"ispe")
    width, height = struct.unpack_from(">II", data, size.start + 4)
    check_size(width, height, max_pixels=max_pixels)
    bits, pixel_format = _find_coding(data, item)
    array = imagecodecs.avif_decode(data)
    if array.shape[:2] != (height, width):
        raise FileError(f"damaged AVIF ({width} x {height} pixels declared)")
    pixels, alpha = split_alpha(array.reshape(height, width, -1))
    options: dict[str, Any] = {"level": QUALITY, "pixelformat": pixel_format}
    if colours := _find_nclx(data, item):
        options |= dict(zip(("primaries", "transfer", "matrix"), colours, strict=True))
    if options.get("matrix") == IDENTITY:
        options["level"] = LOSSLESS
    notes = () if options["level"] == LOSSLESS else (f"lossy AVIF: written again with quality {QUALITY}",)
    template = AvifTemplate(data, bits, options, alpha)
    return ImageFile(pixels, "avif", alpha, template, notes, is_rgb=pixels.ndim == 3)


def _find_colour(data: bytes) -> Item:
    """Find the item of the image itself; refuse sequences, and images that are made of others."""
    if data[8:12] == b"avis":
        raise FileError("an AVIF sequence (single images only; save the frame that you want)")
    primary, items = read_items(data, what="AVIF")
    item = items.get(primary)
    if item is None or item.kind != b"av01" or not item.offset_at[1] or not item.length_at[1]:
        raise FileError("an AVIF whose image is in several pieces (convert it first)")
    if LAYERED & {box.name for box in item.properties}:
        raise FileError("an AVIF whose image is in several layers (convert it first)")
    return item


def _property(item: Item, name: bytes) -> Box:
    found = next((box for box in item.properties if box.name == name), None)
    if found is None:
        raise FileError(f"damaged AVIF (no {name.decode('latin-1')!r} property)")
    return found


def _find_coding(data: bytes, item: Item) -> tuple[int, str]:
    """Read bits and chroma subsampling (AV1 in ISO media files, 2.3.3)."""
    flags = data[_property(item, b"av1C").start + 2]
    is_high, is_twelve, is_grey, halves_x, halves_y = (bool(flags >> bit & 1) for bit in (6, 5, 4, 3, 2))
    bits = (12 if is_twelve else 10) if is_high else 8
    return bits, "400" if is_grey else "420" if halves_x and halves_y else "422" if halves_x else "444"


def _find_nclx(data: bytes, item: Item) -> tuple[int, ...] | None:
    """Read primaries, transfer and matrix, if the file names them beside the code."""
    found = [box for box in item.properties if box.name == b"colr" and data[box.start : box.start + 4] == b"nclx"]
    return struct.unpack_from(">HHH", data, found[0].start + 4) if found else None


def cannot_hold(image: ImageFile, old: AvifTemplate | None) -> str | None:
    """Return why an image cannot be written as AVIF, or None."""
    if image.pixels.dtype != np.uint8 and not (old and image.pixels.dtype == np.uint16):
        return f"AVIF holds 8 bits, or 10 and 12 of a file of its own ({image.pixels.dtype}; choose PNG or TIFF)"
    if max(image.pixels.shape[:2]) > LONGEST_SIDE:
        return f"too large for AVIF ({max(image.pixels.shape[:2])} pixels per side; at most {LONGEST_SIDE})"
    return None if image.colours in (1, 3) else f"AVIF holds grey or RGB ({image.colours} channels; choose TIFF or NPY)"


def encode(image: ImageFile, old: AvifTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept. An image of another format becomes lossless."""
    import imagecodecs

    if old is None:
        return bytes(imagecodecs.avif_encode(np.ascontiguousarray(join_alpha(image)), level=LOSSLESS)), []
    pixels = np.minimum(image.pixels, image.pixels.dtype.type(2**old.bits - 1))
    if pixels.ndim == 3 and old.options["pixelformat"] == "400":
        raise FileError("damaged AVIF (declared as grey, and decoded to colours)")
    coded = bytes(imagecodecs.avif_encode(np.ascontiguousarray(pixels), bitspersample=old.bits, **old.options))
    return _splice(old.data, coded), []


def _splice(data: bytes, coded: bytes) -> bytes:
    """Let the image of the old file be that of the new one."""
    old, new = _find_colour(data), _find_colour(coded)
    body = coded[new.start : new.end]
    patched = bytearray(data + struct.pack(">I4s", 8 + len(body), b"mdat") + body)
    for (place, size), value in ((old.offset_at, len(data) + 8 - old.base), (old.length_at, len(body))):
        patched[place : place + size] = value.to_bytes(size, "big")
    for name in (b"av1C", b"colr"):
        before, after = _coding_box(data, old, name), _coding_box(coded, new, name)
        if before is not None and after is not None:
            if before.end - before.start != after.end - after.start:
                raise FileError("an AVIF with an unusual configuration (convert it first)")
            patched[before.start : before.end] = coded[after.start : after.end]
    return bytes(patched)


def _coding_box(data: bytes, item: Item, name: bytes) -> Box | None:
    """Find the property that says how the code is to be read; of colours, that is not the profile."""
    found = [box for box in item.properties if box.name == name]
    if name == b"colr":
        found = [box for box in found if data[box.start : box.start + 4] == b"nclx"]
    return found[0] if found else None


AVIF = Format((), AvifTemplate, read, cannot_hold, encode)
"""Known by its brand, see `formats`."""
