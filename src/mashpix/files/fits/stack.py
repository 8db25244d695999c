"""Images and cubes in FITS files, with astropy: the largest image of a file; all other parts stay bit for bit.

IAU FITS Working Group, "Definition of the Flexible Image Transport System (FITS)", version 4.0, 2018.
"""

import warnings
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index
from mashpix.errors import FileError, MashpixError
from mashpix.extras import need
from mashpix.files.as_tiff import AsTiff
from mashpix.files.fits.checksums import renew_checksums
from mashpix.files.fits.header import (
    find_blank,
    find_shape,
    flip_sign,
    name_axes,
    own_dtype,
    physical_scale,
    stored_dtype,
    widened_header,
)
from mashpix.files.image_file import check_size, damaged_error
from mashpix.files.mapped import MappedStack, byte_count
from mashpix.files.opened import OpenFile
from mashpix.missing import scale_nodata

MAGIC = b"SIMPLE  ="
BLOCK = 2880
"""Bytes of which headers and data take a multiple."""


@dataclass(kw_only=True)
class _FitsStack(AsTiff, MappedStack):
    """The largest image of a FITS file. Integers with any BSCALE and BZERO are denoised as stored, and keep both.

    header : of the image; that of a compressed one is the header it had before
    start : where the header is in the file
    section : reads planes of a compressed image; None if the image is not compressed
    """

    header: Any
    start: int
    section: Any = None
    block: ClassVar[int] = BLOCK

    def begin(self) -> tuple[bytes, np.dtype[Any]] | None:
        header = widened_header(self.header, self.dtype)
        if header is self.header and self.section is None:
            return None
        self.handle.seek(0)
        return self.handle.read(self.start) + header.tostring().encode("ascii"), stored_dtype(header).newbyteorder(">")

    def _widen(self, dtype: np.dtype[Any]) -> OpenFile:
        wider = super()._widen(dtype)
        if dtype.kind != "f" or self.dtype.kind == "f":
            return wider
        return replace(wider, nodata=scale_nodata(self.nodata, *physical_scale(self.header)))

    def finish(self, file: BinaryIO, offset: int, stored: np.dtype[Any]) -> None:
        end = offset + byte_count(self.shape, stored)
        header = widened_header(self.header, self.dtype).copy()
        renew_checksums(file, header, self.start, data=offset, end=end + -end % BLOCK)

    def read_plane(self, index: Index) -> NDArray[Any]:
        if self.section is None:
            return super().read_plane(index)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.decode(np.asarray(self.section[index]))
        except Exception as error:  # astropy raises arbitrary errors on damaged tiles
            raise damaged_error("FITS", error) from None

    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        own = own_dtype(self.header)
        plane = values.astype(values.dtype.newbyteorder("="))
        plane = plane if plane.dtype == own else flip_sign(plane, own)
        if self.dtype.kind == "f" and own.kind != "f":
            (scale, zero), blank = physical_scale(self.header), find_blank(self.header)
            physical = plane.astype(np.float64) * scale + zero
            return np.where(plane == blank, np.nan, physical).astype(self.dtype)
        return plane.astype(self.dtype)

    def encode(self, plane: NDArray[Any]) -> NDArray[Any]:
        stored = stored_dtype(widened_header(self.header, self.dtype))
        return plane if plane.dtype == stored else flip_sign(plane, stored)


def open_fits(path: Path, *, axes: str | None, max_pixels: int) -> _FitsStack:
    """Open the largest image of a FITS file, the first one of several of that size."""
    need("astropy", what="FITS", extra="fits")
    file, stack = path.open("rb"), None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy warns about what is checked here
            stack = _open_stack(path, file, axes=axes, max_pixels=max_pixels)
    except MashpixError:
        raise
    except Exception as error:  # astropy raises arbitrary errors on damaged files
        raise damaged_error("FITS", error) from None
    finally:
        if stack is None:
            file.close()
    return stack


