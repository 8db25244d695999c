"""A stack of planes in a file: opened, not loaded; planes are read one by one and put into a copy of the file."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index
from mashpix.errors import FileError, UsageError
from mashpix.files import npy_stack
from mashpix.files.folder import ENDING, is_zarr
from mashpix.files.formats import format_of_file, output_suffix
from mashpix.files.image_file import MAX_PIXELS
from mashpix.files.microscopes import stack as bio_stack
from mashpix.files.ome_zarr import open_zarr
from mashpix.files.tiff import stack as tiff_stack

Put = Callable[[Index, NDArray[Any]], None]
"""Puts a new plane where `stack[index]` is."""


class Stack(Protocol):
    """What a stack in a file offers: `stack[index]` reads one plane, with a number for each axis outside of it.

    axes : letters as tifffile writes them
    shape, dtype : of the stack, alpha left out
    is_rgb : whether the samples of a plane are red, green and blue; None if nothing says what they are
    notes : remarks for the user, one line each
    lost : what a copy cannot keep, one line each
    """

    @property
    def axes(self) -> str: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    @property
    def is_rgb(self) -> bool | None: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def lost(self) -> tuple[str, ...]: ...  # noqa: D102

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """One plane, native byte order."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...

    def copy_to(self, target: Path, *, overwrite: bool) -> AbstractContextManager[Put]:
        """A copy of the file whose planes can be replaced; it gets its name when the block ends without an error."""
        ...


def open_stack(
    path: Path, *, axes: str | None = None, max_pixels: int = MAX_PIXELS, sparse: bool = False
) -> Stack | None:
    """Open what holds several planes, or one in several sizes: TIFF, NPY, a microscope's file, an OME-Zarr folder.

    Parameters
    ----------
    path : Path
        The file, or folder; it must stay as it is while the stack is read.
    axes : str or None
        One letter for each axis, as tifffile writes them; None takes what the file says, or guesses and says so.
    max_pixels : int
        Largest width x height of a plane.
    sparse : bool
        Whether chunks of a Zarr may be missing: they are taken for its fill value, and stay missing.

    Returns
    -------
    Stack or None
        None for a single picture, which `read_image` reads.

    Raises
    ------
    FileError
        In one line, for anything that cannot be read.
    UsageError
        For axes that do not fit.
    ExtraError
        For a Zarr where the extra `zarr` is not installed.
    """
    kind = "zarr" if is_zarr(path) else format_of_file(path)
    stack = open_stack_of(kind, path, axes=axes, max_pixels=max_pixels, sparse=sparse)
    if stack is None:
        check_axes_of_image(kind, axes)
    return stack


def open_stack_of(kind: str, path: Path, *, axes: str | None, max_pixels: int, sparse: bool) -> Stack | None:
    """Open a file of a known format, "zarr" for a folder, as `open_stack` does."""
    if kind == "zarr":
        return open_zarr(path, axes=axes, max_pixels=max_pixels, sparse=sparse)
    if kind == "tiff":
        return tiff_stack.open_tiff(path, axes=axes, max_pixels=max_pixels)
    if kind == "npy":
        return npy_stack.open_npy(path, axes=axes, max_pixels=max_pixels)
    if kind == "bio":
        return bio_stack.open_bio(path, axes=axes, max_pixels=max_pixels)
    return None


def check_axes_of_image(kind: str, axes: str | None) -> None:
    """Refuse axes that the caller names for a format of single images."""
    if kind in ("tiff", "npy"):
        return
    if axes is not None and set(axes.upper()) not in ({"Y", "X"}, {"Y", "X", "S"}):
        raise UsageError(f"--axes: {kind.upper()} holds one picture, YX or YXS ({axes!r}; leave it out)")


def check_same_format(source: Path, target: Path) -> None:
    """Refuse a target of another format: what a stack's file says of it would be lost."""
    if is_zarr(source) and target.suffix.lower() == ENDING:
        return
    needed = Path(f"stack{output_suffix(source.suffix)}").suffix
    endings = {ending.lower().replace(".tiff", ".tif") for ending in (needed, target.suffix)}
    if target.suffix and len(endings) > 1:
        raise FileError(f"a stack keeps its format ({target.suffix!r}; {needed!r} needed)")
