"""Which format a file is, by its content when it is read and by its name when it is written."""

import logging
import stat
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError, MashpixError
from mashpix.extras import is_there
from mashpix.files import jpeg, npy, npz, png, webp
from mashpix.files.atomic import atomic_write
from mashpix.files.folder import is_zarr
from mashpix.files.image_file import FORMATS, HEADROOM, MAX_PIXELS, ImageFile, damaged, in_short
from mashpix.files.microscopes import stack as bio_stack
from mashpix.files.raw import image as raw
from mashpix.files.tiff import image as tiff

MODULES: dict[str, ModuleType] = {"png": png, "jpeg": jpeg, "webp": webp, "tiff": tiff, "npy": npy, "npz": npz}
MAGICS = {module.MAGIC: name for name, module in MODULES.items() if name != "tiff"}
MAGICS |= dict.fromkeys(tiff.MAGICS, "tiff") | dict.fromkeys(raw.MAGICS, "raw") | dict.fromkeys(bio_stack.MAGICS, "bio")
LONGEST_MAGIC = max(len(magic) for magic in MAGICS)
EXTENSIONS = {f".{name}": name for name in MODULES} | {".jpg": "jpeg", ".tif": "tiff"}
READ_ONLY = {"raw": (raw.SUFFIXES, "rawpy", ".tif"), "bio": (bio_stack.SUFFIXES, "bioio", ".ome.tif")}
"""Formats that are read with an extra and written as another one: their endings, the library, the ending of outputs."""

for _library in ("imagecodecs", "tifffile", "PIL"):
    logging.getLogger(_library).addHandler(logging.NullHandler())  # their remarks would go to stderr


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """Read one picture; its content, not its name, decides on the format.

    Parameters
    ----------
    path : Path
        A PNG, JPEG, WebP, TIFF, NPY, NPZ or camera raw file.
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
    """The picture in the bytes of a file of a known format, whose name ends in `suffix`; errors as in `read_image`."""
    if name == "bio":
        raise FileError("a microscope's file (mashpix denoise reads it as a stack; for all else save it as OME-TIFF)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn of what is checked here
            module = raw if name == "raw" else MODULES[name]
            image: ImageFile = module.read(data, max_pixels=max_pixels)
    except MashpixError:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise damaged(name.upper(), error) from None
    if image.pixels.size == 0:
        raise FileError(f"holds no pixels (shape {image.pixels.shape})")
    return replace(image, suffix=output_suffix(suffix))


def readable_suffixes() -> set[str]:
    """Endings of the names of pictures, as far as the libraries that read them are installed."""
    return {
        *EXTENSIONS,
        *(suffix for suffixes, library, _ in READ_ONLY.values() if is_there(library) for suffix in suffixes),
    }


def output_suffix(suffix: str) -> str:
    """The ending of an output's name: that of the input, unless its format can only be read."""
    return next((ending for suffixes, _, ending in READ_ONLY.values() if suffix.lower() in suffixes), suffix)


def format_of_file(path: Path) -> str:
    """Format of a file by its first bytes; `FileError` for one that is no regular file or no picture."""
    try:
        if is_zarr(path):
            raise FileError("a Zarr folder (a single picture needed here)")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise FileError("not a regular file (a picture file is needed)")
        with path.open("rb") as file:
            return _format_of(file.read(LONGEST_MAGIC), status.st_size, path.suffix.lower())
    except (OSError, ValueError) as error:
        raise FileError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def read_bytes(path: Path, *, max_pixels: int) -> bytes:
    """Content of a file that may be a picture of that size."""
    try:
        size = path.stat().st_size
        most = max_pixels * 4 * 8 + HEADROOM  # four channels of float64
        if size > most:
            raise FileError(f"too large ({size} bytes; at most {most}, --max-pixels allows more)")
        return path.read_bytes()
    except MemoryError:
        raise FileError(f"too large for the memory of this computer ({size} bytes)") from None
    except (OSError, ValueError) as error:
        raise FileError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _format_of(start: bytes, size: int, suffix: str) -> str:
    """Content decides; a name does where content cannot: a raw that begins as any TIFF, an instrument's own format."""
    for magic, name in MAGICS.items():
        if start.startswith(magic):
            return "raw" if name == "tiff" and suffix in raw.SUFFIXES else name
    if start and suffix in bio_stack.SUFFIXES:
        return "bio"
    what = "an empty file" if not start else "no known picture format"
    raise FileError(f"{what} ({size} bytes; {FORMATS} needed)")


def target_format(image: ImageFile, target: Path) -> str:
    """The format that a name asks for; the ending of the input's name, or none, means the format of the input.

    Raises
    ------
    FileError
        For any other ending: nobody else would read a PNG called .gif.
    """
    ending = target.suffix.lower()
    if ending in ("", image.suffix.lower()):
        return image.format
    if ending not in EXTENSIONS:
        raise FileError(f"no format to write ({ending!r}; one of {', '.join(EXTENSIONS)} needed)")
    return EXTENSIONS[ending]


def check_writable(image: ImageFile, target: Path, *, strict: bool = False) -> None:
    """Refuse a target whose format cannot hold the picture, before any work is done; if `strict`, not all of it."""
    name = target_format(image, target)
    if image.native and name != image.format:
        raise FileError(f"{image.native} (choose {image.format.upper()}, or convert it first)")
    if reason := MODULES[name].why_not(image):
        raise FileError(reason)
    if strict:
        _encode(target, image, strict=True)  # the surest way to know


def write_image(target: Path, image: ImageFile, *, overwrite: bool = False, strict: bool = False) -> list[str]:
    """Write a picture in one step, with all that its format's file held when it was read.

    Parameters
    ----------
    target : Path
        Its ending decides on the format.
    image : ImageFile
        As read, with other pixels of the same shape and dtype, or made of an array.
    overwrite : bool
        Whether a file that is there may be replaced.
    strict : bool
        Whether what could not be kept is an error, and nothing is written.

    Returns
    -------
    list of str
        What could not be kept, one line each.

    Raises
    ------
    FileError
        If the format cannot hold the picture, or the file cannot be written.
    """
    check_writable(image, target)
    data, lost = _encode(target, image, strict=strict)
    atomic_write(target, data, overwrite=overwrite)
    return lost


def _encode(target: Path, image: ImageFile, *, strict: bool) -> tuple[bytes, list[str]]:
    """The bytes of the file, and what could not be kept."""
    name = target_format(image, target)
    try:
        encoded: tuple[bytes, list[str]] = MODULES[name].encode(image)
    except MashpixError:
        raise
    except Exception as error:  # what an encoder cannot do, such as a JPEG wider than 65,535 pixels
        raise FileError(f"cannot be written as {name.upper()} ({in_short(error)}; choose another format)") from None
    data, lost = encoded
    if name == image.format:
        lost = [*image.losses, *lost]
    else:
        lost = [*lost, f"written as {name.upper()}: profile, EXIF and other metadata of the input are not kept"]
    if strict and lost:
        raise FileError(f"not all of it can be kept ({'; '.join(lost)}; leave out --strict to allow that)")
    return data, lost


def encode_map(values: NDArray[Any], *, suffix: str = ".tif") -> bytes:
    """A map such as the spread, (H, W) or (H, W, C), as 32-bit floats: NPY if the suffix is that, else TIFF."""
    image = ImageFile(np.ascontiguousarray(values, dtype=np.float32), "map")
    data: bytes = (npy if suffix.lower() == ".npy" else tiff).encode(image)[0]
    return data
