"""JPEG: new pixels with the old quantisation and subsampling, and the old metadata segments, bit for bit."""

import re
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.further_images import LISTS, XMP, strip_announcements
from mashpix.files.image_file import INKS, Format, ImageFile, active_remarks, check_size

MAGIC = b"\xff\xd8\xff"
START_OF_SCAN, END_OF_IMAGE, RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
JPEG_LS = 0xF7
"""Marker of the frame of JPEG-LS, another format that begins in the same way."""
FRAMES = {0xC0, 0xC1, 0xC2}
"""Kinds of JPEG that can be read and rewritten: baseline, extended, progressive."""
APP0, APP1, APP2, ADOBE, APP15, COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
YCCK = 2
"""Transform that Adobe's segment announces: three inks as luminance and colour differences, and black."""
NO_FRAMES = {0xC4, 0xC8, 0xCC}
"""Markers in the range of frames that are not frames: Huffman tables, reserved, arithmetic conditioning."""
MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""A marker in coded data that is neither a stuffed byte nor a restart."""
END = b"\xff\xd9\0\0"
QUALITY = 95
"""Quality of a JPEG made from another format."""
BEST_RATIO = 5000
"""Largest number of pixels per byte, with a margin: 340 if blank, progressive, with chroma at a quarter."""
LONGEST_SIDE = 65_500


class JpegTemplate(NamedTuple):
    """What a copy reuses from the old file: metadata segments, how its pixels were encoded, and of four inks, which."""

    segments: bytes
    encoding: dict[str, Any]
    inks: str = ""


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read grey, RGB or CMYK (0 is no ink, as Adobe stores it), without applying the stored orientation."""
    from PIL import JpegImagePlugin

    segments = list(_segments(data))
    _check_frame(data, segments)
    carried, is_first = _carried(data, segments)
    with JpegImagePlugin.JpegImageFile(BytesIO(data)) as image:  # Image.open would add a limit of its own
        check_size(*image.size, max_pixels=max_pixels)
        if image.width * image.height > len(data) * BEST_RATIO:
            raise FileError(f"damaged JPEG ({image.width} x {image.height} pixels cannot be in {len(data)} bytes)")
        inks = "" if image.mode != "CMYK" else "YCCK" if image.info.get("adobe_transform") == YCCK else "CMYK"
        encoding, is_unusual = _find_encoding(image)
        pixels = np.asarray(image)
    intervals = [data[start + 4 : end] for marker, start, end in segments if marker == RESTART_INTERVAL]
    if intervals:
        encoding["restart_marker_blocks"] = struct.unpack(">H", intervals[-1])[0]
    rest = len(data) - _find_end(data, segments)
    losses = {
        "holds further images: only the first is taken, the others are not kept": is_first,
        f"{rest} bytes after the image are not kept": rest > 0 and not is_first,
        "unusual chroma subsampling becomes 4:4:4": is_unusual,
    }
    template, lost = JpegTemplate(carried, encoding, inks), active_remarks(losses)
    if not inks:
        return ImageFile(pixels, "jpeg", None, template, losses=lost, is_rgb=pixels.ndim == 3)
    return ImageFile(pixels, "jpeg", None, template, (INKS,), lost, "the colours of this JPEG are inks (CMYK)")


def _check_frame(data: bytes, segments: list[tuple[int, int, int]]) -> None:
    """Refuse an image whose coding cannot be read and rewritten."""
    if any(marker == JPEG_LS for marker, _, _ in segments):
        raise FileError("a JPEG-LS (convert it to PNG or TIFF first)")
    frames = [(marker, start) for marker, start, _ in segments if 0xC0 <= marker <= 0xCF and marker not in NO_FRAMES]
    if len(frames) != 1:
        raise FileError(f"damaged JPEG (it holds {len(frames)} images)")
    (marker, start) = frames[0]
    if marker not in FRAMES:
        raise FileError(f"a rare kind of JPEG (lossless, arithmetic or the like, SOF{marker - 0xC0}; convert it first)")
    if data[start + 4] != 8:
        raise FileError(f"a JPEG with {data[start + 4]} bits (8 needed; convert it to PNG or TIFF first)")


def declared_size(data: bytes) -> tuple[int, int]:
    """Return height and width that a JPEG or JPEG-LS of any kind declares; `FileError` unless it holds one image."""
    sizes = [
        struct.unpack_from(">HH", data, start + 5)
        for marker, start, _ in _segments(data)
        if (0xC0 <= marker <= 0xCF and marker not in NO_FRAMES) or marker == JPEG_LS
    ]
    if len(sizes) != 1:
        raise FileError(f"damaged JPEG (it holds {len(sizes)} images)")
    return sizes[0]


