"""Planes of microscope files, read by bioio's plugins in a process of its own: CZI, ND2, LIF and what is installed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.child import serve

STANDARD = "TCZYXS"
"""Axes that bioio orders all pictures by; M, the tiles of a mosaic, it joins."""


class Planes:
    """A file that is opened by the first request, and whose planes are asked for by the others."""

    def __init__(self) -> None:
        self.image: Any = None

    def answer(self, request: dict[str, Any], _: bytes | bytearray) -> tuple[dict[str, Any], NDArray[Any] | None]:
        """What the file holds, for {"path"}; one plane, for {"index"}, a number for each axis outside of it."""
        if "path" in request:
            self.image, found = open_image(request["path"])
            return found, None
        return {}, read_plane(self.image, request["index"])


def open_image(path: str) -> tuple[Any, dict[str, Any]]:
    """The picture in bioio's hands, set to its largest scene, and what it holds."""
    from bioio import BioImage
    from bioio_base.exceptions import UnsupportedFileFormatError

    try:
        try:
            image = BioImage(path, chunk_dims=["Y", "X"])  # else a plane brings all of its Z with it
        except TypeError:
            image = BioImage(path)
    except UnsupportedFileFormatError:
        raise FileError("damaged, or no plugin of bioio that is installed reads it (see docs/formats.md)") from None
    sizes = []
    for number in range(len(image.scenes)):
        image.set_scene(number)
        sizes.append(int(np.prod(image.shape, dtype=object)))
    image.set_scene(int(np.argmax(sizes)))
    if others := {letter: size for letter, size in image.reader.dims.items() if letter not in STANDARD + "M"}:
        raise FileError(f"axes that OME-TIFF cannot hold ({others}; {STANDARD} needed)")
    steps = {letter: getattr(image.physical_pixel_sizes, letter) for letter in "ZYX"}
    interval = image.time_interval
    found = {
        "axes": image.dims.order,
        "shape_of_stack": image.shape,
        "dtype_of_stack": np.dtype(image.dtype).str,
        "channels": [str(name) for name in image.channel_names or []],
        "steps": {letter: float(step) for letter, step in steps.items() if step},
        "interval": interval.total_seconds() if hasattr(interval, "total_seconds") else interval,
        "scene": str(image.current_scene),
        "scenes": max(len(image.scenes), _count_scenes(image, path)),
        "is_mosaic": _is_mosaic(image),
    }
    return image, found


def _is_mosaic(image: Any) -> bool:
    return "M" in image.reader.dims.order


def _is_czi(image: Any) -> bool:
    return type(image.reader).__module__.startswith("bioio_czi")


def _count_scenes(image: Any, path: str) -> int:
    """Scenes that a CZI holds: bioio sees those only that its XML names."""
    if not _is_czi(image):
        return 0
    from aicspylibczi import CziFile

    parts = [shape.get("S", (0, 1)) for shape in CziFile(path).get_dims_shape()]
    return sum(int(end) - int(start) for start, end in parts)


def read_plane(image: Any, index: dict[str, int]) -> NDArray[Any]:
    """One plane, (Y, X) or (Y, X, S) with red first; nothing but that plane, or the tiles of it, is read."""
    from bioio_base.reader import Reader

    order = "YXS" if "S" in image.dims.order else "YX"
    can_index = type(image.reader)._read_indexed is not Reader._read_indexed  # else it would load all of the picture
    if can_index and not _is_mosaic(image):
        plane = image.get_image_data(order, **index)
    else:
        plane = image.get_image_dask_data(order, **index).compute(scheduler="synchronous")
    if _is_czi(image) and order == "YXS":
        plane = plane[..., ::-1]  # CZI stores blue first, and so does bioio-czi give it
    return np.asarray(plane)


def main() -> None:
    """What the process does."""
    serve(Planes().answer, what="microscope file")
