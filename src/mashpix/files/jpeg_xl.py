"""JPEG XL of 8 to 16 bits: new frames behind the header of the old code stream, among the old metadata boxes.

The header says colours or profile, orientation and depth, so these stay bit for bit. The encoder is libjxl, in
imagecodecs.
"""

import struct
from bisect import bisect_left
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import Format, ImageFile, active_remarks, check_size, join_alpha, split_alpha
from mashpix.files.iso_boxes import list_boxes
from mashpix.files.jpeg_xl_header import (
    ALPHA,
    LINEAR_CURVE,
    PROFILE,
    SRGB_CURVE,
    Header,
    put_curve,
    put_flags,
    put_smallest_size,
    read_header,
)

STREAM, CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
FILE_TYPE = b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
LEVEL = b"jxll"
CARRIED = {b"Exif", b"xml ", b"jumb", b"brob"}
"""Boxes that are copied."""
OF_STREAM = {b"JXL ", b"ftyp", b"jxlc", b"jxlp", LEVEL, b"jxli", b"jbrd"}
"""Boxes of the image itself, and of how it was packed."""
DISTANCE = 0.5
"""Largest visible difference in a lossy file (1 is just noticeable): a file does not record its own."""
LONGEST_SIDE = 2**18
MAX_PROFILE, LONGEST_FRAME_HEADER = 2**20, 32
"""Bytes of a compressed profile, and of the header of a frame, with room to spare."""


class JxlTemplate(NamedTuple):
    """What a copy reuses from the old file: its metadata boxes, the start of its code stream, and what that says."""

    boxes: bytes
    is_contained: bool
    start: bytes | None
    header: Header


