"""WebP, lossless or lossy as it was: a new picture between the old file's metadata chunks, which stay bit for bit."""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import ImageFile, check_size, true_of
from mashpix.files.png import join_alpha, split_alpha

MAGIC = b"RIFF"
LOSSY, LOSSLESS, EXTENDED, ALPHA = b"VP8 ", b"VP8L", b"VP8X", b"ALPH"
PICTURE = {LOSSY, LOSSLESS, EXTENDED, ALPHA}
"""Chunks that are made anew; all others are carried."""
QUALITY = 95
"""Quality of a lossy file: that of the old one is not written in it."""
LONGEST_SIDE = 16_383
HAS_ALPHA = 0x10
"""The bit that says so, in the first byte of an extended header as in the last byte of a lossless one."""


class Container(NamedTuple):
    """What a copy of the old file takes over: its kind, its metadata chunks, and its alpha as it was encoded."""

    is_lossless: bool
    extended: bytes
    before: bytes
    after: bytes
    alpha: NDArray[Any] | None
    alpha_chunk: bytes


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read RGB, with or without alpha."""
    import imagecodecs

    chunks = list(_chunks(data))
    names = [name for name, _ in chunks]
    if b"ANIM" in names or b"ANMF" in names:
        raise FileError("an animated WebP (single pictures only; save the frame that you want)")
    kinds = [name for name in names if name in (LOSSY, LOSSLESS)]
    if len(kinds) != 1:
        raise FileError(f"damaged WebP (it holds {len(kinds)} pictures)")
    content = dict(chunks)
    width, height = _find_size(kinds[0], content[kinds[0]])
    check_size(width, height, max_pixels=max_pixels)
    extended = content.get(EXTENDED, b"")
    if extended and _canvas(extended) != (width, height):
        raise FileError(f"damaged WebP ({width} x {height} pixels on a canvas of another size)")
    flagged = bool(extended) and bool(extended[0] & HAS_ALPHA)
    if kinds[0] == LOSSLESS:
        has_alpha = flagged or bool(content[LOSSLESS][4] & HAS_ALPHA)
    else:
        has_alpha = flagged and ALPHA in content
    array, alpha = split_alpha(imagecodecs.webp_decode(data, hasalpha=has_alpha))
    place = names.index(kinds[0])
    before, after = (
        b"".join(_chunk(name, body) for name, body in part if name not in PICTURE)
        for part in (chunks[:place], chunks[place:])
    )
    end = 8 + struct.unpack("<I", data[4:8])[0]
    losses = {f"{len(data) - end} bytes behind the picture are not kept": len(data) > end}
    packed = _chunk(ALPHA, content[ALPHA]) if has_alpha and ALPHA in content else b""
    container = Container(kinds[0] == LOSSLESS, extended, before, after, alpha, packed)
    notes = () if container.is_lossless else (f"lossy WebP: written again with quality {QUALITY}",)
    return ImageFile(array, "webp", alpha, container, notes, true_of(losses), is_rgb=True)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of every chunk."""
    if data[8:12] != b"WEBP":
        raise FileError(f"no known picture format ({len(data)} bytes; RIFF, but not WebP)")
    position, end = 12, 8 + struct.unpack("<I", data[4:8])[0]
    if end > len(data):
        raise FileError(f"truncated WebP ({len(data)} bytes of {end})")
    while position < end:
        if position + 8 > end:
            raise FileError("damaged WebP (its last chunk is cut)")
        name, length = struct.unpack("<4sI", data[position : position + 8])
        if position + 8 + length > end:
            raise FileError(f"damaged WebP (its {name.decode('latin-1')!r} chunk leaves the file)")
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _find_size(kind: bytes, content: bytes) -> tuple[int, int]:
    """Width and height that the picture itself declares (RFC 9649, 2.5 and 3.4; RFC 6386, 9.1)."""
    if kind == LOSSLESS and len(content) >= 5 and content[0] == 0x2F:
        packed = int.from_bytes(content[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == LOSSY and len(content) >= 10 and content[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", content[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise FileError("damaged WebP (no picture header)")


def _canvas(extended: bytes) -> tuple[int, int]:
    if len(extended) != 10:
        raise FileError("damaged WebP (its extended header has a wrong length)")
    return int.from_bytes(extended[4:7], "little") + 1, int.from_bytes(extended[7:10], "little") + 1


def why_not(image: ImageFile) -> str | None:
    """Why this picture cannot be written as WebP, or None."""
    if image.pixels.dtype != np.uint8:
        return f"WebP holds 8 bits ({image.pixels.dtype}; choose PNG, TIFF or NPY)"
    if max(image.pixels.shape[:2]) > LONGEST_SIDE:
        return f"too large for WebP ({max(image.pixels.shape[:2])} pixels a side; at most {LONGEST_SIDE})"
    return None if image.colours == 3 else f"WebP holds RGB ({image.colours} channels; choose PNG or TIFF)"


def encode(image: ImageFile) -> tuple[bytes, list[str]]:
    """The bytes of the file, and what could not be kept. A picture of another format becomes lossless."""
    from PIL import Image

    old: Container | None = image.container if image.format == "webp" else None
    encoded = BytesIO()
    options: dict[str, Any] = {"quality": QUALITY} if old and not old.is_lossless else {"lossless": True}
    Image.fromarray(np.ascontiguousarray(join_alpha(image))).save(encoded, "WEBP", exact=True, **options)
    content = dict(_chunks(encoded.getvalue()))
    if LOSSLESS in content and image.alpha is not None:
        content[LOSSLESS] = _mark_alpha(content[LOSSLESS])
    if old is None:
        return _join(b"".join(_chunk(*item) for item in content.items())), []
    packed = _chunk(ALPHA, content[ALPHA]) if ALPHA in content else b""
    if image.alpha is old.alpha:
        packed = old.alpha_chunk  # the encoder would leave out an alpha that is opaque everywhere
    kind = LOSSLESS if old.is_lossless else LOSSY
    head = _chunk(EXTENDED, old.extended) if old.extended else b""
    return _join(head + old.before + packed + _chunk(kind, content[kind]) + old.after), []


def _mark_alpha(content: bytes) -> bytes:
    """A lossless picture that says it has alpha: the encoder leaves that out where all is opaque."""
    return content[:4] + bytes([content[4] | HAS_ALPHA]) + content[5:]


def _join(chunks: bytes) -> bytes:
    return MAGIC + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks
