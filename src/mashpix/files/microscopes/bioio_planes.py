"""Planes of microscope files as bioio's plugins read them, in a process of its own: ND2, LIF and what is installed."""

from typing import Any

import numpy as np

from mashpix.errors import FileError
from mashpix.files.reader_process import ReadPlane, serve_planes

STANDARD = "TCZYXS"
"""Axis order of bioio for all images; it joins M, the tiles of a mosaic."""


def open_file(path: str) -> tuple[dict[str, Any], ReadPlane]:
    """Describe the largest scene of a file, see `_MicroscopeStack`, and return a function that reads a plane."""
    image = _open(path)
    sizes = []
    for number in range(len(image.scenes)):
        image.set_scene(number)
        sizes.append(int(np.prod(image.shape, dtype=object)))
    image.set_scene(int(np.argmax(sizes)))
    others = {letter: size for letter, size in image.reader.dims.items() if letter not in STANDARD + "M" and size > 1}
    if others:
        raise FileError(f"axes that OME-TIFF cannot hold ({others}; {STANDARD} needed)")
    steps = {letter: getattr(image.physical_pixel_sizes, letter) for letter in "ZYX"}
    found = {
        "axes": image.dims.order,
        "shape": image.shape,
        "dtype": np.dtype(image.dtype).str,
        "channels": [str(name) for name in image.channel_names or []],
        "steps": {letter: round(float(step), 12) for letter, step in steps.items() if step},
        "scene": str(image.current_scene),
        "scenes": len(image.scenes),
        "is_mosaic": "M" in image.reader.dims.order,
    }
    return found, lambda index: _read_plane(image, index)


def _open(path: str) -> Any:
    from bioio import BioImage
    from bioio_base.exceptions import UnsupportedFileFormatError

    try:
        try:
            return BioImage(path, chunk_dims=["Y", "X"])  # else reading a plane reads all of its Z
        except TypeError:  # a plugin without this option
            return BioImage(path)
    except UnsupportedFileFormatError:
        raise FileError("damaged, or no installed plugin of bioio can read it (see docs/formats.md)") from None


def _read_plane(image: Any, index: dict[str, int]) -> Any:
    """Read one plane, (Y, X) or (Y, X, S), and nothing but that plane or its tiles."""
    from bioio_base.reader import Reader

    order = "YXS" if "S" in image.dims.order else "YX"
    can_index = type(image.reader)._read_indexed is not Reader._read_indexed  # else it would load the whole image
    if can_index and "M" not in image.reader.dims.order:
        return image.get_image_data(order, **index)
    return image.get_image_dask_data(order, **index).compute(scheduler="synchronous")


def main() -> None:
    """Entry point of the process."""
    serve_planes(open_file, what="microscope file")
