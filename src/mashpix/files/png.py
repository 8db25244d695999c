"""PNG with 2 to 16 bits: new pixels, and those chunks of the old file that stay valid, bit for bit."""

import struct
import zlib
from collections.abc import Collection, Iterator
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import Format, ImageFile, active_remarks, check_size, join_alpha, split_alpha

MAGIC = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA = 0, 2, 3, 4
"""Colour types in the header."""
CARRIED = {b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"pCAL", b"sCAL", b"tIME"}
"""Chunks that are copied besides those whose name declares them safe to copy (a lower-case fourth letter)."""
SAME_COLOURS = {b"bKGD", b"sBIT", b"PLTE"}
"""Chunks that are copied if the new file stores its colours as the old one did; its palette is a suggestion."""
ENCODING = {b"IHDR", b"tRNS", b"IDAT", b"IEND", b"iDOT"}
"""Chunks of the image itself, and of how it was packed."""
BEST_RATIO = 1040
"""Deflate cannot shrink data by more than about this factor."""


class PngTemplate(NamedTuple):
    """What a copy reuses from the old file: the chunks to copy, and the bits of a grey level."""

    chunks: bytes
    bits: int


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, with or without alpha; a palette becomes RGB, 2 or 4 bits are stretched to 8."""
    import imagecodecs

    chunks = list(list_chunks(data))
    width, height, bits, colour_type, is_interlaced = _check_header(chunks, max_pixels=max_pixels)
    is_keyed = b"tRNS" in dict(chunks) and colour_type in (GREY, RGB)
    array = _expand_palette(data) if colour_type == PALETTE else imagecodecs.png_decode(data)
    if array.shape[:2] != (height, width):
        raise FileError(f"damaged PNG ({width} x {height} pixels declared)")
    same_colours = colour_type != PALETTE and not is_keyed
    palette = {b"PLTE"} if colour_type == PALETTE else set()
    carried, left = carried_chunks(chunks, same_colours=same_colours, left_out=palette)
    rest = len(data) - len(MAGIC) - sum(12 + len(content) for _, content in chunks)
    losses = {
        "the palette is expanded to colours": colour_type == PALETTE,
        "the transparent colour becomes an alpha channel": is_keyed,
        f"{bits} bits per pixel become 8": bits < 8 and is_keyed,
        "interlacing is not kept": bool(is_interlaced),
        f"chunks that do not fit the new pixels are not kept: {left}": bool(left),
        f"{rest} bytes after the image are not kept": rest > 0,
    }
    array, alpha = split_alpha(array.reshape(height, width, -1))
    template = PngTemplate(carried, bits if same_colours else 8)
    notes = (f"only {2**bits} grey levels: the result is rounded to them",) if template.bits < 8 else ()
    return ImageFile(array, "png", alpha, template, notes, active_remarks(losses), is_rgb=array.ndim == 3)


def _check_header(chunks: list[tuple[bytes, bytes]], *, max_pixels: int) -> tuple[int, int, int, int, bool]:
    """Return width, height, bits, colour type and interlacing; refuse unreadable images before unpacking."""
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise FileError("damaged PNG (no header)")
    width, height, bits, colour_type, _, _, interlacing = struct.unpack(">IIBBBBB", chunks[0][1])
    if not width or not height:
        raise FileError(f"damaged PNG ({width} x {height} pixels declared)")
    check_size(width, height, max_pixels=max_pixels)
    if bits == 1 and colour_type != PALETTE:
        raise FileError("too few grey levels to denoise (1 bit per pixel; convert it to 8 bit first)")
    compressed = sum(len(content) for name, content in chunks if name == b"IDAT")
    if width * height * bits // 8 > compressed * BEST_RATIO:
        raise FileError(f"damaged PNG ({width} x {height} pixels cannot be in {compressed} bytes)")
    return width, height, bits, colour_type, bool(interlacing)


def is_animated(file: BinaryIO, start: bytes) -> bool:
    """Return whether an open file that begins so is an animated PNG: its control chunk stands before the image."""
    if not start.startswith(MAGIC):
        return False
    name, position = b"", len(MAGIC)
    while name not in (b"acTL", b"IDAT", b"IEND"):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return False
        length, name = struct.unpack(">I4s", head)
        position += 12 + length
    return name == b"acTL"


def _expand_palette(data: bytes) -> NDArray[Any]:
    from PIL import PngImagePlugin

    with PngImagePlugin.PngImageFile(BytesIO(data)) as image:  # Image.open would add a limit of its own
        return np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB"))


def carried_chunks(
    chunks: list[tuple[bytes, bytes]], *, left_out: Collection[bytes], same_colours: bool = False
) -> tuple[bytes, str]:
    """Return the chunks that stay valid when the pixels change, as bytes, and the names of others than `left_out`."""
    carried = [item for item in chunks if _is_carried(item[0], same_colours=same_colours)]
    left = {name for name, _ in chunks} - ENCODING - {name for name, _ in carried} - {*left_out}
    names = ", ".join(sorted(name.decode("latin-1") for name in left))
    return b"".join(make_chunk(*item) for item in carried), names


def _is_carried(name: bytes, *, same_colours: bool) -> bool:
    """Return whether a chunk stays valid when the pixels change."""
    if name in ENCODING:
        return False
    return name in CARRIED or (same_colours and name in SAME_COLOURS) or (name[:1].islower() and name[3:].islower())


def list_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of every chunk, checksums verified, up to the end of the image."""
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


