"""Planes of CZI files as Zeiss's own library reads them, in a process of its own.

bioio would read CZI, too, by another library: bioio-czi 3.0.1 (aicspylibczi 4.0.1) gave one sample three times for RGB,
saw only scenes that are named, and corrupted memory where scenes differ in size.
"""

from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from mashpix.errors import FileError
from mashpix.files.reader_process import ReadPlane, serve_planes

KINDS = {
    "gray8": ("u1", 1), "gray16": ("u2", 1), "gray32float": ("f4", 1), "bgr24": ("u1", 3), "bgr48": ("u2", 3),
    "bgr96float": ("f4", 3),
}  # fmt: skip
"""Dtype and samples per pixel for each pixel type."""
OUTSIDE = "TCZ"
MIN_PLANE = 128
"""Smallest size in bytes of a plane in a file: its directory entry and its segment header."""
OPEN = ExitStack()
"""Keeps the file open until the process ends."""


def open_file(path: str) -> tuple[dict[str, Any], ReadPlane]:
    """Describe the largest scene of a file, see `_MicroscopeStack`, and return a function that reads a plane."""
    from pylibCZIrw import czi

    file = OPEN.enter_context(czi.open_czi(path))
    box = file.total_bounding_box_no_pyramid
    ranges = {letter: (int(start), int(end)) for letter, (start, end) in box.items() if letter not in "XY"}
    _check_planes(ranges, Path(path).stat().st_size)
    kinds = {kind.lower() for kind in file.pixel_types.values()}
    if len(kinds) != 1 or not kinds <= KINDS.keys():
        raise FileError(f"pixels that cannot be denoised ({', '.join(sorted(kinds))}; one kind of {', '.join(KINDS)})")
    dtype, samples = KINDS[kinds.pop()]
    scenes = file.scenes_bounding_rectangle_no_pyramid
    scene = max(scenes, key=lambda number: scenes[number].w * scenes[number].h, default=None)
    if scene is None:
        (left, right), (top, bottom) = box["X"], box["Y"]
        place = left, top, right - left, bottom - top
    else:
        place = scenes[scene].x, scenes[scene].y, scenes[scene].w, scenes[scene].h
    lengths = [end - start for start, end in (ranges.get(letter, (0, 1)) for letter in OUTSIDE)]
    named, channels, steps, is_mosaic = _read_xml(file.raw_metadata, scene or 0)
    found = {
        "axes": OUTSIDE + "YX" + "S" * (samples > 1),
        "shape": [*lengths, int(place[3]), int(place[2]), *([samples] if samples > 1 else [])],
        "dtype": dtype,
        "channels": channels,
        "steps": steps,
        "scene": named,
        "scenes": max(len(scenes), 1),
        "is_mosaic": is_mosaic,
    }

    def read(index: dict[str, int]) -> Any:
        plane = {letter: ranges[letter][0] + number for letter, number in index.items() if letter in ranges}
        pixels = np.asarray(file.read(plane=plane, scene=scene, roi=tuple(map(int, place))))
        return pixels[..., 0] if samples == 1 else pixels[..., ::-1]  # CZI stores blue first

    return found, read


def _check_planes(ranges: dict[str, tuple[int, int]], size: int) -> None:
    """Refuse axes that cannot be written, and more planes than a file of that size can hold."""
    if others := {letter for letter, (start, end) in ranges.items() if letter not in OUTSIDE and end - start > 1}:
        raise FileError(f"axes that OME-TIFF cannot hold ({', '.join(sorted(others))}; {OUTSIDE}YX needed)")
    planes = prod(end - start for start, end in ranges.values())
    if planes > size // MIN_PLANE:
        raise FileError(f"damaged CZI (it declares {planes} planes and has {size} bytes)")


def _read_xml(text: str, scene: int) -> tuple[str, list[str], dict[str, float], bool]:
    """Read the name of a scene, the names of its channels, micrometres per pixel, and whether there are tiles."""
    root = ElementTree.fromstring(text)
    image = root.find("./Metadata/Information/Image")
    image = ElementTree.Element("Image") if image is None else image
    found = image.find(f"./Dimensions/S/Scenes/Scene[@Index='{scene}']")
    name = (found.get("Name") if found is not None else None) or f"scene {scene}"
    channels = [channel.get("Name") or "" for channel in image.findall("./Dimensions/Channels/Channel")]
    metres = {
        distance.get("Id", ""): float(distance.findtext("Value") or 0)
        for distance in root.findall("./Metadata/Scaling/Items/Distance")
    }
    steps = {letter: round(metres[letter] * 1e6, 12) for letter in "ZYX" if metres.get(letter)}
    return name, channels, steps, int(image.findtext("SizeM") or 1) > 1


def main() -> None:
    """Entry point of the process."""
    serve_planes(open_file, what="CZI")
