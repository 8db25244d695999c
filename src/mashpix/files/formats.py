"""Find the format of a file: from its content when reading, from its name when writing."""

import logging
import stat
from pathlib import Path
from typing import Any

from mashpix.errors import FileError
from mashpix.extras import is_there
from mashpix.files import mrc, png, webp
from mashpix.files.avif import AVIF
from mashpix.files.bmp import BMP
from mashpix.files.dicom import stack as dicom
from mashpix.files.fits import stack as fits
from mashpix.files.folder import is_zarr
from mashpix.files.image_file import FORMATS, Format, ImageFile, Read
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

for _library in ("imagecodecs", "tifffile", "PIL", "pydicom"):
    logging.getLogger(_library).addHandler(logging.NullHandler())  # their warnings would go to stderr


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
    found = {name for magic, (name, place) in PLACED_MAGICS.items() if start[place:].startswith(magic)}
    if "dicom" in found:  # before anything else: its first bytes are free, and some scanners begin a TIFF there
        return "dicom"
    for magic, name in MAGICS.items():
        if start.startswith(magic):
            return "raw" if name == "tiff" and suffix in RAW else name
    if start[4:8] == b"ftyp":
        brands = (start[place : place + 4] for place in (8, *range(16, min(len(start), start[3]), 4)))
        if name := next((BRANDS[brand] for brand in brands if brand in BRANDS), ""):
            return name
    if found:
        return found.pop()
    if start and suffix in MICROSCOPE | DICOM:
        return "microscope" if suffix in MICROSCOPE else "dicom"
    what = "an empty file" if not start else "no known image format"
    raise FileError(f"{what} ({status.st_size} bytes; {FORMATS} needed)")


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
