"""Find the image of an OME-Zarr to denoise, its axes and sizes (OME-NGFF: `multiscales`, `bioformats2raw.layout`)."""

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from mashpix.axes import check_axes, count_planes, guess_axes
from mashpix.errors import FileError
from mashpix.files.image_file import check_size
from mashpix.files.ome_zarr.metadata import Layout, Node, check_path, join, read_layout, read_node

KINDS = {"channel": "C", "time": "T"}
"""Letters of axes by their type, regardless of their names."""
SPARE = "QIRPAHEVUMNLKJGFDBWO"
"""Letters for axes with longer names."""
MAX_PLANES = 2**24
"""Largest number of planes that metadata may declare."""
NO_IMAGES = {
    "plate": "a plate of many images (name one of them, such as PLATE.zarr/A/1/0)",
    "well": "a well of many images (name one of them, such as PLATE.zarr/A/1/0)",
    "image-label": "a label image (its values are names, not intensities: nothing to denoise)",
}
"""Keys of OME-NGFF that mark something other than an image, and the message for each."""


@dataclass(frozen=True)
class Image:
    """An image in an OME-Zarr.

    axes : letters as tifffile writes them
    is_rgb : whether its samples are colours: three along an axis named S; None if the axes are a guess
    full : the largest of its sizes
    levels : the others
    notes : remarks for the user, one line each
    """

    axes: str
    is_rgb: bool | None
    full: Layout
    levels: tuple[Layout, ...]
    notes: tuple[str, ...]


def find_image(root: Path, *, axes: str | None, max_pixels: int) -> Image:
    """Find the image with the most values; a note reports if there are others.

    Raises
    ------
    FileError
        For a Zarr without an image, a plate, a label image, and for damaged or too large images.
    UsageError
        For axes that do not fit.
    """
    node = read_node(root, "")
    if node is None:
        raise FileError("not a Zarr (it holds no zarr.json, .zgroup or .zarray)")
    found = [([], [read_layout(root, "")])] if node.is_array else _list_images(root, node)
    if not found:
        raise FileError("no image in this Zarr (no 'multiscales'; the folder of an array in it can be named)")
    entries, layouts = max(found, key=lambda item: max(layout.size for layout in item[1]))
    full = max(layouts, key=lambda layout: layout.size)
    notes, is_guess = [], False
    if len(found) > 1:
        notes.append(f"holds {len(found)} images: the largest {full.shape} is denoised, the rest stays as it was")
    if axes is not None:
        named = check_axes(axes, full.shape)
    else:
        named, more, is_guess = _name_axes(entries, full)
        notes += more
    _check_sizes(full, named, max_pixels=max_pixels)
    is_rgb = None if is_guess and "S" in named else dict(zip(named, full.shape, strict=True)).get("S") == 3
    return Image(named, is_rgb, full, tuple(layout for layout in layouts if layout.name != full.name), tuple(notes))


def _list_images(root: Path, node: Node) -> list[tuple[list[Any], list[Layout]]]:
    """List axes and sizes of all images of a group, or of its numbered subgroups (bioformats2raw layout)."""
    for key, what in NO_IMAGES.items():
        if key in node.ome:
            raise FileError(what)
    if "multiscales" in node.ome:
        return _list_multiscales(root, node)
    names = sorted((path.name for path in root.iterdir() if path.name.isdecimal()), key=int)
    groups = [read_node(root, name) for name in names]
    return [item for group in groups if group and "multiscales" in group.ome for item in _list_multiscales(root, group)]


def _list_multiscales(root: Path, node: Node) -> list[tuple[list[Any], list[Layout]]]:
    try:
        return [
            (
                list(entry.get("axes", [])),
                [read_layout(root, join(node.name, check_path(item["path"]))) for item in entry["datasets"]],
            )
            for entry in node.ome["multiscales"]
            if entry["datasets"]
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise FileError(f"damaged OME-Zarr (multiscales: {type(error).__name__} {str(error)[:80]})") from None


def _name_axes(entries: list[Any], full: Layout) -> tuple[str, list[str], bool]:
    """Return the letters of the axes, remarks, and whether the axes are a guess because the metadata lacks names."""
    entries = entries or list(full.names)
    if not entries:
        axes, note = guess_axes(full.shape)
        return axes, [note] if note else [], True
    axes, names, notes = "", [], []
    for entry in entries:
        name, kind = (entry.get("name"), entry.get("type")) if isinstance(entry, dict) else (entry, None)
        names.append(name)
        letter = KINDS.get(str(kind)) or str(name).upper()
        if not re.fullmatch("[A-Z]", letter):
            letter = next((spare for spare in SPARE if spare not in axes), "")
            notes.append(f"axis {name!r} gets the letter {letter}")
        axes += letter
    if len(axes) != len(full.shape) or len(set(axes)) < len(axes) or not {"Y", "X"} <= set(axes):
        raise FileError(f"axes that do not fit ({names}, shape {full.shape}; `axes` names them, such as TCZYX)")
    return axes, notes, False


def _check_sizes(full: Layout, axes: str, *, max_pixels: int) -> None:
    """Refuse images whose declared sizes are too large."""
    lengths = dict(zip(axes, full.shape, strict=True))
    check_size(lengths["X"], lengths["Y"], lengths.get("S", 1), max_pixels=max_pixels)
    if count_planes(axes, full.shape) > MAX_PLANES:
        raise FileError(f"absurd shape ({full.shape}; at most {MAX_PLANES} planes)")
    if prod(full.chunks) > 4 * max_pixels:
        raise FileError(f"too large a chunk ({full.chunks}; at most {4 * max_pixels} values, `max_pixels` allows more)")
