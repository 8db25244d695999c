"""Planes of Leica's LIF files as liffile reads them, in a process of its own: scans along any axes, wavelengths too."""

from contextlib import ExitStack
from math import prod
from typing import Any

import numpy as np

from mashpix.errors import FileError
from mashpix.files.microscopes import bioio_planes
from mashpix.files.reader_process import ReadPlane, serve_planes

STANDARD = "TCZYXS"
WAVELENGTHS = ("λ", "Λ")
"""Axes of emission and excitation wavelength."""
OPEN = ExitStack()
"""Keeps the file open until the process ends."""


def open_file(path: str) -> tuple[dict[str, Any], ReadPlane]:
    """Describe the largest image of a file, see `_MicroscopeStack`, and return a function that reads a plane."""
    import liffile

    images = list(OPEN.enter_context(liffile.LifFile(path)).images)
    if not images:
        raise FileError("damaged, or a LIF without images")
    image = max(images, key=lambda image: prod(image.shape))
    if "M" in image.dims:  # tiles, which bioio joins
        return bioio_planes.open_file(path)
    letters = _name_axes(image.dims)
    lengths = dict.fromkeys(STANDARD[:5], 1) | {letters[name]: length for name, length in image.sizes.items()}
    axes = "".join(lengths)
    steps = {letters[name]: _step(image.coords[name]) for name in image.dims if name in "ZYX" and name in image.coords}
    found = {
        "axes": axes,
        "shape": [lengths[letter] for letter in axes],
        "dtype": np.dtype(image.dtype).str,
        "channels": _name_channels(image, letters),
        "steps": {letter: step for letter, step in steps.items() if step},
        "scene": image.name,
        "scenes": len(images),
        "is_mosaic": False,
        "renamed": ", ".join(f"{name} as {letter}" for name, letter in letters.items() if name != letter),
    }
    outside = {letter: name for name, letter in letters.items()}

    def read(index: dict[str, int]) -> Any:
        return image.frame(**{outside[letter]: number for letter, number in index.items() if letter in outside})

    return found, read


def _name_axes(dims: tuple[str, ...]) -> dict[str, str]:
    """Name the axes as OME-TIFF does: those of a plane are Y and X, and the axis that Y was becomes Z."""
    within = [name for name in dims if name != "S"][-2:]
    letters = dict(zip(within, "YX", strict=True)) | ({"S": "S"} if "S" in dims else {})
    for name in dims:
        if name not in letters:
            letters[name] = "C" if name in WAVELENGTHS else "Z" if name == "Y" else name
    if len(set(letters.values())) < len(letters) or not set(letters.values()) <= set(STANDARD):
        raise FileError(f"axes that OME-TIFF cannot hold ({', '.join(dims)}; {STANDARD} needed)")
    return letters


def _name_channels(image: Any, letters: dict[str, str]) -> list[str]:
    """Return the names of the channels: those of the file, or their wavelengths."""
    name = next((name for name, letter in letters.items() if letter == "C"), "")
    if name in WAVELENGTHS:
        return [f"{wavelength * 1e9:g} nm" for wavelength in image.coords[name]]
    return [channel.get("LUTName", "") for channel in image.xml_element.iterfind(".//ChannelDescription")]


def _step(places: Any) -> float:
    """Return the distance of neighbours along an axis in micrometres; 0 if there are none."""
    return round(float(abs(places[-1] - places[0])) / (len(places) - 1) * 1e6, 12) if len(places) > 1 else 0.0


def main() -> None:
    """Entry point of the process."""
    serve_planes(open_file, what="LIF")