def _open_stack(path: Path, file: BinaryIO, *, axes: str | None, max_pixels: int) -> _FitsStack:
    parts = _open_parts(file)
    shapes = [find_shape(part.header) for part in parts]
    images = [number for number, shape in enumerate(shapes) if len(shape) > 1 and prod(shape) > 0]
    _check_end(parts, path.stat().st_size)
    if not images:
        raise FileError(f"holds no image ({len(parts)} parts; one of two or more axes needed)")
    taken = max(images, key=lambda number: prod(shapes[number]))
    part, shape = parts[taken], shapes[taken]
    header, section, lost = part.header, None, tuple[str, ...]()
    found, notes = name_axes(header, shape, axes)
    lengths = dict(zip(found, shape, strict=True))
    check_size(lengths["X"], lengths["Y"], lengths.get("S", 1), max_pixels=max_pixels)
    if header.get("ZIMAGE"):
        _check_tiles(header, shape, max_pixels=max_pixels)
        compressed = _open_parts(file, compressed=True)[taken]
        header, section = _as_extension(compressed.header, taken), compressed.section
        if find_shape(header) != shape:
            raise FileError(f"damaged FITS (an image {find_shape(header)} in tiles of one {shape})")
        lost = (f"{part.header['ZCMPTYPE']} compression is not kept: the image is written uncompressed",)
    if len(images) > 1:
        named = f"part {taken} {str(header.get('EXTNAME', '')).strip()!r} {shape}"
        notes = (f"holds {len(images)} images: {named} is denoised, the rest stays as it was", *notes)
    if physical_scale(header) != (1, 0):
        scale, zero = physical_scale(header)
        notes = (*notes, f"measured in the units of its integers (BSCALE {scale:g} and BZERO {zero:g} are kept)")
    offset, blank = part.fileinfo()["datLoc"], find_blank(header)
    return _FitsStack(
        path=path,
        axes=found,
        shape=shape,
        dtype=own_dtype(header),
        is_rgb=None if "S" in found else False,
        nodata=() if blank is None else ((blank, blank),),
        notes=notes,
        lost=lost,
        handle=file,
        offset=offset,
        end=offset + part.fileinfo()["datSpan"],
        stored=stored_dtype(header).newbyteorder(">"),
        header=header,
        start=part.fileinfo()["hdrLoc"],
        section=section,
    )


def _open_parts(file: BinaryIO, *, compressed: bool = False) -> Any:
    """Open all parts of a file; compressed images as the tables that they are, or as images."""
    from astropy.io import fits

    how = {"memmap": False, "lazy_load_hdus": False, "do_not_scale_image_data": True}
    return fits.open(file, disable_image_compression=not compressed, **how)


def _check_end(parts: Any, size: int) -> None:
    """Refuse a file that ends before or after its last part."""
    last = parts[-1].fileinfo()
    end = last["datLoc"] + last["datSpan"]
    if end != size:
        raise FileError(f"truncated or damaged FITS ({size} bytes; its {len(parts)} parts end at {end})")


def _check_tiles(header: Any, shape: tuple[int, ...], *, max_pixels: int) -> None:
    """Refuse a compressed image whose tiles are too large, or too few for its shape."""
    sides = [
        header.get(f"ZTILE{len(shape) - number}", length if number == len(shape) - 1 else 1)
        for number, length in enumerate(shape)
    ]
    check_size(prod(sides), 1, max_pixels=max_pixels)
    needed = prod(-(-length // side) for length, side in zip(shape, sides, strict=True))
    if needed != header["NAXIS2"]:
        raise FileError(f"damaged FITS ({header['NAXIS2']} compressed tiles; {needed} needed)")


def _as_extension(header: Any, number: int) -> Any:
    """Return the header of a compressed image as that of an image in the same place of a file."""
    from astropy.io import fits

    header = fits.Header.fromstring(header.tostring())  # astropy's own kind of header may say something else
    return header if number == 0 or "XTENSION" in header else fits.ImageHDU(header=header).header
