"""JPEG XL of 8 to 16 bits, lossless or lossy like the old file: a new code stream among the old metadata boxes."""

import struct
from typing import Any, NamedTuple

import numpy as np

from mashpix.errors import FileError
from mashpix.files.image_file import Format, ImageFile, active_remarks, check_size, join_alpha, split_alpha
from mashpix.files.iso_boxes import list_boxes

STREAM, CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
FILE_TYPE = b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
CARRIED = {b"Exif", b"xml ", b"jumb", b"brob"}
"""Boxes that are copied."""
OF_STREAM = {b"JXL ", b"ftyp", b"jxlc", b"jxlp", b"jxll", b"jxli", b"jbrd"}
"""Boxes of the image itself, and of how it was packed."""
DISTANCE = 0.5
"""Largest visible difference in a lossy file (1 is just noticeable): a file does not record its own."""
LONGEST_SIDE = 2**18
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
ALPHA, GREY, CUSTOM = 0, 1, 2
SRGB: tuple[int, ...] = (0, 1, 1, 0, 13)
PROFILE = (-1,)


class JxlTemplate(NamedTuple):
    """What a copy reuses from the old file: its metadata boxes, how it is coded, and its colours."""

    boxes: bytes
    is_lossy: bool
    bits: int
    is_contained: bool
    colours: tuple[int, ...]


class _Header(NamedTuple):
    width: int
    height: int
    orientation: int
    bits: int
    is_float: bool
    is_animated: bool
    extra: tuple[int, ...]
    is_lossy: bool
    colours: tuple[int, ...]


