"""TIFF: new pixels in a copy of the old file, so that every tag, profile and thumbnail stays where it was."""

import json
import logging
import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import ImageFile
from mashpix.files.png import join_alpha
from mashpix.files.tiff_chain import check_chain

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
LOSSLESS = {"NONE", "LZW", "DEFLATE", "ADOBE_DEFLATE", "PACKBITS", "ZSTD", "LZMA"}
"""Compressions that are written again as they were."""
PLAIN_BITS = (8, 16, 32, 64)
ALPHA_KINDS = (1, 2)
"""ExtraSamples that are transparency: associated and unassociated alpha."""


class Container(NamedTuple):
    """The old file, and how its pixels lie in it."""

    data: bytes
    byteorder: Literal["<", ">"]
    is_bigtiff: bool
    layout: dict[str, Any]
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    offsets_entry: int
    counts_entry: int
    compression: str


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read a file with one picture, thumbnails aside: integers or floats, any layout and compression."""
    import tifffile

    check_chain(data)
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says would go to stderr
    with tifffile.TiffFile(BytesIO(data)) as file:
        pages = [page.aspage() for page in file.pages]
        full = [page for page in pages if not page.is_reduced]
        page = (full or pages)[0]
        _check_single(file, page, len(full))
        _check_page(page, len(data), max_pixels=max_pixels)
        array = page.asarray()
        container = None if is_palette(page) else _container(file, page, data)
    notes = (f"holds {len(pages)} sizes of the picture: the full one is denoised",) if len(pages) > 1 else ()
    if is_palette(page):
        array, notes = _expand_palette(array, page.colormap), (*notes, "the palette is expanded to colours")
    array = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    has_alpha = array.ndim == 3 and bool(page.extrasamples) and page.extrasamples[-1] in ALPHA_KINDS
    alpha = array[..., -1] if has_alpha else None
    pixels = array[..., :-1] if has_alpha else array
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return ImageFile(pixels, "tiff", alpha, container=container, notes=notes)


def _check_single(file: Any, page: Any, count: int) -> None:
    """Refuse stacks: several pages, or one page that stands for several planes."""
    planes = count
    if file.is_imagej and file.imagej_metadata:
        planes = max(planes, int(file.imagej_metadata.get("images", 1)))
    if page.is_shaped:
        shape = json.loads(page.description).get("shape", ())
        planes = max(planes, int(np.prod(shape, dtype=object)) // max(int(np.prod(page.shape)), 1))
    if planes > 1:
        raise FileError(f"a stack of {planes} planes (single pictures only so far; save its planes one by one)")


def _check_page(page: Any, file_size: int, *, max_pixels: int) -> None:
    """Refuse what cannot be denoised or cannot be true, before pixels are decoded."""
    width, height = page.imagewidth, page.imagelength
    segment = (page.tilewidth * page.tilelength) if page.is_tiled else 0
    if max(width * height, segment) > max_pixels:
        raise FileError(f"too large ({width} x {height}; at most {max_pixels} pixels, --max-pixels allows more)")
    bits = set(np.atleast_1d(page.bitspersample).tolist())
    if not bits <= set(PLAIN_BITS) or page.dtype is None:
        raise FileError(f"pixels of an unusual size ({sorted(bits)} bits; 8, 16, 32 or 64 needed)")
    if page.dtype.kind not in "iuf":
        raise FileError(f"holds no numbers that can be denoised ({page.dtype}; integers or floats needed)")
    photometric = page.photometric.name
    if photometric not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR"):
        raise FileError(f"neither grey nor RGB (photometric {photometric}; convert it first)")
    if page.axes not in ("YX", "YXS", "SYX"):
        raise FileError(f"not a plane (axes {page.axes}; single pictures only so far)")
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, width)
    expected = -(-height // max(rows, 1)) * -(-width // max(columns, 1))
    expected *= page.samplesperpixel if page.planarconfig == 2 and page.samplesperpixel > 1 else 1
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(segments) < expected or any(count <= 0 or start + count > file_size for start, count in segments):
        raise FileError(f"truncated or damaged TIFF (its pixels end beyond its {file_size} bytes)")
    if page.compression == 1 and sum(page.databytecounts) < page.nbytes:
        raise FileError(f"truncated or damaged TIFF ({sum(page.databytecounts)} of {page.nbytes} bytes of pixels)")


def is_palette(page: Any) -> bool:
    """Whether pixels are indices into a palette, and not grey levels with a grey ramp beside them."""
    if page.photometric.name != "PALETTE":
        return False
    ramp = np.linspace(0, 65535, page.colormap.shape[1])
    return bool(np.abs(page.colormap - ramp).max() > 257)


def _expand_palette(indices: NDArray[Any], colormap: Any) -> NDArray[np.uint8]:
    """Indices (H, W) to RGB (H, W, 3), 8 bits of the palette's 16."""
    return np.asarray(np.moveaxis(colormap >> 8, 0, -1).astype(np.uint8)[indices])


