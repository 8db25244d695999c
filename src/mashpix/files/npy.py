"""NPY files: the header is kept, the array after it is replaced; pickles are never read."""

from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from mashpix.axes import MAX_COLOURS
from mashpix.errors import FileError
from mashpix.files.image_file import Format, ImageFile, check_size, damaged_error, mismatch

MAGIC = b"\x93NUMPY"


class NpyTemplate(NamedTuple):
    """What a copy reuses from the old file, and the array that its header declares."""

    header: bytes
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read (H, W), or (H, W, C) with up to four channels."""
    file = BytesIO(data)
    shape, fortran, dtype = read_header(file)
    if len(shape) not in (2, 3) or (len(shape) == 3 and not 1 <= shape[2] <= MAX_COLOURS):
        raise FileError(f"not a single image (shape {shape}; (H, W), or (H, W, C) with C up to {MAX_COLOURS})")
    check_size(shape[1], shape[0], max_pixels=max_pixels)
    count = int(np.prod(shape, dtype=object))
    if len(data) - file.tell() != count * dtype.itemsize:
        raise FileError(f"truncated or damaged NPY ({len(data) - file.tell()} bytes of {count * dtype.itemsize})")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    array = flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="), order="C")
    notes = (f"the last axis is read as {shape[2]} channels",) if len(shape) == 3 else ()
    template = NpyTemplate(data[: file.tell()], shape, dtype, fortran)
    return ImageFile(array, "npy", None, template, notes, is_rgb=None if len(shape) == 3 else False)


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header; return shape, whether in Fortran order, and dtype of the array after it."""
    try:
        if np.lib.format.read_magic(file) == (1, 0):
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(file)
    except Exception as error:  # the header is a Python literal, read by Python's parser
        raise damaged_error("NPY", error) from None
    if dtype.kind not in "iuf":
        raise FileError(f"holds no numbers that can be denoised ({dtype}; integers or floats needed)")
    return shape, is_fortran, dtype


def make_header(shape: tuple[int, ...], dtype: np.dtype[Any], *, is_fortran: bool) -> bytes:
    """Return the header of a file."""
    file = BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": is_fortran, "shape": shape}
    )
    return file.getvalue()


def cannot_hold(image: ImageFile, old: NpyTemplate | None) -> str | None:
    """Return why an image cannot be written as NPY, or None."""
    if image.alpha is not None:
        return "NPY has no alpha channel (choose PNG or TIFF)"
    return mismatch(image.pixels, old.shape, old.dtype) if old else None


def encode(image: ImageFile, old: NpyTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept."""
    if old is not None:
        return old.header + image.pixels.astype(old.dtype).tobytes("F" if old.is_fortran else "C"), []
    file = BytesIO()
    np.lib.format.write_array(file, image.pixels, allow_pickle=False)
    return file.getvalue(), []


def widen(old: NpyTemplate, dtype: np.dtype[Any]) -> NpyTemplate:
    """Return the template for an array of another dtype, in the old byte order."""
    stored = dtype.newbyteorder(old.dtype.byteorder) if old.dtype.itemsize > 1 else dtype
    return NpyTemplate(make_header(old.shape, stored, is_fortran=old.is_fortran), old.shape, stored, old.is_fortran)


NPY = Format((MAGIC,), NpyTemplate, read, cannot_hold, encode, widen=widen)
