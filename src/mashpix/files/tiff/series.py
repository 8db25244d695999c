"""Choose the series of planes in a TIFF, name its axes, and check that the file can hold it."""

import re
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np

from mashpix.axes import check_axes, remark
from mashpix.errors import FileError, UsageError
from mashpix.files.tiff.image import check_numbers, check_page, is_palette
from mashpix.files.tiff.template import find_strips

GUESSED = "IQ"
"""Letters that tifffile gives to unknown axes."""


def open_tifffile(file: BinaryIO, name: str, **options: Any) -> Any:
    """Open the file with tifffile, without any other file that OME-XML may name."""
    import tifffile

    return tifffile.TiffFile(file, name=name, _multifile=False, is_ndtiff=False, **options)


def open_own_planes(file: BinaryIO, name: str, count: int) -> tuple[Any, list[str]]:
    """The file of `count` directories in tifffile's hands, with a note where its OME-XML names other files too."""
    tiff = open_tifffile(file, name)
    check_numbers(tiff.pages.first)
    declared = _declared_planes(tiff.ome_metadata or "") if tiff.is_ome else 0
    if declared <= count * tiff.pages.first.samplesperpixel:
        return tiff, []
    if "FileName=" not in tiff.ome_metadata:
        raise FileError(f"truncated or damaged OME-TIFF (it declares {declared} planes and holds {count})")
    file.seek(0)
    note = f"its OME-XML names other files too: of {declared} planes, the {count} in this file are denoised"
    return open_tifffile(file, name, is_ome=False), [note]


def check_series(tiff: Any, series: Any, size: int, *, max_pixels: int) -> None:
    """Refuse a series that cannot be denoised plane by plane, or does not fit in a file of that size."""
    page, count = series.keyframe, count_planes(series)
    check_page(page, size, max_pixels=max_pixels)
    if is_palette(page) and not tiff.is_imagej:  # ImageJ: a look-up table beside measured values
        raise FileError("a stack of palette images (convert it to RGB first)")
    if any(plane is None for plane in series.pages) or (len(series.pages) != count and not series.dataoffset):
        raise FileError(f"planes are missing ({len(series.pages)} of {count}; save it as OME-TIFF first)")
    for other in {id(plane.keyframe): plane.keyframe for plane in series.pages}.values():
        check_page(other, size, max_pixels=max_pixels)
    if any((plane.shape, plane.dtype) != (page.shape, page.dtype) for plane in series.pages):
        raise FileError("damaged TIFF (its planes differ in size or dtype)")
    if len(series.pages) == count and find_strips(page) is None:
        raise FileError("a page without the lengths of its strips (save it with another program first)")
    _check_places([*tiff.pages], size)


def is_single(tiff: Any) -> bool:
    """Return whether a file holds one image, thumbnails aside."""
    return len(tiff.series) == 1 or sum(not page.aspage().is_reduced for page in tiff.pages) == 1


def largest(series: list[Any]) -> Any:
    """Return the first series with the most values."""
    return max(series, key=lambda item: int(np.prod(item.shape, dtype=object)))


def count_planes(series: Any) -> int:
    """Count the planes of a series."""
    return int(np.prod(series.shape, dtype=object)) // int(np.prod(series.keyframe.shape, dtype=object))


def _declared_planes(xml: str) -> int:
    """The most planes that an image in OME-XML declares: an absurd number would fill the memory."""
    most = 0
    for pixels in re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", xml):
        sizes = re.findall(r"\bSize[ZCT]\s*=\s*[\"'](\d{1,18})", pixels)
        most = max(most, int(np.prod([int(size) for size in sizes], dtype=object)))
    counts = re.findall(r"\b(?:NumPlanes|PlaneCount)\s*=\s*[\"'](\d{1,18})", xml)
    return max(most, *map(int, counts)) if counts else most


def _check_places(pages: list[Any], size: int) -> None:
    """Refuse a page whose strips or tiles are missing or end beyond the file, before any work is done."""
    for page in pages:
        places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
        if not places or any(min(place) <= 0 or sum(place) > size for place in places):
            raise FileError(f"truncated or damaged TIFF (its pixels end beyond its {size} bytes)")


def shares_pixels(tiff: Any) -> bool:
    """Return whether strips or tiles of any pages overlap: none may then be replaced in place."""
    places = sorted(place for page in tiff.pages for place in zip(page.dataoffsets, page.databytecounts, strict=False))
    return any(start + count > following for (start, count), (following, _) in pairwise(places))


def name_axes(series: Any, axes: str | None) -> tuple[str, list[str]]:
    """Return the letters of the axes, from the file or the user, and a remark if the file does not say."""
    within = series.keyframe.axes
    if axes is not None:
        named = check_axes(axes, series.shape)
        if named[-len(within) :] != within:
            raise UsageError(f"`axes`: a plane of this TIFF is {within} ({axes!r}; the letters must end with that)")
        return named, []
    if len(set(series.axes)) == len(series.axes) and not set(series.axes) & set(GUESSED):
        return series.axes, []
    outside = "QTZ"[-(len(series.shape) - len(within)) :]
    if len(outside) + len(within) != len(series.shape):
        raise UsageError(f"too many axes without names (shape {series.shape}; `axes` names them)")
    return outside + within, [remark(outside + within, series.shape)]
