"""PNG with 2 to 16 bits: new pixels, and the chunks of the old file that new pixels leave true, bit for bit."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import ImageFile, check_size, true_of

MAGIC = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""Colour types of the header."""
CARRIED = {b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"pCAL", b"sCAL", b"tIME"}
"""Chunks that are carried over besides those which their name declares safe to copy (a small fourth letter)."""
SAME_COLOURS = {b"bKGD", b"sBIT"}
"""Chunks that are carried over where the new file stores its colours as the old one did."""
ENCODING = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"iDOT"}
"""Chunks that are the picture itself, and how it was packed."""
BEST_RATIO = 1040
"""Deflate cannot shrink data by more than about this factor."""


class Container(NamedTuple):
    """What a copy of the old file takes over: the chunks that are carried, and the bits of a grey level."""

    chunks: bytes
    bits: int


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, with or without alpha; a palette becomes RGB, 2 or 4 bits are stretched to 8."""
    import imagecodecs

    chunks = list(_chunks(data))
    width, height, bits, colour_type, is_interlaced = _check_header(chunks, max_pixels=max_pixels)
    is_keyed = b"tRNS" in dict(chunks) and colour_type in (GREY, RGB)
    array = _expand_palette(data) if colour_type == PALETTE else imagecodecs.png_decode(data)
    if array.shape[:2] != (height, width):
        raise FileError(f"damaged PNG ({width} x {height} pixels declared)")
    same_colours = colour_type != PALETTE and not is_keyed
    carried = [item for item in chunks if _is_carried(item[0], same_colours=same_colours)]
    left = sorted({name.decode("latin-1") for name, _ in chunks if name not in ENCODING} - _names(carried))
    rest = len(data) - len(MAGIC) - sum(12 + len(content) for _, content in chunks)
    losses = {
        "the palette is expanded to colours": colour_type == PALETTE,
        "the transparent colour becomes an alpha channel": is_keyed,
        f"{bits} bits a pixel become 8": bits < 8 and is_keyed,
        "interlacing is not kept": bool(is_interlaced),
        f"chunks that new pixels would make untrue are not kept: {', '.join(left)}": bool(left),
        f"{rest} bytes behind the picture are not kept": rest > 0,
    }
    array, alpha = split_alpha(array.reshape(height, width, -1))
    container = Container(b"".join(_chunk(*item) for item in carried), bits if same_colours else 8)
    notes = (f"only {2**bits} grey levels: the result is rounded to them",) if container.bits < 8 else ()
    return ImageFile(
        array, "png", alpha, container=container, notes=notes, losses=true_of(losses), is_rgb=array.ndim == 3
    )


def _check_header(chunks: list[tuple[bytes, bytes]], *, max_pixels: int) -> tuple[int, int, int, int, bool]:
    """Width, height, bits, colour type and interlacing of a picture that can be read, before it is unpacked."""
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise FileError("damaged PNG (no header)")
    width, height, bits, colour_type, _, _, interlacing = struct.unpack(">IIBBBBB", chunks[0][1])
    if b"acTL" in dict(chunks):
        raise FileError("an animated PNG (single pictures only; save the frame that you want)")
    if not width or not height:
        raise FileError(f"damaged PNG ({width} x {height} pixels declared)")
    check_size(width, height, max_pixels=max_pixels)
    if bits == 1 and colour_type != PALETTE:
        raise FileError("too few grey levels to denoise (1 bit a pixel; convert it to 8 bit first)")
    compressed = sum(len(content) for name, content in chunks if name == b"IDAT")
    if width * height * bits // 8 > compressed * BEST_RATIO:
        raise FileError(f"damaged PNG ({width} x {height} pixels cannot be in {compressed} bytes)")
    return width, height, bits, colour_type, bool(interlacing)


def _names(chunks: list[tuple[bytes, bytes]]) -> set[str]:
    return {name.decode("latin-1") for name, _ in chunks}


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


def _is_carried(name: bytes, *, same_colours: bool) -> bool:
    """Whether a chunk stays true when the pixels change."""
    if name in ENCODING:
        return False
    return name in CARRIED or (same_colours and name in SAME_COLOURS) or (name[:1].islower() and name[3:].islower())


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

    old: Container | None = image.container if image.format == "png" else None
    if old and old.bits < 8:
        data = _pack(image.pixels, old.bits)
    else:
        data = bytes(imagecodecs.png_encode(np.ascontiguousarray(join_alpha(image)), level=6))
    behind_header = len(MAGIC) + 12 + 13
    return data[:behind_header] + (old.chunks if old else b"") + data[behind_header:], []


def _pack(pixels: NDArray[Any], bits: int) -> bytes:
    """A grey PNG with 2 or 4 bits a pixel, values rounded to its levels."""
    height, width = pixels.shape
    levels = np.rint(pixels / (255 / (2**bits - 1))).astype(np.uint8)
    unpacked = np.unpackbits(levels[..., None], axis=-1)[..., 8 - bits :]
    rows = np.packbits(unpacked.reshape(height, -1), axis=-1)
    filtered = np.pad(rows, ((0, 0), (1, 0)))  # filter 0 in front of every row
    header = struct.pack(">IIBBBBB", width, height, bits, GREY, 0, 0, 0)
    packed = zlib.compress(filtered.tobytes(), 9)
    return MAGIC + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")
