"""A single image as stored in a file, the interface of a format, and the limits on what is read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.missing import NoData

FORMATS = (
    "PNG, JPEG, JPEG XL, WebP, AVIF, HEIC, GIF, BMP, PNM, TIFF, NPY, NPZ, FITS, DICOM, MRC, camera raw, CZI, ND2 or LIF"
)
"""Readable formats, in words; HEIC and the last seven need extras."""
MAX_WHOLE = 2**28
"""Largest width x height of a single image that is read at once, where its format allows for windows."""
MAX_PIXELS = 2**29
"""Largest width x height that is read by default: a small file may declare any size."""
HEADROOM = 2**26
"""Bytes allowed in a file beside its pixels: profiles, previews, tables of tiles, other arrays."""
INKS = "CMYK: the four inks are denoised, and its profile is kept"
"""What is said of CMYK."""
ALPHA_COUNTS = (2, 4)
"""Numbers of channels with the last one alpha, in formats for grey and RGB."""


@dataclass(frozen=True)
class ImageFile:
    """An image as read from a file.

    pixels : (H, W) or (H, W, C) without alpha, dtype of the file in native byte order
    format : a key of `formats.WRITABLE`, such as "png"
    alpha : (H, W) in the same dtype, or None
    template : what a new file of that format reuses from the old one, such as `PngTemplate`; None for a new image
    notes : remarks for the user, one line each
    losses : what a new file of the same format cannot keep, one line each
    native : why its values would have another meaning in another format, or ""
    suffix : ending of the name it was read from, such as ".tif"
    is_rgb : whether the channels are red, green and blue, as the file says; None if it does not say
    nodata : ranges of values, both ends included, that mean "no data"; None if the file does not say
    """

    pixels: NDArray[Any]
    format: str
    alpha: NDArray[Any] | None = None
    template: object = None
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    native: str = ""
    suffix: str = ""
    is_rgb: bool | None = None
    nodata: tuple[NoData, ...] | None = None

    @property
    def colours(self) -> int:
        """Channels without alpha; 1 for grey."""
        return 1 if self.pixels.ndim == 2 else int(self.pixels.shape[2])


Template = TypeVar("Template")


class Read(Protocol):
    """Reads the bytes of a file."""

    def __call__(self, data: bytes, *, max_pixels: int) -> ImageFile: ...  # noqa: D102


@dataclass(frozen=True)
class Format(Generic[Template]):
    """A format of single images.

    magics : possible first bytes of its files
    template : class of `ImageFile.template` for this format
    read : reads a file
    cannot_hold : returns why an image cannot be written in this format, or None; gets the old file's template, or None
    encode : returns the bytes of a new file, and what it could not keep, one line each; gets the same
    needs_whole : whether only encoding the whole image, not its first rows, shows what cannot be kept
    widen : returns the template for pixels of a wider dtype, by default that of the file
    """

    magics: tuple[bytes, ...]
    template: type[Template]
    read: Read
    cannot_hold: Callable[[ImageFile, Template | None], str | None]
    encode: Callable[[ImageFile, Template | None], tuple[bytes, list[str]]]
    needs_whole: Callable[[Template | None], bool] = lambda _: False
    widen: Callable[[Template, np.dtype[Any]], Template] = lambda template, _: template

    def template_of(self, image: ImageFile) -> Template | None:
        """Return the template of an image that was read from this format."""
        return image.template if isinstance(image.template, self.template) else None


def check_size(width: int, height: int, channels: int = 1, *, max_pixels: int) -> None:
    """Refuse an image, or a tile of one, by the size that its header declares, before anything is allocated.

    Raises
    ------
    FileError
        For more than `max_pixels` pixels, or more values than four channels of them.
    """
    if width * height * max(channels, 4) > 4 * max_pixels:
        shape = f"{width} x {height}" + (f", {channels} channels" if channels > 4 else "")
        raise FileError(f"too large ({shape}; at most {max_pixels} pixels, `max_pixels` allows more)")


def largest_file(max_pixels: int) -> int:
    """Return the largest readable file size in bytes: four channels of float64, and room for other content."""
    return max_pixels * 4 * 8 + HEADROOM


def damaged_error(what: str, error: Exception) -> FileError:
    """Wrap any decoder error in a `FileError` of one short line."""
    if isinstance(error, MemoryError):
        return FileError("too large for the memory of this computer (`max_pixels` refuses such files earlier)")
    return FileError(f"damaged {what} ({in_short(error)})")


def in_short(error: Exception) -> str:
    """Shorten the message of a library's error to one line."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def active_remarks(remarks: dict[str, bool]) -> tuple[str, ...]:
    """Return the remarks whose condition is true."""
    return tuple(remark for remark, is_true in remarks.items() if is_true)


def check_kept(lost: Iterable[str]) -> None:
    """Raise `FileError` if anything is lost; `lost` has one line per item."""
    if lost := list(lost):
        raise FileError(f"not all of it can be kept ({'; '.join(lost)}; leave out `strict` to allow that)")


def mismatch(pixels: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> str | None:
    """Return why pixels cannot replace those of a file (another shape or dtype), or None."""
    if (pixels.shape, pixels.dtype) == (shape, dtype.newbyteorder("=")):
        return None
    return f"not the pixels of the file that was read ({pixels.dtype} {pixels.shape}; {dtype} {shape} needed)"


def split_alpha(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Split (H, W, 1 to 4) into pixels and alpha, which is the last of two or four channels."""
    alpha = array[..., -1] if array.shape[2] in ALPHA_COUNTS else None
    pixels = array if alpha is None else array[..., :-1]
    return (pixels[..., 0] if pixels.shape[2] == 1 else pixels), alpha


def join_alpha(image: ImageFile) -> NDArray[Any]:
    """Join pixels and alpha into one array, (H, W) or (H, W, C)."""
    return image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])
