"""Find the format of a file: from its content when reading, from its name when writing."""

import logging
import stat
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError, MashpixError
from mashpix.extras import is_there
from mashpix.files import mrc, png, webp
from mashpix.files.atomic import atomic_write
from mashpix.files.avif import AVIF
from mashpix.files.bmp import BMP
from mashpix.files.dicom import stack as dicom
from mashpix.files.fits import stack as fits
from mashpix.files.folder import is_zarr
from mashpix.files.image_file import (
    FORMATS,
    MAX_PIXELS,
    Format,
    ImageFile,
    Read,
    check_kept,
    damaged_error,
    in_short,
    largest_file,
)
from mashpix.files.jpeg import JPEG
from mashpix.files.jpeg_xl import JXL
from mashpix.files.microscopes import stack as microscopes
from mashpix.files.npy import NPY
from mashpix.files.npz import NPZ
from mashpix.files.png import PNG
from mashpix.files.png_of import GIF_MAGICS, HEIF_BRANDS, read_gif, read_heif
from mashpix.files.pnm import PNM
from mashpix.files.raw import image as raw
from mashpix.files.suffixes import DICOM, FITS, MICROSCOPE, MRC, OUTPUTS, RAW, output_suffix, split_name
from mashpix.files.tiff.image import TIFF
from mashpix.files.webp import WEBP
from mashpix.missing import scale_nodata

WRITABLE: dict[str, Format[Any]] = {
    "png": PNG, "jpeg": JPEG, "webp": WEBP, "tiff": TIFF, "npy": NPY, "npz": NPZ, "jxl": JXL, "avif": AVIF, "bmp": BMP,
    "pnm": PNM,
}  # fmt: skip
READ_ONLY: dict[str, tuple[Read, str]] = {
    "raw": (raw.read, ".tif"), "heif": (read_heif, ".png"), "gif": (read_gif, ".png"),
}  # fmt: skip
"""Formats of single images that are read but not written, and the ending of what is written instead."""
MAGICS = {magic: name for name, format_ in WRITABLE.items() for magic in format_.magics}
MAGICS |= (
    dict.fromkeys(raw.MAGICS, "raw")
    | dict.fromkeys(GIF_MAGICS, "gif")
    | dict.fromkeys(microscopes.MAGICS, "microscope")
    | {fits.MAGIC: "fits"}
)
BRANDS = dict.fromkeys((b"avif", b"avis"), "avif") | dict.fromkeys(HEIF_BRANDS, "heif")
"""Kinds of ISO media files, which name them behind `ftyp`."""
PLACED_MAGICS = {dicom.MAGIC: ("dicom", dicom.MAGIC_PLACE), mrc.MAGIC: ("mrc", mrc.MAGIC_PLACE)}
"""Those that are not the first bytes, with their places."""
LONGEST_MAGIC = max(64, *(place + len(magic) for magic, (_, place) in PLACED_MAGICS.items()))
STACKS_ONLY = {
    "microscope": ("a microscope file", "OME-TIFF"), "fits": ("a FITS file", "TIFF"), "dicom": ("a DICOM file", "TIFF"),
    "mrc": ("an MRC file", "TIFF"), "animation": ("an animation", "PNG"),
}  # fmt: skip
"""Formats that are always opened as a stack, in words, and what holds a single image instead."""
WITH_EXTRAS = {"rawpy": RAW, "bioio": MICROSCOPE, "astropy": FITS, "pydicom": DICOM, "mrcfile": MRC}
"""Endings of the names of files that an optional library reads."""
WHITE_IS_LARGEST = {"png", "jpeg", "webp", "jxl", "avif", "bmp"}
"""Formats of images to look at, also where they are grey."""
EXTENSIONS = {f".{name}": name for name in WRITABLE} | {".jpg": "jpeg", ".tif": "tiff"}
EXTENSIONS |= dict.fromkeys((".pgm", ".ppm", ".pfm"), "pnm")
"""Endings that other programs know, and the formats that they mean."""
READABLE = (
    EXTENSIONS
    | {".gif": "gif"}
    | (dict.fromkeys((".heic", ".heif", ".hif"), "heif") if is_there("pillow_heif") else {})
)

ENDINGS = {name: f".{name}" for name in WRITABLE} | {"jpeg": ".jpg", "tiff": ".tif"}
"""The usual ending of each format."""

N_TRIED, MIN_ROWS = 2**20, 16
"""Pixels of a large image that are encoded to see whether it can be written, and the fewest rows of it."""

for _library in ("imagecodecs", "tifffile", "PIL", "pydicom"):
    logging.getLogger(_library).addHandler(logging.NullHandler())  # their warnings would go to stderr


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


def output_ending(path: Path) -> str:
    """Return the ending of the name of an output: that of the input, unless its content is of another format.

    Examples
    --------
    >>> output_ending(Path("no_such_file.nef"))
    '.tif'
    """
    ending = split_name(path)[1]
    try:
        name = "" if is_zarr(path) else format_of_file(path)
    except FileError:  # which opening it will say
        name = ""
    if name == "animation":
        return ENDINGS["png"]
    if name in READ_ONLY:
        return READ_ONLY[name][1]
    if name in ("", "microscope"):
        return output_suffix(ending)
    is_other = EXTENSIONS.get(ending.lower(), name) != name or ending.lower() in OUTPUTS
    return ENDINGS[name] if is_other else ending


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


def readable_suffixes() -> set[str]:
    """Return the name endings of images that the installed libraries can read."""
    return {*READABLE}.union(*(endings for library, endings in WITH_EXTRAS.items() if is_there(library)))


def format_of_file(path: Path) -> str:
    """Find the format of a file from its first bytes, else its name; `FileError` unless it is a file and an image."""
    try:
        if is_zarr(path):
            raise FileError("a Zarr folder (a single image needed here)")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait forever
            raise FileError("not a regular file (an image file is needed)")
        with path.open("rb") as file:
            start = file.read(LONGEST_MAGIC)
            if webp.is_animated(start) or png.is_animated(file, start):
                return "animation"
    except (OSError, ValueError) as error:
        raise FileError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    suffix = path.suffix.lower()
    for magic, name in MAGICS.items():
        if start.startswith(magic):
            return "raw" if name == "tiff" and suffix in RAW else name
    if start[4:8] == b"ftyp":
        brands = (start[place : place + 4] for place in (8, *range(16, min(len(start), start[3]), 4)))
        if name := next((BRANDS[brand] for brand in brands if brand in BRANDS), ""):
            return name
    for magic, (name, place) in PLACED_MAGICS.items():
        if start[place:].startswith(magic):
            return name
    if start and suffix in MICROSCOPE | DICOM:
        return "microscope" if suffix in MICROSCOPE else "dicom"
    what = "an empty file" if not start else "no known image format"
    raise FileError(f"{what} ({status.st_size} bytes; {FORMATS} needed)")


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


def target_format(image: ImageFile, target: Path) -> str:
    """Return the format that a name asks for; the input's ending, or none, means the format of the input.

    Raises
    ------
    FileError
        For any other ending: other programs could not read a PNG called .gif.
    """
    ending = target.suffix.lower()
    if ending in ("", image.suffix.lower()):
        return image.format
    if ending not in EXTENSIONS:
        raise FileError(f"no format to write ({ending!r}; one of {', '.join(EXTENSIONS)} needed)")
    return EXTENSIONS[ending]


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
