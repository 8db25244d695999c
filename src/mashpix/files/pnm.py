"""Netpbm's PGM and PPM of 8 and 16 bits, plain or binary, and PFM: new pixels behind the old header, bit for bit."""

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import Format, ImageFile, active_remarks, check_size

MAGICS = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF")
BITMAPS, PLAIN, FLOATS, COLOUR = (b"P1", b"P4"), (b"P2", b"P3"), (b"Pf", b"PF"), (b"P3", b"P6", b"PF")
GAP = rb"(?:\s|#[^\n]*\n)+"
HEADER = re.compile(rb"P[2356fF]" + GAP + rb"(\d{1,9})" + GAP + rb"(\d{1,9})" + GAP + rb"([-+.\deE]{1,20})\s")
"""Width, height, and the largest value (or for PFM the scale, negative if little-endian); comments may lie between."""


class PnmTemplate(NamedTuple):
    """What a copy reuses from the old file: its header, and the largest value that it declares."""

    header: bytes
    largest: float


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB in the dtype that the largest value needs; rows of PFM lie from the bottom up."""
    if data[:2] in BITMAPS:
        raise FileError("too few grey levels to denoise (1 bit per pixel; convert it to 8 bit first)")
    found = HEADER.match(data)
    if not found:
        raise FileError(f"no known image format ({len(data)} bytes; {data[:2].decode()}, but no header of Netpbm)")
    width, height, largest = int(found[1]), int(found[2]), float(found[3])
    check_size(width, height, max_pixels=max_pixels)
    shape = (height, width, 3) if data[:2] in COLOUR else (height, width)
    dtype = _dtype_of(data[:2], largest)
    count = int(np.prod(shape))
    if data[:2] in PLAIN:
        values, rest = _read_plain(data[found.end() :], count), 0
    else:
        rest = len(data) - found.end() - count * dtype.itemsize
        if rest < 0:
            raise FileError(f"truncated PNM ({-rest} bytes of its pixels are missing)")
        values = np.frombuffer(data, dtype, count, found.end())
    if dtype.kind == "u" and values.size and values.max() > largest:
        raise FileError(f"damaged PNM (a value of {values.max()}; at most {largest:g} declared)")
    array = values.reshape(shape).astype(dtype.newbyteorder("="))
    pixels = array[::-1] if data[:2] in FLOATS else array
    losses = active_remarks({f"{rest} bytes after the image are not kept": rest > 0})
    template = PnmTemplate(data[: found.end()], largest)
    return ImageFile(np.ascontiguousarray(pixels), "pnm", template=template, losses=losses, is_rgb=len(shape) == 3)


def _dtype_of(magic: bytes, largest: float) -> np.dtype[Any]:
    if magic in FLOATS:
        return np.dtype("<f4" if largest < 0 else ">f4")
    if not 1 < largest < 65536 or largest != int(largest):
        raise FileError(f"damaged PNM, or of too few levels (largest value {largest:g}; 2 to 65535 needed)")
    return np.dtype("u1" if largest < 256 else ">u2")


def _read_plain(text: bytes, count: int) -> NDArray[Any]:
    """Read so many numbers, separated by spaces and comments."""
    words = re.sub(rb"#[^\n]*", b"", text).split(maxsplit=count)[:count]
    if len(words) < count:
        raise FileError(f"truncated PNM ({count - len(words)} of its values are missing)")
    return np.array(words).astype(np.int64)


def cannot_hold(image: ImageFile, _: PnmTemplate | None) -> str | None:
    """Return why an image cannot be written, or None."""
    if image.alpha is not None:
        return "PNM has no alpha channel (choose PNG or TIFF)"
    if image.pixels.dtype not in (np.uint8, np.uint16, np.float32):
        return (
            f"PNM holds unsigned integers of 8 or 16 bits or 32-bit floats ({image.pixels.dtype}; choose TIFF or NPY)"
        )
    return None if image.colours in (1, 3) else f"PNM holds grey or RGB ({image.colours} channels; choose TIFF or NPY)"


def encode(image: ImageFile, old: PnmTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept: nothing."""
    height, width = image.pixels.shape[:2]
    is_float, is_colour = image.pixels.dtype.kind == "f", image.pixels.ndim == 3
    if old is None:
        magic = (b"PF" if is_colour else b"Pf") if is_float else (b"P6" if is_colour else b"P5")
        largest = -1.0 if is_float else float(np.iinfo(image.pixels.dtype).max)
        old = PnmTemplate(b"%s\n%d %d\n%d\n" % (magic, width, height, largest), largest)
    dtype = _dtype_of(old.header[:2], old.largest)
    if is_float:
        return old.header + image.pixels[::-1].astype(dtype).tobytes(), []
    values = np.minimum(image.pixels, int(old.largest))
    if old.header[:2] in PLAIN:
        return old.header + b"\n".join(b" ".join(b"%d" % value for value in row.flat) for row in values) + b"\n", []
    return old.header + values.astype(dtype).tobytes(), []


PNM = Format(MAGICS, PnmTemplate, read, cannot_hold, encode)