def make_chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of that name and content."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def cannot_hold(image: ImageFile, _: PngTemplate | None) -> str | None:
    """Return why an image cannot be written as PNG, or None."""
    if image.pixels.dtype.str not in ("|u1", np.dtype(np.uint16).str):
        return f"PNG holds unsigned integers of 8 or 16 bits ({image.pixels.dtype}; choose TIFF or NPY)"
    return None if image.colours in (1, 3) else f"PNG holds grey or RGB ({image.colours} channels; choose TIFF or NPY)"


def encode(image: ImageFile, old: PngTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept."""
    import imagecodecs

    if old and old.bits < 8:
        data = _pack(image.pixels, old.bits)
    else:
        data = bytes(imagecodecs.png_encode(np.ascontiguousarray(join_alpha(image)), level=6))
    behind_header = len(MAGIC) + 12 + 13
    return data[:behind_header] + (old.chunks if old else b"") + data[behind_header:], []


def _pack(pixels: NDArray[Any], bits: int) -> bytes:
    """Encode a grey PNG with 2 or 4 bits per pixel, values rounded to its levels."""
    height, width = pixels.shape
    levels = np.rint(pixels / (255 / (2**bits - 1))).astype(np.uint8)
    unpacked = np.unpackbits(levels[..., None], axis=-1)[..., 8 - bits :]
    rows = np.packbits(unpacked.reshape(height, -1), axis=-1)
    filtered = np.pad(rows, ((0, 0), (1, 0)))  # filter 0 before every row
    header = struct.pack(">IIBBBBB", width, height, bits, GREY, 0, 0, 0)
    packed = zlib.compress(filtered.tobytes(), 9)
    return MAGIC + make_chunk(b"IHDR", header) + make_chunk(b"IDAT", packed) + make_chunk(b"IEND", b"")


def widen(old: PngTemplate, dtype: np.dtype[Any]) -> PngTemplate:
    """Return the template for 16 bits; the background colour is that of 8 bits no longer."""
    kept = [
        item for item in list_chunks(MAGIC + old.chunks + make_chunk(b"IEND", b"")) if item[0] not in (b"bKGD", b"IEND")
    ]
    return PngTemplate(b"".join(make_chunk(*item) for item in kept), 8 * dtype.itemsize)


PNG = Format((MAGIC,), PngTemplate, read, cannot_hold, encode, widen=widen)
