"""Formats that are read and written as PNG, which keeps their values, alpha, profile, EXIF and XMP: HEIF and GIF."""

import re
import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np

from mashpix.errors import FileError
from mashpix.extras import need
from mashpix.files.image_file import ImageFile, check_size, split_alpha
from mashpix.files.iso_boxes import list_boxes, read_items
from mashpix.files.png import PngTemplate, make_chunk

GIF_MAGICS = (b"GIF87a", b"GIF89a")
GIF_END = b";"
ORIENTATION = 274
"""Tag of EXIF."""
EXIF = b"Exif\0\0"
"""What some formats write before an EXIF block."""
TURNED_XMP = re.compile(rb"(\btiff:Orientation(?:\s*=\s*[\"']|>\s*))[2-8]")
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def read_heif(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read HEIF (HEIC) by libheif, upright; more than 8 bits are stretched to 16."""
    need("pillow_heif", what="HEIF", extra="heif")
    import pillow_heif

    list(list_boxes(data, 0, len(data), what="HEIF"))
    read_items(data, what="HEIF")
    file = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False)
    check_size(*file.size, max_pixels=max_pixels)
    pixels, alpha = split_alpha(np.asarray(file).reshape(file.size[1], file.size[0], -1))
    exif, xmp = (file.info.get(kind) or b"" for kind in ("exif", "xmp"))
    upright = {"exif": _as_upright(exif.removeprefix(EXIF)), "xmp": TURNED_XMP.sub(rb"\g<1>1", xmp)}
    chunks = metadata_chunks(file.info | upright)
    losses = ["HEIF is read only: written as PNG"]
    if len(file.info.get("metadata") or ()) or file.info.get("depth_images") or file.info.get("thumbnails"):
        losses.append("depth maps, thumbnails and other metadata are not kept")
    if len(file) > 1:
        losses.append(f"the other images of the file are not kept ({len(file) - 1})")
    template = PngTemplate(chunks, 8)
    return ImageFile(pixels, "png", alpha, template, losses=tuple(losses), is_rgb=pixels.ndim == 3)


def metadata_chunks(info: dict[Any, Any]) -> bytes:
    """Chunks of a PNG with the profile, the EXIF block and the XMP that Pillow has read from another format."""
    chunks = b""
    if profile := info.get("icc_profile"):
        chunks += make_chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile))
    if exif := info.get("exif"):
        chunks += make_chunk(b"eXIf", exif.removeprefix(EXIF))
    if xmp := info.get("xmp"):
        chunks += make_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    return chunks


def _as_upright(exif: bytes) -> bytes:
    """Return an EXIF block with the orientation 1, if it has one: libheif has turned the pixels."""
    order = "<" if exif.startswith(b"II") else ">"
    with suppress(struct.error):  # EXIF that nobody can read stays as it is
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            if struct.unpack_from(order + "H", exif, entry)[0] == ORIENTATION:
                return exif[: entry + 8] + struct.pack(order + "H", 1) + exif[entry + 10 :]
    return exif


def read_gif(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read a GIF of one image; its palette is expanded, for new pixels have more colours than one holds."""
    from PIL import GifImagePlugin

    width, height = struct.unpack_from("<HH", data, 6)
    check_size(width, height, max_pixels=max_pixels)
    if not data.rstrip(b"\0").endswith(GIF_END):
        raise FileError(f"truncated GIF ({len(data)} bytes)")
    with GifImagePlugin.GifImageFile(BytesIO(data)) as image:
        if image.is_animated:
            raise FileError(f"an animation of {image.n_frames} frames (a single image needed here)")
        check_size(*image.size, max_pixels=max_pixels)
        is_clear = "transparency" in image.info
        mode = "L" if image.mode == "L" and not is_clear else "RGBA" if is_clear else "RGB"
        array = np.asarray(image.convert(mode))
        comment = image.info.get("comment")
    pixels, alpha = split_alpha(array.reshape(*array.shape[:2], -1))
    chunks = make_chunk(b"tEXt", b"Comment\0" + comment) if comment else b""
    losses = ("GIF is read only: written as PNG, its palette expanded to colours",)
    return ImageFile(pixels, "png", alpha, PngTemplate(chunks, 8), losses=losses, is_rgb=pixels.ndim == 3)
