"""Stacks in OME-Zarr folders: read plane by plane, and replaced plane by plane in a copy of the folder.

All files of the folder are copied, and only the chunks of the image and of its smaller sizes are rewritten; so
metadata, labels and further images stay bit for bit. Only current planes and those that share chunks are in memory.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index
from mashpix.extras import need
from mashpix.files.atomic_folder import atomic_folder
from mashpix.files.folder import copy_files, walk_files
from mashpix.files.ome_zarr.array import open_array
from mashpix.files.ome_zarr.image import Image, find_image
from mashpix.files.ome_zarr.levels import made_levels, open_level
from mashpix.files.ome_zarr.planes import Planes
from mashpix.files.ome_zarr.widened import check_widening, widen_array
from mashpix.files.opened import OpenFile, OpenStack, Put
from mashpix.files.pyramid import level_notes
from mashpix.files.windows import WindowedPlane, parts_of


@dataclass(kw_only=True)
class _ZarrStack(OpenStack):
    """A stack in an OME-Zarr folder."""

    image: Image
    planes: Planes
    by_windows: ClassVar[bool] = True

    def read_plane(self, index: Index) -> NDArray[Any]:
        return self.planes[index].astype(self.dtype, copy=False)

    def _widen(self, dtype: np.dtype[Any]) -> OpenFile:
        made = made_levels(self.image)
        check_widening(self.path, [self.image.full, *made])
        full, *levels = (replace(layout, dtype=dtype) for layout in (self.image.full, *made))
        return replace(self, dtype=dtype, image=replace(self.image, full=full, levels=tuple(levels)))

    @contextmanager
    def copy_planes(self, target: Path, *, overwrite: bool) -> Iterator[Put]:
        with atomic_folder(target, overwrite=overwrite) as folder:
            copy_files(self.path, folder)
            is_widened = self.dtype != self.planes.array.layout.dtype
            for layout in (self.image.full, *made_levels(self.image)) if is_widened else ():
                widen_array(folder, layout, self.dtype)
            sparse = self.planes.array.sparse or is_widened
            array = open_array(folder, self.image.full, sparse=sparse, fills=is_widened, mode="r+")
            full = Planes(array, self.axes)
            levels = [open_level(folder, layout, self.image) for layout in made_levels(self.image)]

            def put(index: Index, plane: NDArray[Any] | WindowedPlane) -> None:
                for window, values in parts_of(index, plane, full.chunk):
                    os.utime(folder)  # a sign of life: an old temporary folder counts as left by a killed run
                    full.put(window, values)
                for level in levels:
                    level.put(index, plane)

            yield put
            for planes in (full, *(level.planes for level in levels)):
                planes.flush()


def open_zarr(path: Path, *, axes: str | None, max_pixels: int, sparse: bool) -> _ZarrStack:
    """Open the largest image of a Zarr folder as a stack; with `sparse`, chunks of it may be missing."""
    need("zarr", what=path.name, extra="zarr")
    for _ in walk_files(path):  # refuses links
        pass
    image = find_image(path, axes=axes, max_pixels=max_pixels)
    array = open_array(path, image.full, sparse=sparse)
    if not sparse:
        array.check_chunks()
    made = made_levels(image)
    notes = level_notes([level in made for level in image.levels])
    return _ZarrStack(
        path=path,
        axes=image.axes,
        shape=image.full.shape,
        dtype=image.full.dtype,
        is_rgb=image.is_rgb,
        fill_value=None if array.opened.fill_value is None else float(array.opened.fill_value),
        notes=(*image.notes, *notes),
        image=image,
        planes=Planes(array, image.axes),
    )
