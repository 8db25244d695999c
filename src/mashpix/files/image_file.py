"""A picture as a file holds it, and the limits on what is read."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

MAX_PIXELS = 2**29
"""Largest width x height that is read unless the caller allows more: a small file may declare any size."""


@dataclass(frozen=True)
class ImageFile:
    """A picture as read from a file.

    pixels : (H, W) or (H, W, C) without alpha, dtype of the file in native byte order
    alpha : (H, W) in the same dtype, or None
    format : "png", "jpeg", "tiff" or "npy"
    container : what the writer of that format needs to put new pixels into a copy of the old file
    notes : remarks for the user, one line each
    """

    pixels: NDArray[Any]
    format: str
    alpha: NDArray[Any] | None = None
    container: Any = None
    notes: tuple[str, ...] = ()

    @property
    def colours(self) -> int:
        """Channels without alpha; 1 for grey."""
        return 1 if self.pixels.ndim == 2 else int(self.pixels.shape[2])
