"""Keep planes that have been read and are still needed, so that none is decoded twice."""

from typing import Any

from mashpix.axes import Index
from mashpix.files import OpenFile
from mashpix.missing import mask_missing


class KeptPlanes:
    """A stack that keeps the planes it has read until they are taken.

    A network is fitted to a few planes that are denoised later, and a denoised plane is judged against the noisy one.
    Planes are masked where the file says that they hold no data.

    Parameters
    ----------
    stack : OpenFile
        The stack to read from.
    most : int
        Largest number of planes kept at a time; beyond that, the oldest is read again when it is needed.
    """

    def __init__(self, stack: OpenFile, *, most: int = 1) -> None:
        self.stack, self.most = stack, most
        self.axes, self.shape, self.dtype = stack.axes, tuple(stack.shape), stack.dtype
        self._kept: dict[tuple[Any, ...], Any] = {}

    def __getitem__(self, index: Index) -> Any:
        """Return a plane and keep it; it must not be changed."""
        key = _key_of(index)
        if key not in self._kept:
            while len(self._kept) >= self.most:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = mask_missing(self.stack[index], self.stack.missing(index))
        return self._kept[key]

    def take(self, index: Index) -> Any:
        """Return a plane for the last time, and keep it no longer."""
        plane = self[index]
        del self._kept[_key_of(index)]
        return plane


def _key_of(index: Index) -> tuple[Any, ...]:
    """Return the numbers along the axes outside of the plane, and the bounds of a window of it."""
    return tuple(place if isinstance(place, int) else (place.start, place.stop) for place in index)
