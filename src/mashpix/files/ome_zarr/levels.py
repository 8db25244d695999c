"""Make the smaller sizes of an image in an OME-Zarr from its planes, from several planes if Z is smaller too."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mashpix.axes import Index, window_of
from mashpix.files.ome_zarr.array import open_array
from mashpix.files.ome_zarr.image import Image
from mashpix.files.ome_zarr.metadata import Layout
from mashpix.files.ome_zarr.planes import Planes
from mashpix.files.opened import numbers_of
from mashpix.files.pyramid import Shape, factors_of, means_of, rounded, shrink_windows
from mashpix.files.windows import WindowedPlane, within


@dataclass
class Level:
    """A smaller size.

    planes : the planes of this size
    factors : number of full-size pixels, along each axis, that make one
    full : lengths of the axes at full size
    sums : sum and number of the planes received so far, for planes that are incomplete
    """

    planes: Planes
    factors: Shape
    full: Shape
    sums: dict[tuple[int, ...], tuple[Any, int]] = field(default_factory=dict)

    def put(self, index: Index, plane: NDArray[Any] | WindowedPlane) -> None:
        """Take a full-size plane; write the plane that it contributes to once all of its parts have arrived."""
        layout, needed = self.planes.array.layout, 1
        small = tuple(
            number // factor if isinstance(number, int) else number
            for number, factor in zip(index, self.factors, strict=True)
        )
        for number, factor, length, whole in zip(small, self.factors, layout.shape, self.full, strict=True):
            if isinstance(number, int):
                if number >= length:
                    return  # the remainder at the end of an axis
                needed *= min(factor, whole - number * factor)  # fewer at the end of an axis
        for window, means in self._shrink(index, small, plane):
            place = (*numbers_of(small), *(item.start or 0 for item in within(window)))
            total, count = self.sums.pop(place, (0, 0))
            total, count = total + means, count + 1
            if count < needed:
                self.sums[place] = total, count
            else:
                self.planes.put(window, rounded(total / count, layout.dtype))

    def _shrink(
        self, index: Index, small: Index, plane: NDArray[Any] | WindowedPlane
    ) -> Iterator[tuple[Index, NDArray[Any]]]:
        """The means of the pixels of a plane, window by window of this size."""
        layout, axes = self.planes.array.layout, self.planes.axes
        if not isinstance(plane, WindowedPlane):
            shape = (length for number, length in zip(small, layout.shape, strict=True) if isinstance(number, slice))
            yield small, means_of(plane, tuple(shape))
            return
        size, factors = ([of[axes.index(letter)] for letter in "YX"] for of in (layout.shape, self.factors))
        for window, means in shrink_windows(plane, size, factors, self.planes.chunk):
            yield window_of(small, axes, *window), means


def made_levels(image: Image) -> list[Layout]:
    """Return the smaller sizes that can be made from the full one."""
    full = image.full
    return [level for level in image.levels if factors_of(full.shape, level.shape) and level.dtype == full.dtype]


def open_level(root: Path, layout: Layout, image: Image) -> Level:
    """Open a smaller size of an image to write into it."""
    factors = factors_of(image.full.shape, layout.shape)
    assert factors is not None
    planes = Planes(open_array(root, layout, sparse=True, fills=True, mode="r+"), image.axes)
    return Level(planes, factors, image.full.shape)
