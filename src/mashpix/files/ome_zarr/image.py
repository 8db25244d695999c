"""Which picture of an OME-Zarr is meant, its axes and its sizes (OME-NGFF: `multiscales`, `bioformats2raw.layout`)."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from mashpix.axes import check_axes, count_planes, guess_axes
from mashpix.errors import FileError
from mashpix.files.image_file import check_size
from mashpix.files.ome_zarr.metadata import Layout, Node, check_path, join, read_layout, read_node

KINDS = {"channel": "C", "time": "T"}
"""Letters of axes by their type, whatever their names are."""
SPARE = "QIRPAHEVUMNLKJGFDBWO"
"""Letters for axes whose names are longer than one."""
MOST_PLANES = 2**24
"""Planes that metadata may declare."""
NO_PICTURES = {
    "plate": "a plate of many pictures (name one of them, such as PLATE.zarr/A/1/0)",
    "well": "a well of many pictures (name one of them, such as PLATE.zarr/A/1/0)",
    "image-label": "a label image (its values are names, not intensities: nothing to denoise)",
}
"""Keys of OME-NGFF for what is no picture, and what is said of it."""


@dataclass(frozen=True)
class Image:
    """A picture.

    axes : letters as tifffile writes them
    is_rgb : whether its samples are colours: three that are named S; None where the axes are a guess
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
    """The picture with the most values; that there are others is said in a note.

    Raises
    ------
    FileError
        For a Zarr without a picture, a plate, a label image, and for what is damaged or too large.
    UsageError
        For axes that do not fit.
    """
    node = read_node(root, "")
    if node is None:
        raise FileError("no Zarr (neither zarr.json nor .zgroup nor .zarray is in it)")
    found = [([], [read_layout(root, "")])] if node.is_array else _list_images(root, node)
    if not found:
        raise FileError("no picture in this Zarr (no 'multiscales'; the folder of an array in it can be named)")
    entries, layouts = max(found, key=lambda item: max(layout.size for layout in item[1]))
    full = max(layouts, key=lambda layout: layout.size)
    notes = []
    if len(found) > 1:
        notes.append(f"holds {len(found)} images: the largest {full.shape} is denoised, the rest stays as it was")
    if axes is not None:
        named = check_axes(axes, full.shape)
    else:
        named, more = _name_axes(entries, full)
        notes += more
    _check_sizes(full, named, max_pixels=max_pixels)
    is_guess = axes is None and not entries and not full.names
    is_rgb = None if is_guess and "S" in named else dict(zip(named, full.shape, strict=True)).get("S") == 3
    return Image(named, is_rgb, full, tuple(layout for layout in layouts if layout.name != full.name), tuple(notes))


def _list_images(root: Path, node: Node) -> list[tuple[list[Any], list[Layout]]]:
    """Axes and sizes of all pictures of a group, or of the numbered groups in it (the layout of bioformats2raw)."""
    for key, what in NO_PICTURES.items():
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


def _name_axes(entries: list[Any], full: Layout) -> tuple[str, list[str]]:
    """Letters of the axes as the metadata name them, and a remark where they do not."""
    if not entries and full.names:
        entries = list(full.names)
    if not entries:
        axes, note = guess_axes(full.shape)
        return axes, [note] if note else []
    axes, notes = "", []
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in entries]
    kinds = [entry.get("type") if isinstance(entry, dict) else None for entry in entries]
    for name, kind in zip(names, kinds, strict=True):
        letter = KINDS.get(str(kind)) or str(name).upper()
        if len(letter) != 1 or not letter.isascii() or not letter.isalpha():
            letter = next((spare for spare in SPARE if spare not in axes), "")
            notes.append(f"axis {name!r} is called {letter}")
        axes += letter
    if len(axes) != len(full.shape) or len(set(axes)) < len(axes) or not {"Y", "X"} <= set(axes):
        raise FileError(f"axes that do not fit ({names}, shape {full.shape}; --axes names them, such as TCZYX)")
    return axes, notes


def _check_sizes(full: Layout, axes: str, *, max_pixels: int) -> None:
    """Refuse what is too large by what the metadata declare."""
    lengths = dict(zip(axes, full.shape, strict=True))
    check_size(lengths["X"], lengths["Y"], lengths.get("S", 1), max_pixels=max_pixels)
    if count_planes(axes, full.shape) > MOST_PLANES:
        raise FileError(f"absurd shape ({full.shape}; at most {MOST_PLANES} planes)")
    if prod(full.chunks) > 4 * max_pixels:
        raise FileError(f"too large a chunk ({full.chunks}; at most {4 * max_pixels} values, --max-pixels allows more)")
