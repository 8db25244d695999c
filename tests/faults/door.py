"""A file through the same door as `mashpix denoise`, and out again: every plane read, and mirrored in a copy."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import plane_groups
from mashpix.errors import FileError, UsageError
from mashpix.files import Stack, open_stack, read_image, write_image

MOST_PIXELS = 2**24
"""Largest picture that is read, as --max-pixels would say."""


def read_all(path: Path) -> NDArray[Any]:
    """All pixels of a file without alpha, planes one behind another."""
    stack = open_stack(path, max_pixels=MOST_PIXELS)
    if stack is None:
        return read_image(path, max_pixels=MOST_PIXELS).pixels
    with closing(stack):
        return np.stack([stack[index] for index in _indices(stack)])


def pass_through(source: Path, target: Path) -> tuple[str, str]:
    """One of "refused", "survived" and "wrong", and why; whatever else is raised is a crash."""
    try:
        stack = open_stack(source, max_pixels=MOST_PIXELS)
        if stack is None:
            image = read_image(source, max_pixels=MOST_PIXELS)
            mirrored = np.ascontiguousarray(image.pixels[::-1])
            write_image(target, replace(image, pixels=mirrored), overwrite=True)
            is_lossy = image.format == "jpeg" or (image.format == "webp" and not image.container.is_lossless)
        else:
            mirrored, is_lossy = _mirror(stack, target), False
    except (FileError, UsageError) as error:
        return ("refused", str(error)) if "\n" not in str(error) else ("wrong", f"more than one line: {error!r}")
    back = read_all(target)
    if (back.shape, back.dtype) != (mirrored.shape, mirrored.dtype):
        return "wrong", f"{back.dtype} {back.shape} written for {mirrored.dtype} {mirrored.shape}"
    if not is_lossy and back.tobytes() != mirrored.tobytes():
        return "wrong", "other pixels than those that were written"
    return "survived", ""


def _mirror(stack: Stack, target: Path) -> NDArray[Any]:
    """Write a copy whose planes are mirrored; what should be in it."""
    planes = []
    with closing(stack), stack.copy_to(target, overwrite=True) as put:
        for index in _indices(stack):
            planes.append(np.ascontiguousarray(stack[index][::-1]))
            put(index, planes[-1])
    return np.stack(planes)


def _indices(stack: Stack) -> list[Any]:
    return [index for group in plane_groups(stack.axes, stack.shape, joint=False) for (index,) in group]
