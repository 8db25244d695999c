"""A file through the same door as `mashpix denoise`, and out again: every plane read, and mirrored in a copy."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError, UsageError
from mashpix.files import open_file, read_image
from zarr_kinds import planes_of

MOST_PIXELS = 2**24
"""Largest image that is read, as --max-pixels would say."""


def read_pixels(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """All pixels of a file, planes one behind another, and the alpha of a single image."""
    with open_file(path, max_pixels=MOST_PIXELS) as opened:
        if opened.is_stack:
            return np.stack([opened[index] for index in planes_of(opened)]), None
    image = read_image(path, max_pixels=MOST_PIXELS)
    return image.pixels, image.alpha


def pass_through(source: Path, target: Path) -> tuple[str, str]:
    """One of "refused", "survived" and "wrong", and why; whatever else is raised is a crash."""
    planes = []
    try:
        with open_file(source, max_pixels=MOST_PIXELS) as opened, opened.copy_to(target, overwrite=True) as copy:
            for index in planes_of(opened):
                planes.append(np.ascontiguousarray(opened[index][::-1]))
                copy(index, planes[-1])
            mirrored = np.stack(planes) if opened.is_stack else planes[0]
    except (FileError, UsageError) as error:
        return ("refused", str(error)) if "\n" not in str(error) else ("wrong", f"more than one line: {error!r}")
    back = read_pixels(target)[0]
    if (back.shape, back.dtype) != (mirrored.shape, mirrored.dtype):
        return "wrong", f"{back.dtype} {back.shape} written for {mirrored.dtype} {mirrored.shape}"
    if back.tobytes() != mirrored.tobytes() and (opened.is_stack or not is_lossy(target)):
        return "wrong", "other pixels than those that were written"
    return "survived", ""


def is_lossy(path: Path) -> bool:
    """Whether a file may hold other pixels than were written."""
    image = read_image(path, max_pixels=MOST_PIXELS)
    says_so = any("lossy" in note for note in image.notes)
    return image.format == "jpeg" or says_so or (image.format == "webp" and not image.template.is_lossless)
