"""TIFF, the reader and the choice of how to write: see `tiff_copy` for a copy of the old file with new pixels."""

import json
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import ImageFile, changed, check_size
from mashpix.files.png import join_alpha
from mashpix.files.tiff.chain import check_chain
from mashpix.files.tiff.copy import LEVELS, Container, new_file, rebuild, remember, replace_pixels

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PLAIN_BITS = {8, 16, 32, 64}
PACKED_BITS = {2, 4, 10, 12, 14}
"""Bits of a value that share bytes with those of their neighbours; 2 and 4 are stretched to 8."""
ALPHA_KINDS = (1, 2)
"""ExtraSamples that are transparency: associated and unassociated alpha."""
MOST_SIZES = 64
"""Directories of one picture: the levels of its pyramid, thumbnails. To look at 65,535 would take seconds."""
JPEG_COMPRESSIONS = (6, 7, 34892, 33007)
"""Those whose YCbCr the decoder turns into RGB."""
STK_PLANES = 33629
"""The tag whose count is the number of planes that a MetaMorph stack holds behind its one directory."""


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read a file with one picture, thumbnails aside: integers or floats, any layout and compression.

    Only directories of the main chain are opened: sub-directories and the files that OME-XML names never are.
    """
    import tifffile

    count = check_chain(data)
    if count > MOST_SIZES:
        raise FileError(f"a stack of {count} planes (a single picture needed here)")
    with tifffile.TiffFile(BytesIO(data)) as file:
        pages = [page.aspage() for page in file.pages]
        full = [page for page in pages if not page.is_reduced]
        page = (full or pages)[0]
        check_numbers(page)
        _check_single(file, page, len(full))
        check_page(page, len(data), max_pixels=max_pixels)
        array, notes = page.asarray(), _find_notes(page, count)
        has_palette = is_palette(page)
        if has_palette:
            array = _expand_palette(array, page.colormap)
        array = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if not has_palette and page.bitspersample in LEVELS:
            array = array * array.dtype.type(LEVELS[page.bitspersample])
        container = remember(file, page, data, array, has_palette=has_palette)
        native, is_colour = _find_native(page), has_palette or has_colour(page)
    has_alpha = array.ndim == 3 and bool(page.extrasamples) and page.extrasamples[-1] in ALPHA_KINDS
    alpha = array[..., -1] if has_alpha else None
    pixels = array[..., :-1] if has_alpha else array
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    losses = ("the palette is expanded to colours",) if has_palette else ()
    is_rgb = is_colour and pixels.ndim == 3 and pixels.shape[2] == 3
    return ImageFile(pixels, "tiff", alpha, container, notes, losses, native, is_rgb=is_rgb)


def _find_notes(page: Any, count: int) -> tuple[str, ...]:
    notes = []
    if count > 1 or page.subifds:
        sizes = count + len(page.subifds or ())
        notes.append(f"holds {sizes} sizes of the picture: the full one is denoised, the others stay as they were")
    if page.bitspersample in LEVELS and not is_palette(page):
        notes.append(f"only {2**page.bitspersample} grey levels: the result is rounded to them")
    return tuple(notes)


def _find_native(page: Any) -> str:
    """Why the values would mean something else in another format."""
    if page.photometric.name == "MINISWHITE":
        return "white is 0 in this TIFF"
    is_multiplied = bool(page.extrasamples) and page.extrasamples[-1] == ALPHA_KINDS[0]
    return "colours are multiplied by alpha in this TIFF" if is_multiplied else ""


def check_numbers(page: Any) -> None:
    """Refuse sizes that are lists: a list of millions times a number would fill the memory."""
    sizes = (page.imagewidth, page.imagelength, page.samplesperpixel, page.rowsperstrip, page.planarconfig)
    if not all(isinstance(size, int) for size in (*sizes, page.tilewidth, page.tilelength)):
        raise FileError("damaged TIFF (its size is no single number)")


def _check_single(file: Any, page: Any, count: int) -> None:
    """Refuse stacks: several pages, or one page that stands for several planes."""
    planes = count
    if file.is_imagej and file.imagej_metadata:
        planes = max(planes, int(file.imagej_metadata.get("images", 1)))
    if page.is_shaped:
        shape = json.loads(page.description).get("shape", ())
        planes = max(planes, int(np.prod(shape, dtype=object)) // max(int(np.prod(page.shape, dtype=object)), 1))
    if STK_PLANES in page.tags:
        planes = max(planes, page.tags[STK_PLANES].count)
    if planes > 1:
        raise FileError(f"a stack of {planes} planes (a single picture needed here)")


def check_page(page: Any, file_size: int, *, max_pixels: int) -> None:
    """Refuse what cannot be denoised or cannot be true, before pixels are decoded."""
    check_numbers(page)
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel, max_pixels=max_pixels)
    if page.is_tiled:
        check_size(page.tilewidth, page.tilelength, max_pixels=max_pixels)
    bits = set(np.atleast_1d(page.bitspersample).tolist())
    is_packed = bits <= PACKED_BITS and page.predictor == 1
    is_indices = bits <= {1, 2, 4} and page.photometric.name == "PALETTE"
    if bits == {1} and not is_indices:
        raise FileError("too few grey levels to denoise (1 bit a pixel; convert it to 8 bit first)")
    if page.dtype is None or not (bits <= PLAIN_BITS or (is_packed and len(bits) == 1) or is_indices):
        raise FileError(f"pixels of an unusual size ({sorted(bits)} bits; 8, 16, 32 or 64 needed)")
    if page.dtype.kind not in "iuf":
        raise FileError(f"holds no numbers that can be denoised ({page.dtype}; integers or floats needed)")
    photometric = page.photometric.name
    if photometric in ("CFA", "LINEAR_RAW"):
        raise FileError("a camera raw (let its name end in .dng, or as its camera named it)")
    if photometric not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR"):
        raise FileError(f"neither grey nor RGB (photometric {photometric}; convert it first)")
    if photometric == "YCBCR" and page.compression not in JPEG_COMPRESSIONS:
        raise FileError("neither grey nor RGB (photometric YCBCR without JPEG; convert it to RGB first)")
    if page.axes not in ("YX", "YXS", "SYX"):
        raise FileError(f"not a plane (axes {page.axes}; single pictures only so far)")
    _check_segments(page, file_size)


def _check_segments(page: Any, file_size: int) -> None:
    """Refuse a page whose strips or tiles are missing or end beyond the file."""
    tile = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    expected = -(-page.imagelength // max(tile[0], 1)) * -(-page.imagewidth // max(tile[1], 1))
    expected *= page.samplesperpixel if page.planarconfig == 2 and page.samplesperpixel > 1 else 1
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(segments) < expected or any(min(place) <= 0 or sum(place) > file_size for place in segments):
        raise FileError(f"truncated or damaged TIFF (its pixels end beyond its {file_size} bytes)")
    needed = page.nbytes
    if isinstance(page.bitspersample, int) and page.bitspersample % 8:
        rows, samples = page.imagelength, page.samplesperpixel
        rows, samples = (rows * samples, 1) if page.planarconfig == 2 else (rows, samples)
        needed = rows * (-(-page.imagewidth * samples * page.bitspersample // 8))
    if page.compression == 1 and sum(page.databytecounts) < needed:
        raise FileError(f"truncated or damaged TIFF ({sum(page.databytecounts)} of {needed} bytes of pixels)")


def is_palette(page: Any) -> bool:
    """Whether pixels are indices into a palette, and not grey levels with a grey ramp beside them."""
    if page.photometric.name != "PALETTE":
        return False
    ramp = np.linspace(0, 65535, page.colormap.shape[1])
    return bool(np.abs(page.colormap - ramp).max() > 257)


def has_colour(page: Any) -> bool:
    """Whether the first three samples of a page are said to be colours: grey with two more samples is not."""
    return page.photometric.name in ("RGB", "YCBCR")


def _expand_palette(indices: NDArray[Any], colormap: Any) -> NDArray[np.uint8]:
    """Indices (H, W) to RGB (H, W, 3), 8 bits of the palette's 16; some writers put 8-bit colours there."""
    colours = colormap >> 8 if colormap.max() > 255 else colormap
    return np.asarray(np.moveaxis(colours, 0, -1).astype(np.uint8)[indices])


