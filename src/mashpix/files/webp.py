"""WebP, lossless or lossy like the old file: a new image among the old metadata chunks, which stay bit for bit."""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import Format, ImageFile, active_remarks, check_size, join_alpha, split_alpha

MAGIC = b"RIFF"
LOSSY, LOSSLESS, EXTENDED, ALPHA = b"VP8 ", b"VP8L", b"VP8X", b"ALPH"
IMAGE = {LOSSY, LOSSLESS, EXTENDED, ALPHA}
"""Chunks that are rewritten; all others are copied."""
QUALITY = 95
"""Quality of a lossy file: the old file does not record its own."""
LONGEST_SIDE = 16_383
IS_ANIMATED = 0x02
"""Flag in the first byte of an extended header."""
HAS_ALPHA = 0x10
"""The alpha flag, both in the first byte of an extended header and in the last byte of a lossless one."""


class WebpTemplate(NamedTuple):
    """What a copy reuses from the old file: its kind, its metadata chunks, and its alpha as it was encoded."""

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
    kind = _find_kind([name for name, _ in chunks])
    content = dict(chunks)
    _check_size(kind, content, max_pixels=max_pixels)
    has_alpha = _has_alpha(kind, content)
    array, alpha = split_alpha(imagecodecs.webp_decode(data, hasalpha=has_alpha))
    rest = len(data) - 8 - struct.unpack("<I", data[4:8])[0]
    losses = active_remarks({f"{rest} bytes after the image are not kept": rest > 0})
    place = [name for name, _ in chunks].index(kind)
    packed = _chunk(ALPHA, content[ALPHA]) if has_alpha and ALPHA in content else b""
    template = WebpTemplate(
        is_lossless=kind == LOSSLESS,
        extended=content.get(EXTENDED, b""),
        before=_carried(chunks[:place]),
        after=_carried(chunks[place:]),
        alpha=alpha,
        alpha_chunk=packed,
    )
    notes = () if template.is_lossless else (f"lossy WebP: written again with quality {QUALITY}",)
    return ImageFile(array, "webp", alpha, template, notes, losses, is_rgb=True)


def is_animated(start: bytes) -> bool:
    """Return whether the first bytes of a WebP announce an animation."""
    return start[8:16] == b"WEBP" + EXTENDED and len(start) > 20 and bool(start[20] & IS_ANIMATED)


def _find_kind(names: list[bytes]) -> bytes:
    """Find the chunk of the image; refuse animations and files without exactly one image."""
    if b"ANIM" in names or b"ANMF" in names:
        raise FileError("an animated WebP (single images only; save the frame that you want)")
    kinds = [name for name in names if name in (LOSSY, LOSSLESS)]
    if len(kinds) != 1:
        raise FileError(f"damaged WebP (it holds {len(kinds)} images)")
    return kinds[0]


def _check_size(kind: bytes, content: dict[bytes, bytes], *, max_pixels: int) -> None:
    """Refuse an image by the size that it declares, or whose canvas has another size."""
    width, height = _find_size(kind, content[kind])
    check_size(width, height, max_pixels=max_pixels)
    if extended := content.get(EXTENDED):
        if len(extended) != 10:
            raise FileError("damaged WebP (its extended header has a wrong length)")
        canvas = int.from_bytes(extended[4:7], "little") + 1, int.from_bytes(extended[7:10], "little") + 1
        if canvas != (width, height):
            raise FileError(f"damaged WebP ({width} x {height} pixels on a canvas of another size)")


def _has_alpha(kind: bytes, content: dict[bytes, bytes]) -> bool:
    """Return whether the image has an alpha channel according to its headers."""
    is_flagged = bool((content.get(EXTENDED) or b"\0")[0] & HAS_ALPHA)
    if kind == LOSSLESS:
        return is_flagged or bool(content[LOSSLESS][4] & HAS_ALPHA)
    return is_flagged and ALPHA in content


def _carried(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Return the chunks that are not part of the image itself."""
    return b"".join(_chunk(name, body) for name, body in chunks if name not in IMAGE)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return name and content of every chunk."""
    if data[8:12] != b"WEBP":
        raise FileError(f"no known image format ({len(data)} bytes; RIFF, but not WebP)")
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
    """Find the width and height that the image itself declares (RFC 9649, 2.5 and 3.4; RFC 6386, 9.1)."""
    if kind == LOSSLESS and len(content) >= 5 and content[0] == 0x2F:
        packed = int.from_bytes(content[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == LOSSY and len(content) >= 10 and content[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", content[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise FileError("damaged WebP (no image header)")


def cannot_hold(image: ImageFile, _: WebpTemplate | None) -> str | None:
    """Return why an image cannot be written as WebP, or None."""
    if image.pixels.dtype != np.uint8:
        return f"WebP holds 8 bits ({image.pixels.dtype}; choose PNG, TIFF or NPY)"
    if max(image.pixels.shape[:2]) > LONGEST_SIDE:
        return f"too large for WebP ({max(image.pixels.shape[:2])} pixels per side; at most {LONGEST_SIDE})"
    return None if image.colours == 3 else f"WebP holds RGB ({image.colours} channels; choose PNG or TIFF)"


def encode(image: ImageFile, old: WebpTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept. An image of another format becomes lossless."""
    from PIL import Image

    encoded = BytesIO()
    options: dict[str, Any] = {"quality": QUALITY} if old and not old.is_lossless else {"lossless": True}
    Image.fromarray(np.ascontiguousarray(join_alpha(image))).save(encoded, "WEBP", exact=True, **options)
    content = dict(_chunks(encoded.getvalue()))
    if LOSSLESS in content and image.alpha is not None:  # the encoder omits the flag if all pixels are opaque
        coded = content[LOSSLESS]
        content[LOSSLESS] = coded[:4] + bytes([coded[4] | HAS_ALPHA]) + coded[5:]
    if old is None:
        return _join(b"".join(_chunk(*item) for item in content.items())), []
    packed = _chunk(ALPHA, content[ALPHA]) if ALPHA in content else b""
    if image.alpha is old.alpha:
        packed = old.alpha_chunk  # the encoder would leave out an alpha that is opaque everywhere
    kind = LOSSLESS if old.is_lossless else LOSSY
    head = _chunk(EXTENDED, old.extended) if old.extended else b""
    return _join(head + old.before + packed + _chunk(kind, content[kind]) + old.after), []


def _join(chunks: bytes) -> bytes:
    return MAGIC + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


WEBP = Format((MAGIC,), WebpTemplate, read, cannot_hold, encode)
