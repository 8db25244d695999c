"""JPEG: new pixels with the old quantisation and subsampling, and the old file's metadata segments bit for bit."""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from mashpix.errors import FileError
from mashpix.files.image_file import ImageFile

MAGIC = b"\xff\xd8\xff"
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
APP0, APP2, APP14, COMMENT = 0xE0, 0xE2, 0xEE, 0xFE
QUALITY = 95
"""Quality of a JPEG that was none before."""


class Container(NamedTuple):
    """What a copy of the old file takes over: metadata segments, and how its pixels were encoded."""

    segments: bytes
    encoding: dict[str, Any]


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, stored orientation untouched."""
    from PIL import Image, JpegImagePlugin

    segments = b"".join(
        data[start:end]
        for marker, start, end in _segments(data)
        if (APP0 <= marker <= 0xEF and marker != APP14 and not _is_multi_picture(data, marker, start))
        or marker == COMMENT
    )
    with Image.open(BytesIO(data), formats=["JPEG"]) as image:
        if image.width * image.height > max_pixels:
            raise FileError(
                f"too large ({image.width} x {image.height}; at most {max_pixels} pixels, --max-pixels allows more)"
            )
        if image.mode not in ("L", "RGB"):
            raise FileError(f"neither grey nor RGB ({image.mode}; convert it to RGB first)")
        encoding: dict[str, Any] = {"qtables": dict(image.quantization), "progressive": "progressive" in image.info}  # type: ignore[attr-defined]
        if image.mode == "RGB":
            encoding["subsampling"] = JpegImagePlugin.get_sampling(image)
        count = getattr(image, "n_frames", 1)
        pixels = np.asarray(image)
    notes = (f"holds {count} pictures: only the first is taken",) if count > 1 else ()
    return ImageFile(pixels, "jpeg", container=Container(segments, encoding), notes=notes)


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


def _is_multi_picture(data: bytes, marker: int, start: int) -> bool:
    """Whether a segment lists further pictures by their place in the old file."""
    return marker == APP2 and data[start + 4 : start + 8] == b"MPF\0"


def why_not(image: ImageFile) -> str | None:
    """Why this picture cannot be written as JPEG, or None."""
    if image.alpha is not None:
        return "JPEG has no alpha channel"
    if image.pixels.dtype != np.uint8:
        return f"JPEG holds 8 bits ({image.pixels.dtype})"
    return None if image.colours in (1, 3) else f"JPEG holds grey or RGB ({image.colours} channels)"


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
    return data[:2] + kept.segments + body + data[scan:], []
