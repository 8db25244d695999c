"""Read TIFF images, and choose how to write them: see `copy` for a copy of the old file with new pixels."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import INKS, Format, ImageFile, check_size, join_alpha, mismatch
from mashpix.files.tiff.copy import HORIZONTAL, LEVELS, new_file, put_pixels, rebuild, widen
from mashpix.files.tiff.directories import check_chain
from mashpix.files.tiff.nodata import read_nodata
from mashpix.files.tiff.template import LOSSLESS, TiffTemplate, compression_of, make_template, photometric_of

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PLAIN_BITS = {8, 16, 32, 64}
PACKED_BITS = {2, 4, 10, 12, 14}
"""Bits of a value that share bytes with those of their neighbours; 2 and 4 are stretched to 8."""
ALPHA_KINDS = (1, 2)
"""ExtraSamples that mean transparency: associated and unassociated alpha."""
MAX_SIZES = 64
"""Directories of one image: the levels of its pyramid, thumbnails. Reading 65,535 would take seconds."""
JPEG_COMPRESSIONS = (6, 7, 34892, 33007)
"""Compressions whose YCbCr the decoder converts to RGB."""
PHOTOMETRIC = 262
STK_PLANES = 33629
"""The tag whose count is the number of planes that a MetaMorph stack holds behind its one directory."""


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read a file with one image, thumbnails aside: integers or floats, any layout and compression.

    Only directories of the main chain are opened: sub-directories and the files that OME-XML names never are.
    """
    import tifffile

    count = check_chain(data)
    if count > MAX_SIZES:
        raise FileError(f"a stack of {count} planes (a single image needed here)")
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = _find_page(file)
        check_page(page, len(data), max_pixels=max_pixels)
        array, has_palette = _decode(page), is_palette(page)
        template = make_template(file, page, data, array, has_palette=has_palette)
        notes, native = _find_notes(page, count), _find_native(page)
        has_alpha = array.ndim == 3 and bool(page.extrasamples) and page.extrasamples[-1] in ALPHA_KINDS
        has_colours = has_palette or has_colour(page)
        nodata, remarks = (None, []) if has_palette else read_nodata(page)
    pixels, alpha = (array[..., :-1], array[..., -1]) if has_alpha else (array, None)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    losses = ("the palette is expanded to colours",) if has_palette else ()
    is_rgb = has_colours and pixels.ndim == 3 and pixels.shape[2] == 3  # None if the file does not say
    notes = (*notes, *remarks)
    return ImageFile(pixels, "tiff", alpha, template, notes, losses, native, is_rgb=is_rgb, nodata=nodata)


def _find_page(file: Any) -> Any:
    """The page of the full image; a stack is refused."""
    pages = [page.aspage() for page in file.pages]
    full = [page for page in pages if not page.is_reduced]
    page = (full or pages)[0]
    check_numbers(page)
    _check_single(file, page, len(full))
    return page


def _decode(page: Any) -> NDArray[Any]:
    """Decode a page to (H, W) or (H, W, C): palettes expanded, samples last, 2 and 4 bits stretched to 8."""
    array: NDArray[Any] = page.asarray()
    if is_palette(page):
        return _expand_palette(array, page)
    array = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
    if page.bitspersample in PACKED_BITS and page.predictor == HORIZONTAL:
        array = array & array.dtype.type(2**page.bitspersample - 1)  # differences wrap around at that many bits
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array * array.dtype.type(LEVELS[page.bitspersample]) if page.bitspersample in LEVELS else array


def _find_notes(page: Any, count: int) -> tuple[str, ...]:
    notes = []
    if count > 1 or page.subifds:
        sizes = count + len(page.subifds or ())
        notes.append(f"holds {sizes} sizes of the image: the full one is denoised, the others stay as they were")
    if page.bitspersample in LEVELS and not is_palette(page):
        notes.append(f"only {2**page.bitspersample} grey levels: the result is rounded to them")
    if PHOTOMETRIC not in page.tags:
        notes.append("does not say what its values are (no PhotometricInterpretation): 0 is taken as black")
    if photometric_of(page) == "SEPARATED":
        notes.append(INKS)
    return tuple(notes)


def _find_native(page: Any) -> str:
    """Return why the values would have another meaning in another format, or an empty string."""
    if photometric_of(page) == "MINISWHITE":
        return "white is 0 in this TIFF"
    if photometric_of(page) == "SEPARATED":
        return "the colours of this TIFF are inks (CMYK)"
    is_multiplied = bool(page.extrasamples) and page.extrasamples[-1] == ALPHA_KINDS[0]
    return "colours are multiplied by alpha in this TIFF" if is_multiplied else ""


def check_numbers(page: Any) -> None:
    """Refuse sizes that are lists: a list of millions times a number would fill the memory."""
    sizes = (page.imagewidth, page.imagelength, page.samplesperpixel, page.rowsperstrip, page.planarconfig)
    if not all(isinstance(size, int) for size in (*sizes, page.tilewidth, page.tilelength)):
        raise FileError("damaged TIFF (its size is not a single number)")