class _Bits:
    """Reads numbers of a code stream, least significant bit first (ISO/IEC 18181-1, annex B)."""

    def __init__(self, data: bytes) -> None:
        self.number, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def __call__(self, count: int) -> int:
        if count > self.left:
            raise FileError("truncated JPEG XL (its header is cut)")
        value = self.number & ((1 << count) - 1)
        self.number, self.left = self.number >> count, self.left - count
        return value

    def choose(self, *choices: tuple[int, int]) -> int:
        """Read one of four ways to write a number: an offset, and the bits that are added to it."""
        offset, count = choices[self(2)]
        return offset + self(count)

    def enum(self) -> int:
        return self.choose((0, 0), (1, 0), (2, 4), (18, 6))


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, with or without alpha, turned upright as the file asks."""
    import imagecodecs

    stream, boxes, left = _unpack(data)
    header = _read_header(stream)
    check_size(header.width, header.height, max_pixels=max_pixels)
    if header.is_animated:
        raise FileError("an animated JPEG XL (single images only; save the frame that you want)")
    if header.is_float or header.bits > 16:
        raise FileError(f"a JPEG XL of {header.bits} bits or of floats (8 to 16 bits needed; convert it to TIFF)")
    if set(header.extra) - {ALPHA} or len(header.extra) > 1:
        raise FileError("a JPEG XL with channels beside colour and alpha (convert it to TIFF)")
    array = imagecodecs.jpegxl_decode(data)
    sides = (header.height, header.width) if header.orientation < 5 else (header.width, header.height)
    if array.shape[:2] != sides:
        raise FileError(f"damaged JPEG XL ({header.width} x {header.height} pixels declared)")
    pixels, alpha = split_alpha(array.reshape(*sides, -1))
    losses = {
        "not kept: the JPEG that it was made of": b"jbrd" in left,
        f"not kept: {', '.join(sorted(name.decode('latin-1') for name in left - OF_STREAM))}": bool(left - OF_STREAM),
    }
    notes = {
        f"lossy JPEG XL: written again with a distance of {DISTANCE}": header.is_lossy,
        "turned upright, as its orientation says": header.orientation != 1,
    }
    template = JxlTemplate(boxes, header.is_lossy, header.bits, not data.startswith(STREAM), header.colours)
    return ImageFile(
        pixels, "jxl", alpha, template, active_remarks(notes), active_remarks(losses), is_rgb=pixels.ndim == 3
    )


def _unpack(data: bytes) -> tuple[bytes, bytes, set[bytes]]:
    """Return the code stream, the boxes to copy, and the names of the others."""
    if data.startswith(STREAM):
        return data, b"", set()
    boxes = list(list_boxes(data, 0, len(data), what="JPEG XL"))
    parts = [data[box.start + 4 * (box.name == b"jxlp") : box.end] for box in boxes if box.name in (b"jxlc", b"jxlp")]
    carried = b"".join(_box(box.name, data[box.start : box.end]) for box in boxes if box.name in CARRIED)
    return b"".join(parts), carried, {box.name for box in boxes} - CARRIED


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _read_header(stream: bytes) -> _Header:
    """Read size and image metadata of a code stream (ISO/IEC 18181-1, annexes B, D, E)."""
    bits = _Bits(stream[2:4096])
    width, height = _read_size(bits)
    orientation, depth, is_float, is_animated, extra, is_lossy, colours = 1, 8, False, False, [], True, SRGB
    if not bits(1):
        if bits(1):
            orientation = 1 + bits(3)
            if bits(1):
                _read_size(bits)
            if bits(1):
                raise FileError("a JPEG XL with a preview (convert it first)")
            is_animated = bool(bits(1))
        if not is_animated:
            depth, is_float = _read_depth(bits)
            bits(1)
            extra = [_read_extra(bits) for _ in range(bits.choose((0, 0), (1, 0), (2, 4), (1, 12)))]
            is_lossy, colours = bool(bits(1)), _read_colours(bits)
    return _Header(width, height, orientation, depth, is_float, is_animated, tuple(extra), is_lossy, colours)


def _read_size(bits: _Bits) -> tuple[int, int]:
    sizes = (1, 9), (1, 13), (1, 18), (1, 30)
    is_small = bits(1)
    height = 8 * (1 + bits(5)) if is_small else bits.choose(*sizes)
    if ratio := bits(3):
        over, under = RATIOS[ratio]
        return height * over // under, height
    return (8 * (1 + bits(5)) if is_small else bits.choose(*sizes)), height


def _read_depth(bits: _Bits) -> tuple[int, bool]:
    if bits(1):
        depth = bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
        bits(4)
        return depth, True
    return bits.choose((8, 0), (10, 0), (12, 0), (1, 6)), False


def _read_extra(bits: _Bits) -> int:
    """Read what a further channel is: its kind."""
    if bits(1):
        return ALPHA
    kind = bits.enum()
    _read_depth(bits)
    bits.choose((0, 0), (3, 0), (4, 0), (1, 3))
    bits(8 * bits.choose((0, 0), (0, 4), (16, 5), (48, 10)))
    if kind == ALPHA and bits(1):
        raise FileError("a JPEG XL whose colours are multiplied by alpha (convert it first)")
    return kind


def _read_colours(bits: _Bits) -> tuple[int, ...]:
    """Read colour space, white, primaries and tone curve by their numbers; PROFILE if they are in a profile."""
    if bits(1):
        return SRGB
    if bits(1):
        return PROFILE
    space, white = bits.enum(), bits.enum()
    primaries = bits.enum() if space != GREY else 1
    if CUSTOM in (white, primaries):
        return PROFILE
    return space, white, primaries, *((1, bits(24)) if bits(1) else (0, bits.enum()))


def cannot_hold(image: ImageFile, _: JxlTemplate | None) -> str | None:
    """Return why an image cannot be written as JPEG XL, or None."""
    if image.pixels.dtype not in (np.uint8, np.uint16):
        return f"JPEG XL is written with unsigned integers of 8 or 16 bits ({image.pixels.dtype}; choose TIFF or NPY)"
    if max(image.pixels.shape[:2]) > LONGEST_SIDE:
        return f"too large for JPEG XL ({max(image.pixels.shape[:2])} pixels per side; at most {LONGEST_SIDE})"
    return None if image.colours in (1, 3) else f"JPEG XL holds grey or RGB ({image.colours} channels; choose TIFF)"


def encode(image: ImageFile, old: JxlTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept. An image of another format becomes lossless."""
    import imagecodecs

    bits = old.bits if old else 8 * image.pixels.itemsize
    array = np.ascontiguousarray(np.minimum(join_alpha(image), image.pixels.dtype.type(2**bits - 1)))
    how: dict[str, Any] = {"distance": DISTANCE} if old and old.is_lossy else {"lossless": True}
    data = bytes(imagecodecs.jpegxl_encode(array, bitspersample=bits, usecontainer=False, **how))
    colours = _read_header(_unpack(data)[0]).colours
    lost = active_remarks({"its colour profile is not kept": old is not None and old.colours != colours})
    if data.startswith(STREAM):
        if old is None or not old.is_contained:
            return data, list(lost)
        return CONTAINER + FILE_TYPE + old.boxes + _box(b"jxlc", data), list(lost)
    if old is None or not old.boxes:
        return data, list(lost)
    place = len(CONTAINER) + len(FILE_TYPE)  # the encoder wraps 16 bits in a container of its own
    return data[:place] + old.boxes + data[place:], list(lost)


JXL = Format((STREAM, CONTAINER), JxlTemplate, read, cannot_hold, encode)
