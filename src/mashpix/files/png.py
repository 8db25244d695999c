"""PNG with 8 or 16 bits: new pixels, and the chunks of the old file that new pixels leave true, bit for bit."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import ImageFile, check_size

MAGIC = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""Colour types of the header."""
CARRIED = {b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"pCAL", b"sCAL", b"tIME"}
"""Chunks that are carried over besides those which their name declares safe to copy (a small fourth letter)."""
BEST_RATIO = 1040
"""Deflate cannot shrink data by more than about this factor."""


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, with or without alpha, 8 or 16 bits; a palette becomes RGB."""
    import imagecodecs

    chunks = list(_chunks(data))
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise FileError("damaged PNG (no header)")
    width, height, bits, colour_type = struct.unpack(">IIBB", chunks[0][1][:10])
    names = [name for name, _ in chunks]
    if b"acTL" in names:
        raise FileError("an animated PNG (single pictures only; save the frame that you want)")
    if not width or not height:
        raise FileError(f"damaged PNG ({width} x {height} pixels declared)")
    check_size(width, height, max_pixels=max_pixels)
    if bits < 8 and colour_type != PALETTE:
        raise FileError(f"too few grey levels to denoise ({bits} bit a pixel; convert it to 8 bit first)")
    compressed = sum(len(content) for name, content in chunks if name == b"IDAT")
    if width * height * bits // 8 > compressed * BEST_RATIO:
        raise FileError(f"damaged PNG ({width} x {height} pixels cannot be in {compressed} bytes)")
    notes: tuple[str, ...] = ()
    if colour_type == PALETTE:
        array, notes = _expand_palette(data), ("the palette is expanded to colours",)
    else:
        array = imagecodecs.png_decode(data)
        if b"tRNS" in names and colour_type in (GREY, RGB):
            notes = ("the transparent colour becomes an alpha channel",)
    if array.shape[:2] != (height, width):
        raise FileError(f"damaged PNG ({width} x {height} pixels declared)")
    carried = b"".join(_chunk(name, content) for name, content in chunks if _is_carried(name))
    array, alpha = split_alpha(array.reshape(height, width, -1))
    return ImageFile(array, "png", alpha, container=carried, notes=notes)


def split_alpha(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """(H, W, 1 to 4) to pixels and alpha, which is the last of two or four channels."""
    alpha = array[..., -1] if array.shape[2] in (2, 4) else None
    pixels = array if alpha is None else array[..., :-1]
    return (pixels[..., 0] if pixels.shape[2] == 1 else pixels), alpha


def join_alpha(image: ImageFile) -> NDArray[Any]:
    """Pixels and alpha as one array, (H, W) or (H, W, C)."""
    return image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])


def _expand_palette(data: bytes) -> NDArray[Any]:
    from PIL import PngImagePlugin

    with PngImagePlugin.PngImageFile(BytesIO(data)) as image:  # Image.open would add a limit of its own
        return np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB"))


def _is_carried(name: bytes) -> bool:
    """Whether a chunk stays true when the pixels change."""
    return name in CARRIED or (name[:1].islower() and name[3:].islower())


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of every chunk, checksums checked, up to the end of the picture."""
    position, name = len(MAGIC), b""
    while name != b"IEND":
        if position + 12 > len(data):
            raise FileError(f"truncated PNG ({len(data)} bytes)")
        length, name = struct.unpack(">I4s", data[position : position + 8])
        end = position + 8 + length
        if end + 4 > len(data):
            raise FileError(f"truncated PNG ({len(data)} bytes)")
        if zlib.crc32(data[position + 4 : end]) != struct.unpack(">I", data[end : end + 4])[0]:
            raise FileError(f"damaged PNG (wrong checksum in its {name.decode('latin-1')!r} chunk)")
        yield name, data[position + 8 : end]
        position = end + 4


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def why_not(image: ImageFile) -> str | None:
    """Why this picture cannot be written as PNG, or None."""
    if image.pixels.dtype.str not in ("|u1", np.dtype(np.uint16).str):
        return f"PNG holds unsigned integers of 8 or 16 bits ({image.pixels.dtype}; choose TIFF or NPY)"
    return None if image.colours in (1, 3) else f"PNG holds grey or RGB ({image.colours} channels; choose TIFF or NPY)"


def encode(image: ImageFile) -> tuple[bytes, list[str]]:
    """The bytes of the file, and what could not be kept."""
    import imagecodecs

    data = bytes(imagecodecs.png_encode(np.ascontiguousarray(join_alpha(image)), level=6))
    if image.format != "png":
        return data, []
    behind_header = len(MAGIC) + 12 + 13
    return data[:behind_header] + (image.container or b"") + data[behind_header:], []
