"""Make the smaller sizes of an image in an OME-Zarr from its planes, from several planes if Z is smaller too."""

from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mashpix.axes import WITHIN
from mashpix.files.ome_zarr.array import open_array
from mashpix.files.ome_zarr.image import Image
from mashpix.files.ome_zarr.metadata import Layout
from mashpix.files.ome_zarr.planes import Numbers, Planes
from mashpix.files.pyramid import Shape, factors_of, means_of, rounded


@dataclass
class Level:
    """A smaller size.

    planes : the planes of this size
    factors : number of full-size planes, along each axis outside of a plane, that make one
    full : lengths of these axes at full size
    sums : sum and number of the planes received so far, for planes that are incomplete
    """

    planes: Planes
    factors: Shape
    full: Shape
    sums: dict[Numbers, tuple[Any, int]] = field(default_factory=dict)

    def put(self, numbers: Numbers, plane: NDArray[Any]) -> None:
        """Take a full-size plane; write the plane that it contributes to once all of its parts have arrived."""
        layout = self.planes.array.layout
        place = tuple(number // factor for number, factor in zip(numbers, self.factors, strict=True))
        lengths = parts_of(layout.shape, self.planes.axes, outside=True)
        if any(number >= length for number, length in zip(place, lengths, strict=True)):
            return  # the remainder at the end of an axis
        total, count = self.sums.pop(place, (0, 0))
        total, count = total + means_of(plane, parts_of(layout.shape, self.planes.axes, outside=False)), count + 1
        if count < self._needed(place):
            self.sums[place] = total, count
        else:
            self.planes.put(place, rounded(total / count, layout.dtype))

    def _needed(self, place: Numbers) -> int:
        """Return the number of full-size planes that make one: fewer at the end of an axis."""
        return prod(
            min(factor, length - number * factor)
            for number, factor, length in zip(place, self.factors, self.full, strict=True)
        )


def parts_of(shape: Shape, axes: str, *, outside: bool) -> Shape:
    """Return the lengths of the axes outside of a plane, or within it."""
    return tuple(length for length, letter in zip(shape, axes, strict=True) if (letter not in WITHIN) is outside)


def made_levels(image: Image) -> list[Layout]:
    """Return the smaller sizes that can be made from the full one."""
    full = image.full
    return [level for level in image.levels if factors_of(full.shape, level.shape) and level.dtype == full.dtype]


def open_level(root: Path, layout: Layout, image: Image) -> Level:
    """Open a smaller size of an image to write into it."""
    factors = factors_of(image.full.shape, layout.shape)
    assert factors is not None
    planes = Planes(open_array(root, layout, sparse=True, fills=True, mode="r+"), image.axes)
    outside = [parts_of(lengths, image.axes, outside=True) for lengths in (factors, image.full.shape)]
    return Level(planes, outside[0], outside[1])