def why_not(image: ImageFile) -> str | None:
    """Why this picture cannot be written as TIFF, or None."""
    if image.pixels.dtype.itemsize > 8:
        return f"TIFF holds up to 64 bits ({image.pixels.dtype}; choose NPY)"
    old: Container | None = image.container if image.format == "tiff" else None
    return changed(join_alpha(image), old.shape, old.dtype) if old else None


def encode(image: ImageFile) -> tuple[bytes, list[str]]:
    """The bytes of the file, and what could not be kept."""
    array = join_alpha(image)
    old: Container | None = image.container if image.format == "tiff" else None
    if old is None:
        return new_file(array, has_alpha=image.alpha is not None), []
    if old.bits in LEVELS:
        array = np.rint(array / LEVELS[old.bits]).astype(array.dtype) * array.dtype.type(LEVELS[old.bits])
    if old.strips is not None:
        data = replace_pixels(old, old.strips, array)
        if _holds(data, array):
            return data, []
    return rebuild(old, array), old.lost


def _holds(data: bytes, array: NDArray[Any]) -> bool:
    """Whether a TIFF reads as exactly these pixels: a copy is only as good as the old file was regular."""
    try:
        found = join_alpha(read(data, max_pixels=array.size))
    except Exception:
        return False
    return found.shape == array.shape and found.tobytes() == array.tobytes()