def _container(file: Any, page: Any, data: bytes) -> Container:
    tags = page.tags
    layout: dict[str, Any] = {"byteorder": file.byteorder, "predictor": page.predictor if page.predictor > 1 else None}
    layout["compression"] = page.compression if page.compression > 1 else None
    if page.samplesperpixel > 1:
        layout["planarconfig"] = page.planarconfig
    if page.is_tiled:
        layout["tile"] = (page.tilelength, page.tilewidth)
    else:
        layout["rowsperstrip"] = min(page.rowsperstrip, page.imagelength)
    offsets, counts = ("TileOffsets", "TileByteCounts") if page.is_tiled else ("StripOffsets", "StripByteCounts")
    return Container(
        data,
        file.byteorder,
        file.is_bigtiff,
        layout,
        tuple(page.dataoffsets),
        tuple(page.databytecounts),
        tags[offsets].offset,
        tags[counts].offset if counts in tags else 0,
        page.compression.name,
    )


def why_not(image: ImageFile) -> str | None:
    """Why this picture cannot be written as TIFF, or None."""
    if image.format != "tiff" or image.container is None:
        return None
    if image.container.compression not in LOSSLESS:
        return f"TIFF with {image.container.compression} compression is not written again (choose another format)"
    return None if image.container.counts_entry else "the TIFF does not say how long its strips are"


def encode(image: ImageFile) -> tuple[bytes, list[str]]:
    """The bytes of the file, and what could not be kept."""
    array = join_alpha(image)
    if image.format != "tiff" or image.container is None:
        kinds = {"photometric": "rgb" if image.colours == 3 else "minisblack", "metadata": None}
        extra = {"extrasamples": ["unassalpha"]} if image.alpha is not None else {}
        return encode_array(array, compression="adobe_deflate", **kinds, **extra), []
    return _replace_pixels(image.container, array), []


def encode_array(array: NDArray[Any], **options: Any) -> bytes:
    """A new TIFF of an array, with the options of `tifffile.imwrite`."""
    import tifffile

    file = BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def _replace_pixels(old: Container, array: NDArray[Any]) -> bytes:
    """A copy of the old file with new strips or tiles: in their old places where they fit, else at the end."""
    import tifffile

    if old.layout.get("planarconfig") == 2:
        array = np.moveaxis(array, -1, 0)
    array = array.astype(array.dtype.newbyteorder(old.byteorder))
    encoded = encode_array(np.ascontiguousarray(array), photometric="minisblack", metadata=None, **old.layout)
    with tifffile.TiffFile(BytesIO(encoded)) as file:
        page = file.pages.first
        segments = [
            encoded[start : start + count] for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
    if len(segments) != len(old.offsets):
        raise FileError(f"an unusual layout of strips that cannot be written again ({len(old.offsets)} of them)")
    data, offsets = bytearray(old.data), list(old.offsets)
    for index, (segment, room) in enumerate(zip(segments, old.counts, strict=True)):
        if len(segment) > room:
            data += b"\0" * (len(data) % 2)
            offsets[index] = len(data)
            data += segment
        else:
            data[offsets[index] : offsets[index] + len(segment)] = segment
    _patch(data, old, old.offsets_entry, offsets)
    _patch(data, old, old.counts_entry, [len(segment) for segment in segments])
    return bytes(data)


def _patch(data: bytearray, old: Container, entry: int, values: Sequence[int]) -> None:
    """Let a directory entry hold other numbers, which go to the end of the file where they need room."""
    number, kind, size = ("Q", 16, 8) if old.is_bigtiff else ("L", 4, 4)
    packed = struct.pack(f"{old.byteorder}{len(values)}{number}", *values)
    if len(values) > 1:
        data += b"\0" * (len(data) % 2)
        place, inline = len(data), struct.pack(old.byteorder + number, len(data))
        data += packed
        if not old.is_bigtiff and place + len(packed) > 2**32:
            raise FileError("the TIFF would grow beyond 4 GB (save it as BigTIFF first)")
    else:
        inline = packed
    struct.pack_into(f"{old.byteorder}H{number}", data, entry + 2, kind, len(values))
    data[entry + 4 + size : entry + 4 + 2 * size] = inline
