"""Formats that are read and written as PNG, which keeps their values, alpha, profile, EXIF and XMP: HEIF and GIF."""

import struct
import zlib
from io import BytesIO

import numpy as np

from mashpix.errors import FileError
from mashpix.extras import need
from mashpix.files.image_file import ImageFile, check_size, split_alpha
from mashpix.files.iso_boxes import list_boxes, read_items
from mashpix.files.png import PngTemplate, make_chunk

GIF_MAGICS = (b"GIF87a", b"GIF89a")
GIF_END = b";"
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
    chunks = b""
    if profile := file.info.get("icc_profile"):
        chunks += make_chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile))
    if exif := file.info.get("exif"):
        chunks += make_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    if xmp := file.info.get("xmp"):
        chunks += make_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    losses = ["HEIF is read only: written as PNG"]
    if len(file.info.get("metadata") or ()) or file.info.get("depth_images") or file.info.get("thumbnails"):
        losses.append("depth maps, thumbnails and other metadata are not kept")
    template = PngTemplate(chunks, 8)
    return ImageFile(pixels, "png", alpha, template, losses=tuple(losses), is_rgb=pixels.ndim == 3)


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
