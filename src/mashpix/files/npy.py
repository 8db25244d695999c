"""NPY files: the header is kept as it is, the array behind it is replaced; never a pickle."""

from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import ImageFile, changed, check_size, damaged

MAGIC = b"\x93NUMPY"
MOST_COLOURS = 4
"""A third axis up to this long is taken for channels; a longer one may be a stack."""


class Container(NamedTuple):
    """What a copy of the old file takes over, and the array that its header declares."""

    header: bytes
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read (H, W), or (H, W, C) with up to four channels."""
    file = BytesIO(data)
    shape, fortran, dtype = read_header(file)
    if len(shape) not in (2, 3) or (len(shape) == 3 and not 1 <= shape[2] <= MOST_COLOURS):
        raise FileError(f"not a single picture (shape {shape}; (H, W), or (H, W, C) with C up to {MOST_COLOURS})")
    check_size(shape[1], shape[0], max_pixels=max_pixels)
    count = int(np.prod(shape, dtype=object))
    if len(data) - file.tell() != count * dtype.itemsize:
        raise FileError(f"truncated or damaged NPY ({len(data) - file.tell()} bytes of {count * dtype.itemsize})")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    array = flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="), order="C")
    notes = (f"the last axis is taken for {shape[2]} channels",) if len(shape) == 3 else ()
    container = Container(data[: file.tell()], shape, dtype, fortran)
    return ImageFile(array, "npy", container=container, notes=notes, is_rgb=None if len(shape) == 3 else False)


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and dtype of the array behind the header, which is read."""
    try:
        if np.lib.format.read_magic(file) == (1, 0):
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(file)
    except Exception as error:  # the header is a piece of Python, read by its own parser
        raise damaged("NPY", error) from None
    if dtype.kind not in "iuf":
        raise FileError(f"holds no numbers that can be denoised ({dtype}; integers or floats needed)")
    return shape, is_fortran, dtype


def why_not(image: ImageFile) -> str | None:
    """Why this picture cannot be written as NPY, or None."""
    if image.alpha is not None:
        return "NPY has no alpha channel (choose PNG or TIFF)"
    old = image.container if image.format == "npy" else None
    return changed(image.pixels, old.shape, old.dtype) if old else None


def encode(image: ImageFile) -> tuple[bytes, list[str]]:
    """The bytes of the file, and what could not be kept."""
    if image.format == "npy" and image.container is not None:
        old: Container = image.container
        return old.header + image.pixels.astype(old.dtype).tobytes("F" if old.is_fortran else "C"), []
    return encode_array(image.pixels), []


def encode_array(array: NDArray[Any]) -> bytes:
    """A new NPY file."""
    file = BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()
