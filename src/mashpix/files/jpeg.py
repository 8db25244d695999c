"""JPEG: new pixels with the old quantisation and subsampling, and the old file's metadata segments bit for bit."""

import re
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from mashpix.errors import FileError
from mashpix.files.image_file import ImageFile, check_size, true_of

MAGIC = b"\xff\xd8\xff"
START_OF_SCAN, END_OF_IMAGE, RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
FRAMES = {0xC0, 0xC1, 0xC2}
"""Kinds of picture that the decoder reads and can be written again: baseline, extended, progressive."""
APP0, APP2, APP14, APP15, COMMENT = 0xE0, 0xE2, 0xEE, 0xEF, 0xFE
NO_FRAMES = {0xC4, 0xC8, 0xCC}
"""Markers among those of frames that are none: Huffman tables, reserved, arithmetic conditioning."""
MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""A marker in coded data: neither a stuffed byte nor a restart."""
END = b"\xff\xd9\0\0"
QUALITY = 95
"""Quality of a JPEG that was none before."""
BEST_RATIO = 5000
"""Pixels that one byte can stand for, with room to spare: blank, progressive, chroma at a quarter, 340."""
LONGEST_SIDE = 65_500


class Container(NamedTuple):
    """What a copy of the old file takes over: metadata segments, how its pixels were encoded, and what of that not."""

    segments: bytes
    encoding: dict[str, Any]


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey or RGB, stored orientation untouched."""
    from PIL import JpegImagePlugin

    segments = list(_segments(data))
    _check_frame(data, segments)
    further = [segment for segment in segments if _is_multi_picture(data, *segment)]
    carried = b"".join(
        data[start:end]
        for marker, start, end in segments
        if (APP0 <= marker <= APP15 and (marker, start, end) not in further) or marker == COMMENT
    )
    with JpegImagePlugin.JpegImageFile(BytesIO(data)) as image:  # Image.open would add a limit of its own
        check_size(*image.size, max_pixels=max_pixels)
        if image.width * image.height > len(data) * BEST_RATIO:
            raise FileError(f"damaged JPEG ({image.width} x {image.height} pixels cannot be in {len(data)} bytes)")
        if image.mode not in ("L", "RGB"):
            raise FileError(f"neither grey nor RGB ({image.mode}; convert it to RGB first)")
        encoding, is_unusual = _find_encoding(image)
        pixels = np.asarray(image)
    intervals = [data[start + 4 : end] for marker, start, end in segments if marker == RESTART_INTERVAL]
    if intervals:
        encoding["restart_marker_blocks"] = struct.unpack(">H", intervals[-1])[0]
    rest = len(data) - _find_end(data, segments)
    losses = {
        "holds further pictures: only the first is taken, the others are not kept": bool(further),
        f"{rest} bytes behind the picture are not kept": rest > 0 and not further,
        "an unusual chroma subsampling becomes none (4:4:4)": is_unusual,
    }
    container = Container(carried, encoding)
    return ImageFile(pixels, "jpeg", container=container, losses=true_of(losses), is_rgb=pixels.ndim == 3)


def _check_frame(data: bytes, segments: list[tuple[int, int, int]]) -> None:
    """Refuse a picture that is coded in another way than can be read and written again."""
    frames = [(marker, start) for marker, start, _ in segments if 0xC0 <= marker <= 0xCF and marker not in NO_FRAMES]
    if len(frames) != 1:
        raise FileError(f"damaged JPEG (it holds {len(frames)} pictures)")
    (marker, start) = frames[0]
    if marker not in FRAMES:
        raise FileError(f"a rare kind of JPEG (lossless, arithmetic or the like, SOF{marker - 0xC0}; convert it first)")
    if data[start + 4] != 8:
        raise FileError(f"a JPEG with {data[start + 4]} bits (8 needed; convert it to PNG or TIFF first)")


def _find_end(data: bytes, segments: list[tuple[int, int, int]]) -> int:
    """Where the picture ends: behind its first end marker that is no part of a segment between scans."""
    position = max(end for _, _, end in segments)
    while found := MARKER.search(data, position):
        marker, position = data[found.end() - 1], found.end()
        if marker == END_OF_IMAGE:
            return position
        if position + 2 <= len(data):
            position += struct.unpack(">H", data[position : position + 2])[0]
    return len(data)


def _find_encoding(image: Any) -> tuple[dict[str, Any], bool]:
    """What Pillow needs to encode in the same way, and whether it cannot subsample so."""
    from PIL import JpegImagePlugin

    tables = [image.quantization[table] for _, _, _, table in image.layer]
    while len(tables) > 1 and tables[-1] == tables[-2]:  # the last one stands for all that follow
        tables.pop()
    encoding: dict[str, Any] = {"qtables": tables, "progressive": "progressive" in image.info}
    if image.mode == "L":
        return encoding, False
    sampling = JpegImagePlugin.get_sampling(image)
    letters = bytes(component for component, _, _, _ in image.layer)
    transform = image.info.get("adobe_transform", 0 if letters == b"RGB" else 1)
    encoding["keep_rgb"] = transform == 0 and "jfif" not in image.info
    encoding["subsampling"] = 0 if encoding["keep_rgb"] else max(sampling, 0)
    return encoding, sampling != encoding["subsampling"]


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
    carried = {marker for marker, _, _ in _segments(data[:2] + kept.segments + END)}
    body = b"".join(data[start:end] for marker, start, end in _segments(data) if marker not in carried | {APP0})
    scan = max(end for _, _, end in _segments(data))
    return data[:2] + kept.segments + body + data[scan:], []
