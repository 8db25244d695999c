"""JPEG: new pixels with the old quantisation and subsampling, and the old file's metadata segments bit for bit."""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from mashpix.errors import FileError
from mashpix.files.image_file import ImageFile, check_size

MAGIC = b"\xff\xd8\xff"
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
APP0, APP2, APP14, APP15, COMMENT = 0xE0, 0xE2, 0xEE, 0xEF, 0xFE
QUALITY = 95
"""Quality of a JPEG that was none before."""
BEST_RATIO = 5000
"""Pixels that one byte can stand for, with room to spare: blank, progressive, chroma at a quarter, 340."""
LONGEST_SIDE = 65_500


class Container(NamedTuple):
    """What a copy of the old file takes over: metadata segments, how its pixels were encoded, and what of that not."""

    segments: bytes
    encoding: dict[str, Any]
    lost: list[str]


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, stored orientation untouched."""
    from PIL import JpegImagePlugin

    segments = list(_segments(data))
    further = [segment for segment in segments if _is_multi_picture(data, *segment)]
    carried = b"".join(
        data[start:end]
        for marker, start, end in segments
        if (APP0 <= marker <= APP15 and marker != APP14 and (marker, start, end) not in further) or marker == COMMENT
    )
    with JpegImagePlugin.JpegImageFile(BytesIO(data)) as image:  # Image.open would add a limit of its own
        check_size(*image.size, max_pixels=max_pixels)
        if image.width * image.height > len(data) * BEST_RATIO:
            raise FileError(f"damaged JPEG ({image.width} x {image.height} pixels cannot be in {len(data)} bytes)")
        if image.mode not in ("L", "RGB"):
            raise FileError(f"neither grey nor RGB ({image.mode}; convert it to RGB first)")
        container = Container(carried, *_find_encoding(image))
        pixels = np.asarray(image)
    notes = ("holds further pictures: only the first is taken, the others are not kept",) if further else ()
    return ImageFile(pixels, "jpeg", container=container, notes=notes)


def _find_encoding(image: Any) -> tuple[dict[str, Any], list[str]]:
    """What Pillow needs to encode in the same way, and what it cannot do."""
    from PIL import JpegImagePlugin

    tables = [image.quantization[table] for _, _, _, table in image.layer]
    while len(tables) > 1 and tables[-1] == tables[-2]:  # the last one stands for all that follow
        tables.pop()
    encoding: dict[str, Any] = {"qtables": tables, "progressive": "progressive" in image.info}
    if image.mode == "L":
        return encoding, []
    sampling = JpegImagePlugin.get_sampling(image)
    encoding["subsampling"] = max(sampling, 0)
    return encoding, ["an unusual chroma subsampling becomes none (4:4:4)"] if sampling < 0 else []


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of every segment before the first scan."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker in (START_OF_SCAN, END_OF_IMAGE):
            return
        end = position + 2 + struct.unpack(">H", data[position + 2 : position + 4])[0]
        if end > len(data):
            break
        yield marker, position, end
        position = end
    raise FileError(f"truncated or damaged JPEG ({len(data)} bytes)")


def _is_multi_picture(data: bytes, marker: int, start: int, end: int) -> bool:
    """Whether a segment lists further pictures by their place in the old file."""
    return marker == APP2 and data[start + 4 : end].startswith(b"MPF\0")


def why_not(image: ImageFile) -> str | None:
    """Why this picture cannot be written as JPEG, or None."""
    if image.alpha is not None:
        return "JPEG has no alpha channel (choose PNG or TIFF)"
    if image.pixels.dtype != np.uint8:
        return f"JPEG holds 8 bits ({image.pixels.dtype}; choose PNG, TIFF or NPY)"
    if max(image.pixels.shape[:2]) > LONGEST_SIDE:
        return f"too large for JPEG ({max(image.pixels.shape[:2])} pixels a side; at most {LONGEST_SIDE})"
    return None if image.colours in (1, 3) else f"JPEG holds grey or RGB ({image.colours} channels; choose TIFF or NPY)"


def encode(image: ImageFile) -> tuple[bytes, list[str]]:
    """The bytes of the file, and what could not be kept."""
    from PIL import Image

    kept = image.container if image.format == "jpeg" else None
    encoding = kept.encoding if kept else {"quality": QUALITY, "subsampling": 0}
    encoded = BytesIO()
    Image.fromarray(np.ascontiguousarray(image.pixels)).save(encoded, "JPEG", **encoding)
    data = encoded.getvalue()
    if kept is None:
        return data, []
    body = b"".join(data[start:end] for marker, start, end in _segments(data) if marker != APP0)
    scan = max(end for _, _, end in _segments(data))
    return data[:2] + kept.segments + body + data[scan:], kept.lost
