"""A picture as a file holds it, and the limits on what is read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError

FORMATS = "PNG, JPEG, WebP, TIFF, NPY, NPZ, camera raw, CZI, ND2 or LIF"
"""What can be read, in words; the last four with extras."""
MAX_PIXELS = 2**29
"""Largest width x height that is read unless the caller allows more: a small file may declare any size."""
HEADROOM = 2**26
"""Bytes that a file may hold beside its pixels: profiles, previews, tables of tiles, other arrays."""


@dataclass(frozen=True)
class ImageFile:
    """A picture as read from a file.

    pixels : (H, W) or (H, W, C) without alpha, dtype of the file in native byte order
    alpha : (H, W) in the same dtype, or None
    format : "png", "jpeg", "webp", "tiff", "npy" or "npz"
    container : what the writer of that format needs to put new pixels into a copy of the old file
    notes : remarks for the user, one line each
    losses : what a new file of the same format cannot be given back, one line each
    native : why its values would mean something else in another format, or ""
    suffix : ending of the name it was read from, such as ".tif"
    is_rgb : whether the channels are red, green and blue, as the file says; None if nothing says what they are
    """

    pixels: NDArray[Any]
    format: str
    alpha: NDArray[Any] | None = None
    container: Any = None
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    native: str = ""
    suffix: str = ""
    is_rgb: bool | None = None

    @property
    def colours(self) -> int:
        """Channels without alpha; 1 for grey."""
        return 1 if self.pixels.ndim == 2 else int(self.pixels.shape[2])


def check_size(width: int, height: int, channels: int = 1, *, max_pixels: int) -> None:
    """Refuse a picture, or a tile of one, by the size that its header declares, before anything is allocated.

    Raises
    ------
    FileError
        For more than `max_pixels` pixels, or as many values as four channels of them.
    """
    if width * height * max(channels, 4) > 4 * max_pixels:
        shape = f"{width} x {height}" + (f", {channels} channels" if channels > 4 else "")
        raise FileError(f"too large ({shape}; at most {max_pixels} pixels, --max-pixels allows more)")


def damaged(what: str, error: Exception) -> FileError:
    """What to raise for a file that a library fails on, which raises whatever it likes: its words in one short line."""
    if isinstance(error, MemoryError):
        return FileError("too large for the memory of this computer (--max-pixels refuses such files earlier)")
    return FileError(f"damaged {what} ({in_short(error)})")


def in_short(error: Exception) -> str:
    """What a library says, in one short line."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def true_of(remarks: dict[str, bool]) -> tuple[str, ...]:
    """The remarks that are true of a file."""
    return tuple(remark for remark, is_true in remarks.items() if is_true)


def changed(pixels: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> str | None:
    """Why pixels cannot go where those of an old file were: they have another shape or dtype. None if they can."""
    if (pixels.shape, pixels.dtype) == (shape, dtype.newbyteorder("=")):
        return None
    return f"not the pixels of the file that was read ({pixels.dtype} {pixels.shape}; {dtype} {shape} needed)"
