"""BMP: grey, palettes and RGB of 8 bits, read and written by Pillow; its resolution is kept."""

import struct
from io import BytesIO
from typing import NamedTuple

import numpy as np

from mashpix.errors import FileError
from mashpix.files.image_file import Format, ImageFile, active_remarks, check_size, split_alpha

MAGIC = b"BM"
HEADERS = {12, 40, 52, 56, 64, 108, 124}
"""Sizes of the information header, by which its version is known."""
PLAIN_HEADER = 40
"""The size that is written; longer ones hold masks, colour spaces and profiles."""
RUN_LENGTH = (1, 2)
RESOLUTION = slice(38, 46)
"""Place of the pixels per metre."""
UNKNOWN = bytes(8)


class BmpTemplate(NamedTuple):
    """What a copy reuses from the old file: pixels per metre as they are stored, 0 if it does not name them."""

    resolution: bytes


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, with or without alpha; a palette of colours becomes RGB."""
    from PIL import BmpImagePlugin

    if len(data) < 30 or (size := struct.unpack_from("<I", data, 14)[0]) not in HEADERS:
        raise FileError(f"no known image format ({len(data)} bytes; BM, but not BMP)")
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    bits = struct.unpack_from("<H", data, 24 if size == 12 else 28)[0]
    compression = 0 if size == 12 else int.from_bytes(data[30:34], "little")
    check_size(width, abs(height), max_pixels=max_pixels)
    if bits == 1:
        raise FileError("too few grey levels to denoise (1 bit per pixel; convert it to 8 bit first)")
    needed = int.from_bytes(data[10:14], "little") + -(-width * bits // 32) * 4 * abs(height)
    if compression not in RUN_LENGTH and len(data) < needed:
        raise FileError(f"truncated BMP ({len(data)} bytes of {needed})")
    with BmpImagePlugin.BmpImageFile(BytesIO(data)) as image:
        has_palette = image.mode == "P"
        array = np.asarray(image.convert("RGB") if has_palette else image)
    pixels, alpha = split_alpha(array.reshape(*array.shape[:2], -1))
    losses = {
        "the palette is expanded to colours": has_palette,
        "16 bits per pixel become 24": bits == 16,
        "4 bits per pixel become 8": bits == 4 and not has_palette,
        "run-length compression is not kept": compression in RUN_LENGTH,
        "its colour space and profile are not kept": size > PLAIN_HEADER and _has_colour_space(data),
    }
    losses_said = active_remarks(losses)
    resolution = data[RESOLUTION] if size >= PLAIN_HEADER else UNKNOWN
    return ImageFile(pixels, "bmp", alpha, BmpTemplate(resolution), losses=losses_said, is_rgb=pixels.ndim == 3)


def _has_colour_space(data: bytes) -> bool:
    """Return whether a header of version 4 or 5 names another colour space than sRGB."""
    size = struct.unpack_from("<I", data, 14)[0]
    return size >= 108 and data[70:74] not in (b"BGRs", b" niW", b"\0\0\0\0")


def cannot_hold(image: ImageFile, _: BmpTemplate | None) -> str | None:
    """Return why an image cannot be written as BMP, or None."""
    if image.pixels.dtype != np.uint8:
        return f"BMP holds 8 bits ({image.pixels.dtype}; choose PNG, TIFF or NPY)"
    if image.alpha is not None:
        return "BMP is written without alpha (choose PNG or TIFF)"
    return None if image.colours in (1, 3) else f"BMP holds grey or RGB ({image.colours} channels; choose TIFF or NPY)"


def encode(image: ImageFile, old: BmpTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept."""
    from PIL import Image

    encoded = BytesIO()
    Image.fromarray(np.ascontiguousarray(image.pixels)).save(encoded, "BMP")
    data = encoded.getvalue()
    resolution = UNKNOWN if old is None else old.resolution  # Pillow would write 96 pixels per inch
    return data[: RESOLUTION.start] + resolution + data[RESOLUTION.stop :], []


BMP = Format((MAGIC,), BmpTemplate, read, cannot_hold, encode)
