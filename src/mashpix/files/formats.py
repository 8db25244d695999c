"""Which format a file is, by its content when it is read and by its name when it is written."""

import stat
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError, MashpixError
from mashpix.files import jpeg, npy, png, tiff
from mashpix.files.atomic import atomic_write
from mashpix.files.image_file import MAX_PIXELS, ImageFile

MODULES: dict[str, ModuleType] = {"png": png, "jpeg": jpeg, "tiff": tiff, "npy": npy}
MAGICS = {png.MAGIC: "png", jpeg.MAGIC: "jpeg", npy.MAGIC: "npy"} | dict.fromkeys(tiff.MAGICS, "tiff")
EXTENSIONS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".tif": "tiff", ".tiff": "tiff", ".npy": "npy"}


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """Read one picture; its content, not its name, decides on the format.

    Parameters
    ----------
    path : Path
        A PNG (8 or 16 bit), JPEG, TIFF or NPY file.
    max_pixels : int
        Largest width x height.

    Raises
    ------
    FileError
        In one line, for anything that cannot be read completely.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise FileError("not a regular file (a picture file is needed)")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise FileError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    module = MODULES[_format_of(data)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn of what is checked here
            image: ImageFile = module.read(data, max_pixels=max_pixels)
    except MashpixError:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise FileError(f"damaged {_format_of(data).upper()} ({detail})") from None
    if image.pixels.size == 0:
        raise FileError(f"holds no pixels (shape {image.pixels.shape})")
    return image


def _format_of(data: bytes) -> str:
    for magic, name in MAGICS.items():
        if data.startswith(magic):
            return name
    what = "an empty file" if not data else "no known picture format"
    raise FileError(f"{what} ({len(data)} bytes; PNG, JPEG, TIFF or NPY needed)")


def target_format(image: ImageFile, target: Path) -> str:
    """The format that a name asks for; an unknown ending means that of the input."""
    return EXTENSIONS.get(target.suffix.lower(), image.format)


def check_writable(image: ImageFile, target: Path) -> None:
    """Refuse a target whose format cannot hold the picture, before any work is done."""
    if reason := MODULES[target_format(image, target)].why_not(image):
        raise FileError(f"{reason}: {target.name!r}")


def write_image(target: Path, image: ImageFile, *, overwrite: bool = False) -> list[str]:
    """Write a picture in one step, with all that its format's file held when it was read.

    Parameters
    ----------
    target : Path
        Its ending decides on the format.
    image : ImageFile
        As read, with other pixels of the same shape and dtype.
    overwrite : bool
        Whether a file that is there may be replaced.

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
    name = target_format(image, target)
    encoded: tuple[bytes, list[str]] = MODULES[name].encode(image)
    data, lost = encoded
    if name != image.format:
        lost = [*lost, f"written as {name.upper()}: profile, EXIF and other metadata of the input are not kept"]
    atomic_write(target, data, overwrite=overwrite)
    return lost


def encode_map(values: NDArray[Any]) -> bytes:
    """A map such as the spread, (H, W) or (H, W, C), as a 32-bit float TIFF."""
    image = ImageFile(np.ascontiguousarray(values, dtype=np.float32), "map")
    data: bytes = tiff.encode(image)[0]
    return data