class _Packed(NamedTuple):
    """A file taken apart: its code stream, the boxes to copy, that of its level, and the names of all others."""

    stream: bytes
    boxes: bytes
    level: bytes
    names: set[bytes]


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, with or without alpha, without turning it as its orientation asks."""
    packed = _unpack(data)
    header = read_header(packed.stream)
    check_size(header.width, header.height, max_pixels=max_pixels)
    if header.is_animated:
        raise FileError("an animated JPEG XL (single images only; save the frame that you want)")
    if header.is_float or header.bits > 16:
        raise FileError(f"a JPEG XL of {header.bits} bits or of floats (8 to 16 bits needed; convert it to TIFF)")
    if set(header.extra) - {ALPHA} or len(header.extra) > 1:
        raise FileError("a JPEG XL with channels beside colour and alpha (convert it to TIFF)")
    array = _decode(data)
    if array.shape[:2] != (header.height, header.width):
        raise FileError(f"damaged JPEG XL ({header.width} x {header.height} pixels declared)")
    pixels, alpha = split_alpha(array.reshape(header.height, header.width, -1))
    start = _find_start(packed.stream, header, array)
    further = packed.names - OF_STREAM
    losses = {
        "not kept: the JPEG that it was made of": b"jbrd" in packed.names,
        f"not kept: {', '.join(sorted(name.decode('latin-1') for name in further))}": bool(further),
    }
    how = f"again with a distance of {DISTANCE}" if _stays_lossy(header) else "lossless, to keep its colours"
    notes = (f"lossy JPEG XL: written {how}",) if header.lossy.value else ()
    template = JxlTemplate(packed.boxes, not data.startswith(STREAM), start, header)
    return ImageFile(pixels, "jxl", alpha, template, notes, active_remarks(losses), is_rgb=pixels.ndim == 3)


def _unpack(data: bytes) -> _Packed:
    if data.startswith(STREAM):
        return _Packed(data, b"", b"", set())
    boxes = list(list_boxes(data, 0, len(data), what="JPEG XL"))
    stream = b"".join(
        data[box.start + 4 * (box.name == b"jxlp") : box.end] for box in boxes if box.name in (b"jxlc", b"jxlp")
    )
    carried, level = (
        b"".join(_box(box.name, data[box.start : box.end]) for box in boxes if box.name in names)
        for names in (CARRIED, {LEVEL})
    )
    return _Packed(stream, carried, level, {box.name for box in boxes} - CARRIED)


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _stays_lossy(header: Header) -> bool:
    """Whether the encoder knows the colours of a lossy file: it takes more than 8 bits to be linear."""
    curve = SRGB_CURVE if header.bits <= 8 else LINEAR_CURVE
    return header.lossy.value and header.colours[1:] == (1, 1, 0, curve)


def _find_start(stream: bytes, header: Header, array: NDArray[Any]) -> bytes | None:
    """Return what lies before the frames of a code stream, or None if new frames cannot follow it.

    A profile does not say where it ends, so that is tried out. As long as it is cut, the decoder has the same complaint
    as about a file without any; and behind it, the frames of another image must give that image. Sides as small as the
    header allows make that quick.
    """
    if header.colours != PROFILE or header.end is None:
        return None if header.end is None else stream[: header.end]
    if header.lossy.value:
        return None  # its pixels are decoded to sRGB
    small = put_smallest_size(stream[: header.end + MAX_PROFILE], header)
    cut, last = _complaint(small[: header.end]), header.end + 1
    while last < len(small) and _complaint(small[:last]) == cut:
        last += last - header.end
    tried = range(header.end, min(last, len(small)))
    last = header.end + bisect_left(tried, True, key=lambda end: _complaint(small[:end]) != cut)
    sides = read_header(small)
    dot = np.zeros((sides.height, sides.width, *array.shape[2:]), array.dtype)
    dot[0, 0] = 1
    frames = _encode(dot, header.bits, is_lossy=False)[1]
    for end in range(max(header.end, last - LONGEST_FRAME_HEADER), last + 1):
        if not _complaint(data := small[:end] + frames) and np.array_equal(_decode(data), dot):
            return stream[:end]
    return None


def _complaint(stream: bytes) -> str:
    """Return what the decoder has against a code stream; "" if nothing."""
    try:
        _decode(stream)
    except Exception as error:
        return str(error)
    return ""


def _decode(data: bytes) -> NDArray[Any]:
    import imagecodecs

    return np.asarray(imagecodecs.jpegxl_decode(data, keeporientation=True))


def _encode(array: NDArray[Any], bits: int, *, is_lossy: bool) -> tuple[bytes, bytes, bytes]:
    """Return the start of a code stream, its frames, and the box of its level, if it needs one."""
    import imagecodecs

    how: dict[str, Any] = {"distance": DISTANCE} if is_lossy else {"lossless": True}
    packed = _unpack(bytes(imagecodecs.jpegxl_encode(array, bitspersample=bits, usecontainer=False, **how)))
    end = read_header(packed.stream).end
    return packed.stream[:end], packed.stream[end:], packed.level


def cannot_hold(image: ImageFile, _: JxlTemplate | None) -> str | None:
    """Return why an image cannot be written as JPEG XL, or None."""
    if image.pixels.dtype not in (np.uint8, np.uint16):
        return f"JPEG XL is written with unsigned integers of 8 or 16 bits ({image.pixels.dtype}; choose TIFF or NPY)"
    if max(image.pixels.shape[:2]) > LONGEST_SIDE:
        return f"too large for JPEG XL ({max(image.pixels.shape[:2])} pixels per side; at most {LONGEST_SIDE})"
    return None if image.colours in (1, 3) else f"JPEG XL holds grey or RGB ({image.colours} channels; choose TIFF)"


def encode(image: ImageFile, old: JxlTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept. An image of another format becomes lossless."""
    bits = old.header.bits if old else 8 * image.pixels.itemsize
    array = np.ascontiguousarray(np.minimum(join_alpha(image), image.pixels.dtype.type(2**bits - 1)))
    is_lossy = old is not None and _stays_lossy(old.header)
    start, frames, level = _encode(array, bits, is_lossy=is_lossy)
    header, lost = read_header(start), dict[str, bool]()
    if old and old.start and old.header.coding == header.coding:
        start = put_flags(old.start, old.header, header)
    else:
        start = start if is_lossy else put_curve(start, header, SRGB_CURVE)
        if old:
            is_other = old.header.colours != read_header(start).colours
            lost = {
                "its colour profile is not kept": is_other,
                "its orientation is not kept": old.header.orientation != 1,
            }
    stream, boxes = start + frames, old.boxes if old else b""
    if level or (old and old.is_contained):
        stream = CONTAINER + FILE_TYPE + level + boxes + _box(b"jxlc", stream)
    return stream, list(active_remarks(lost))


JXL = Format((STREAM, CONTAINER), JxlTemplate, read, cannot_hold, encode)
