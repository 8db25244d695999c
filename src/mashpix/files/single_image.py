"""Read, widen and write a single image of any format."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError, MashpixError
from mashpix.files.atomic import atomic_write
from mashpix.files.formats import READ_ONLY, STACKS_ONLY, WRITABLE, format_of_file, target_format
from mashpix.files.image_file import MAX_PIXELS, ImageFile, check_kept, damaged_error, in_short, largest_file
from mashpix.files.npy import NPY
from mashpix.files.tiff.image import TIFF
from mashpix.missing import scale_nodata

WHITE_IS_LARGEST = {"png", "jpeg", "webp", "jxl", "avif", "bmp"}
"""Formats of images to look at, also where they are grey."""
N_TRIED, MIN_ROWS = 2**20, 16
"""Pixels of a large image that are encoded to see whether it can be written, and the fewest rows of it."""


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """Read one image; its content, not its name, determines the format.

    Parameters
    ----------
    path : Path
        A file of any format but those of microscopes and Zarr.
    max_pixels : int
        Largest width x height.

    Raises
    ------
    FileError
        In one line, for anything that cannot be read completely.
    """
    name = format_of_file(path)
    data = read_bytes(path, max_pixels=max_pixels)
    return decode_image(name, data, max_pixels=max_pixels, suffix=path.suffix)


def decode_image(name: str, data: bytes, *, max_pixels: int, suffix: str) -> ImageFile:
    """Decode the bytes of a file of a known format, whose name ends in `suffix`; errors as in `read_image`."""
    if name in STACKS_ONLY:
        what, instead = STACKS_ONLY[name]
        raise FileError(f"{what} (a single image needed here; save it as {instead})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn about what is checked here
            read = READ_ONLY[name][0] if name in READ_ONLY else WRITABLE[name].read
            image = read(data, max_pixels=max_pixels)
    except MashpixError:
        raise
    except Exception as error:  # decoders raise arbitrary errors on damaged files
        raise damaged_error(name.upper(), error) from None
    if image.pixels.size == 0:
        raise FileError(f"holds no pixels (shape {image.pixels.shape})")
    return replace(image, suffix=READ_ONLY[name][1] if name in READ_ONLY else suffix)


def read_bytes(path: Path, *, max_pixels: int) -> bytes:
    """Read a file that may be an image of that size."""
    try:
        size = path.stat().st_size
        most = largest_file(max_pixels)
        if size > most:
            raise FileError(f"too large ({size} bytes; at most {most}, `max_pixels` allows more)")
        return path.read_bytes()
    except MemoryError:
        raise FileError(f"too large for the memory of this computer ({size} bytes)") from None
    except (OSError, ValueError) as error:
        raise FileError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def widen_image(image: ImageFile, dtype: np.dtype[Any]) -> ImageFile:
    """Return an image whose pixels have a wider dtype; where white is the largest integer, colours stay the same."""
    pixels, alpha = image.pixels, image.alpha
    factor: Any = 1
    if dtype.kind == pixels.dtype.kind == "u" and (image.is_rgb or image.format in WHITE_IS_LARGEST):
        factor = dtype.type(np.iinfo(dtype).max // np.iinfo(pixels.dtype).max)
    format_ = WRITABLE[image.format]
    old = format_.template_of(image)
    note = f"values are multiplied by {factor}, so that white stays white"
    return replace(
        image,
        pixels=pixels.astype(dtype) * factor,
        alpha=None if alpha is None else alpha.astype(dtype) * factor,
        template=None if old is None else format_.widen(old, dtype),
        nodata=scale_nodata(image.nodata, int(factor)),
        notes=(*image.notes, note) if factor > 1 else image.notes,
    )


def check_writable(image: ImageFile, target: Path, *, strict: bool = False) -> list[str]:
    """Refuse a target whose format cannot hold the image, or with `strict` all of it, before any work is done.

    The image is encoded as it is, or its first rows, so that whatever the encoder has against it is known. Returns what
    cannot be kept, one line each.
    """
    name = _format_for(image, target)
    format_ = WRITABLE[name]
    part = image if format_.needs_whole(format_.template_of(image)) else _first_rows(image)
    lost = _all_lost(image, name, _encode(name, part)[1])
    if strict:
        check_kept(lost)
    return lost


def _format_for(image: ImageFile, target: Path) -> str:
    """Return the format that a name asks for; refuse one that cannot hold the image."""
    name = target_format(image, target)
    if image.native and name != image.format:
        raise FileError(f"{image.native} (choose {image.format.upper()}, or convert it first)")
    format_ = WRITABLE[name]
    if reason := format_.cannot_hold(image, format_.template_of(image)):
        raise FileError(reason)
    return name


def _first_rows(image: ImageFile) -> ImageFile:
    """Return the first rows of a large image."""
    rows = max(MIN_ROWS, N_TRIED // image.pixels.shape[1])
    alpha = None if image.alpha is None else image.alpha[:rows]
    return image if rows >= len(image.pixels) else replace(image, pixels=image.pixels[:rows], alpha=alpha)


def _encode(name: str, image: ImageFile) -> tuple[bytes, list[str]]:
    """Encode an image in a format; return the bytes, and what they cannot keep."""
    format_ = WRITABLE[name]
    try:
        return format_.encode(image, format_.template_of(image))
    except MashpixError:
        raise
    except Exception as error:  # beyond the encoder's limits, such as a JPEG wider than 65,535 pixels
        raise FileError(f"cannot be written as {name.upper()} ({in_short(error)}; choose another format)") from None


def write_image(target: Path, image: ImageFile, *, overwrite: bool = False, strict: bool = False) -> list[str]:
    """Write an image in one step, with everything that its file held when it was read.

    Parameters
    ----------
    target : Path
        Its ending determines the format.
    image : ImageFile
        As read, with other pixels of the same shape and dtype, or made from an array.
    overwrite : bool
        Whether an existing file may be replaced.
    strict : bool
        Whether to raise an error and write nothing if anything cannot be kept.

    Returns
    -------
    list of str
        What could not be kept, one line each.

    Raises
    ------
    FileError
        If the format cannot hold the image, or the file cannot be written.
    """
    name = _format_for(image, target)
    data, lost = _encode(name, image)
    lost = _all_lost(image, name, lost)
    if strict:
        check_kept(lost)
    atomic_write(target, data, overwrite=overwrite)
    return lost


def _all_lost(image: ImageFile, name: str, lost: list[str]) -> list[str]:
    """Return everything that a file of that format cannot keep; `lost` is what its writer reports."""
    if name == image.format:
        return [*image.losses, *lost]
    return [*lost, f"written as {name.upper()}: profile, EXIF and other metadata of the input are not kept"]


def encode_map(values: NDArray[Any], *, suffix: str = ".tif") -> bytes:
    """Encode a map such as the spread, (H, W) or (H, W, C), as 32-bit floats: NPY if the suffix says so, else TIFF."""
    image = ImageFile(np.ascontiguousarray(values, dtype=np.float32), "map")
    return (NPY if suffix.lower() == ".npy" else TIFF).encode(image, None)[0]