def _find_end(data: bytes, segments: list[tuple[int, int, int]]) -> int:
    """Find the end of the image: after the first end marker that is not part of a segment between scans."""
    position = max(end for _, _, end in segments)
    while found := MARKER.search(data, position):
        marker, position = data[found.end() - 1], found.end()
        if marker == END_OF_IMAGE:
            return position
        if position + 2 <= len(data):
            position += struct.unpack(">H", data[position : position + 2])[0]
    return len(data)


def _find_encoding(image: Any) -> tuple[dict[str, Any], bool]:
    """Find what Pillow needs to encode in the same way, and whether it does not support the subsampling."""
    from PIL import JpegImagePlugin

    tables = [image.quantization[table] for _, _, _, table in image.layer]
    while len(tables) > 1 and tables[-1] == tables[-2]:  # the last one applies to all that follow
        tables.pop()
    encoding: dict[str, Any] = {"qtables": tables, "progressive": "progressive" in image.info}
    if image.mode == "L":
        return encoding, False
    if image.mode == "CMYK":
        return encoding | {"subsampling": 0}, len({layer[1:3] for layer in image.layer}) > 1
    sampling = JpegImagePlugin.get_sampling(image)
    letters = bytes(component for component, _, _, _ in image.layer)
    transform = image.info.get("adobe_transform", 0 if letters == b"RGB" else 1)
    encoding["keep_rgb"] = transform == 0 and "jfif" not in image.info
    encoding["subsampling"] = 0 if encoding["keep_rgb"] else max(sampling, 0)
    return encoding, sampling != encoding["subsampling"]


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """List marker, start and end of every segment before the first scan."""
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


def _carried(data: bytes, segments: list[tuple[int, int, int]]) -> tuple[bytes, bool]:
    """Return the metadata segments to copy, and whether others, or parts of them, announced further images."""
    carried, is_first = b"", False
    for marker, start, end in segments:
        content = data[start + 4 : end]
        kept = content
        if marker == APP2 and content.startswith(LISTS):
            kept = b""
        elif marker == APP1 and content.startswith(XMP):
            kept = strip_announcements(content)
        is_first |= kept != content
        if (APP0 <= marker <= APP15 or marker == COMMENT) and (kept or not content):
            carried += struct.pack(">BBH", 0xFF, marker, len(kept) + 2) + kept
    return carried, is_first


def cannot_hold(image: ImageFile, old: JpegTemplate | None) -> str | None:
    """Return why an image cannot be written as JPEG, or None."""
    if image.alpha is not None:
        return "JPEG has no alpha channel (choose PNG or TIFF)"
    if image.pixels.dtype != np.uint8:
        return f"JPEG holds 8 bits ({image.pixels.dtype}; choose PNG, TIFF or NPY)"
    if max(image.pixels.shape[:2]) > LONGEST_SIDE:
        return f"too large for JPEG ({max(image.pixels.shape[:2])} pixels per side; at most {LONGEST_SIDE})"
    return (
        None
        if image.colours in (1, 3) or (old and old.inks)
        else f"JPEG holds grey or RGB ({image.colours} channels; choose TIFF or NPY)"
    )


def encode(image: ImageFile, old: JpegTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept."""
    from PIL import Image

    encoding = old.encoding if old else {"quality": QUALITY, "subsampling": 0}
    encoded, inks = BytesIO(), old.inks if old else ""
    pixels = np.ascontiguousarray(_as_ycck(image.pixels) if inks == "YCCK" else image.pixels)
    picture = Image.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes()) if inks else Image.fromarray(pixels)
    picture.save(encoded, "JPEG", **encoding)
    data = encoded.getvalue()
    if old is None:
        return data, []
    carried = {marker for marker, _, _ in _segments(data[:2] + old.segments + END)}
    left_out = carried | {APP0} | ({ADOBE} if inks else set())
    body = b"".join(data[start:end] for marker, start, end in _segments(data) if marker not in left_out)
    scan = max(end for _, _, end in _segments(data))
    return data[:2] + old.segments + body + data[scan:], []


def _as_ycck(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the four inks so that an encoder of CMYK, which inverts them, stores those of YCCK."""
    from PIL import Image

    differences = np.asarray(Image.fromarray(np.ascontiguousarray(pixels[..., :3])).convert("YCbCr"))
    return np.dstack([255 - differences, pixels[..., 3]])


JPEG = Format((MAGIC,), JpegTemplate, read, cannot_hold, encode)