def _check_single(file: Any, page: Any, count: int) -> None:
    """Refuse stacks: several pages, or one page that represents several planes."""
    planes = count
    if file.is_imagej and file.imagej_metadata:
        planes = max(planes, int(file.imagej_metadata.get("images", 1)))
    if page.is_shaped:  # the first description may be the user's own
        from tifffile.tifffile import shaped_description_metadata

        shape = shaped_description_metadata(page.shaped_description).get("shape", ())
        planes = max(planes, int(np.prod(shape, dtype=object)) // max(int(np.prod(page.shape, dtype=object)), 1))
    if STK_PLANES in page.tags:
        planes = max(planes, page.tags[STK_PLANES].count)
    if planes > 1:
        raise FileError(f"a stack of {planes} planes (a single image needed here)")


def check_page(page: Any, file_size: int, *, max_pixels: int) -> None:
    """Refuse pages that cannot be denoised or are impossible, before pixels are decoded."""
    check_numbers(page)
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel, max_pixels=max_pixels)
    if page.is_tiled:
        check_size(page.tilewidth, page.tilelength, max_pixels=max_pixels)
    _check_values(page)
    _check_photometric(page)
    if page.axes not in ("YX", "YXS", "SYX"):
        raise FileError(f"not a plane (axes {page.axes}; single images only so far)")
    _check_segments(page, file_size)


def _check_values(page: Any) -> None:
    """Refuse values of a size or type that cannot be denoised."""
    bits = set(np.atleast_1d(page.bitspersample).tolist())
    is_packed = bits <= PACKED_BITS and page.predictor in (1, HORIZONTAL)
    is_indices = bits <= {1, 2, 4} and photometric_of(page) == "PALETTE"
    if bits == {1} and not is_indices:
        raise FileError("too few grey levels to denoise (1 bit per pixel; convert it to 8 bit first)")
    if page.dtype is None or not (bits <= PLAIN_BITS or (is_packed and len(bits) == 1) or is_indices):
        raise FileError(f"pixels of an unusual size ({sorted(bits)} bits; 8, 16, 32 or 64 needed)")
    if page.dtype.kind not in "iuf":
        raise FileError(f"holds no numbers that can be denoised ({page.dtype}; integers or floats needed)")


def _check_photometric(page: Any) -> None:
    """Refuse pages that are neither grey nor RGB nor CMYK."""
    photometric = photometric_of(page)
    if photometric in ("CFA", "LINEAR_RAW"):
        raise FileError("a camera raw (give it the ending .dng, or that of its camera)")
    inks = page.samplesperpixel - len(page.extrasamples or ())
    is_cmyk = photometric == "SEPARATED" and inks == 4 and compression_of(page) in LOSSLESS
    if not is_cmyk and photometric not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR"):
        raise FileError(f"neither grey nor RGB (photometric {photometric}; convert it first)")
    if photometric == "YCBCR" and page.compression not in JPEG_COMPRESSIONS:
        raise FileError("neither grey nor RGB (photometric YCBCR without JPEG; convert it to RGB first)")


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
    """Return whether pixels are indices into a palette, and not grey levels beside a grey ramp."""
    if photometric_of(page) != "PALETTE":
        return False
    ramp = np.linspace(0, 65535, page.colormap.shape[1])
    return bool(np.abs(page.colormap - ramp).max() > 257)


def has_colour(page: Any) -> bool | None:
    """Return whether the first three samples of a page are colours, unlike grey with two more; None: it does not say.

    Inks are colours, but not red, green and blue: the image shows whether they are one scene.
    """
    if PHOTOMETRIC not in page.tags or photometric_of(page) == "SEPARATED":
        return None
    return photometric_of(page) in ("RGB", "YCBCR")


def _expand_palette(array: NDArray[Any], page: Any) -> NDArray[np.uint8]:
    """Indices (H, W) to RGB (H, W, 3), 8 bits of the palette's 16; some writers put 8-bit colours there.

    With alpha, indices are the first of two samples, and RGBA is returned.
    """
    colormap = page.colormap
    colours = np.moveaxis(colormap >> 8 if colormap.max() > 255 else colormap, 0, -1).astype(np.uint8)
    if array.ndim == 2:
        return np.asarray(colours[array])
    samples = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
    if samples.shape[2] != 2 or not set(page.extrasamples) <= set(ALPHA_KINDS) or samples.dtype != np.uint8:
        raise FileError(f"a palette with other samples beside it ({samples.shape[2]}; convert it to RGB first)")
    return np.dstack([colours[samples[..., 0]], samples[..., 1]])


def cannot_hold(image: ImageFile, old: TiffTemplate | None) -> str | None:
    """Return why an image cannot be written as TIFF, or None."""
    if image.pixels.dtype.itemsize > 8:
        return f"TIFF holds up to 64 bits ({image.pixels.dtype}; choose NPY)"
    return mismatch(join_alpha(image), old.shape, old.dtype) if old else None


def encode(image: ImageFile, old: TiffTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept."""
    array = join_alpha(image)
    if old is None:
        return new_file(array, has_alpha=image.alpha is not None), []
    if old.bits in LEVELS:
        array = np.rint(array / LEVELS[old.bits]).astype(array.dtype) * array.dtype.type(LEVELS[old.bits])
    if old.strips is not None:
        file = BytesIO(old.data)
        put_pixels(file, old, old.strips, array)
        if _holds(file.getvalue(), array):
            return file.getvalue(), []
    return rebuild(old, array), list(old.lost)


def is_copied(old: TiffTemplate | None) -> bool:
    """Return whether `encode` tries a copy of the old file, which fits all of its strips or none."""
    return old is not None and old.strips is not None


def _holds(data: bytes, array: NDArray[Any]) -> bool:
    """Return whether a TIFF decodes to exactly these pixels, which a copy of an irregular file may not."""
    try:
        found = join_alpha(read(data, max_pixels=array.size))
    except Exception:
        return False
    return found.shape == array.shape and found.tobytes() == array.tobytes()


TIFF = Format(MAGICS, TiffTemplate, read, cannot_hold, encode, is_copied, widen)
