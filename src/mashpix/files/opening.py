"""Open any file once, as a stack of planes to read and to copy. A single image is a stack of one plane."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import WITHIN, Index
from mashpix.errors import FileError, UsageError
from mashpix.files.folder import ENDING, is_zarr
from mashpix.files.formats import (
    check_kept,
    check_writable,
    decode_image,
    format_of_file,
    output_suffix,
    read_bytes,
    write_image,
)
from mashpix.files.hashing import hash_file, sha256
from mashpix.files.image_file import MAX_PIXELS, ImageFile
from mashpix.files.microscopes.stack import open_microscope
from mashpix.files.npy_stack import open_npy
from mashpix.files.ome_zarr import open_zarr
from mashpix.files.protocols import Copy, OpenFile, Stack
from mashpix.files.tiff.stack import open_tiff


def open_file(path: Path, *, axes: str | None = None, max_pixels: int = MAX_PIXELS, sparse: bool = False) -> OpenFile:
    """Open an image or a stack of any format; its content, not its name, determines the format.

    Parameters
    ----------
    path : Path
        A file, or the folder of an OME-Zarr. The file of a stack must not change until the stack is closed.
    axes : str or None
        One letter per axis, as tifffile writes them; None uses what the file says, or guesses and adds a note.
    max_pixels : int
        Largest width x height of a plane.
    sparse : bool
        Whether chunks of a Zarr may be missing: they are read as its fill value, and stay missing in a copy.

    Raises
    ------
    FileError
        In one line, for anything that cannot be read.
    UsageError
        For axes that do not fit.
    ExtraError
        For a format whose library is not installed.

    Examples
    --------
    >>> with open_file(Path("cells.tif")) as opened, opened.copy_to(Path("clean.tif"), overwrite=False) as copy:
    ...     for planes in plane_groups(opened.axes, opened.shape, joint=False)[0]:  # doctest: +SKIP
    ...         copy(planes[0], process(opened[planes[0]]))
    """
    kind = "zarr" if is_zarr(path) else format_of_file(path)
    stack = _open_stack(kind, path, axes=axes, max_pixels=max_pixels, sparse=sparse)
    if stack is not None:
        return _OpenStack(path, stack)
    _check_axes_of_image(kind, axes)
    data = read_bytes(path, max_pixels=max_pixels)
    image = decode_image(kind, data, max_pixels=max_pixels, suffix=path.suffix)
    if axes is not None and image.is_rgb is None:  # the caller says what the file does not
        image = replace(image, is_rgb=image.colours == 3)
    return _OpenImage(path, image, sha256(data))


def _open_stack(kind: str, path: Path, *, axes: str | None, max_pixels: int, sparse: bool) -> Stack | None:
    """Open a file of a known format, "zarr" for a folder, as a stack; None if it holds a single image."""
    if kind == "zarr":
        return open_zarr(path, axes=axes, max_pixels=max_pixels, sparse=sparse)
    if kind == "tiff":
        return open_tiff(path, axes=axes, max_pixels=max_pixels)
    if kind == "npy":
        return open_npy(path, axes=axes, max_pixels=max_pixels)
    if kind == "microscope":
        return open_microscope(path, axes=axes, max_pixels=max_pixels)
    return None


def _check_axes_of_image(kind: str, axes: str | None) -> None:
    """Refuse axes for formats that hold single images only."""
    if kind in ("tiff", "npy"):
        return
    if axes is not None and set(axes.upper()) not in ({"Y", "X"}, {"Y", "X", "S"}):
        raise UsageError(f"`axes`: {kind.upper()} holds one image, YX or YXS ({axes!r}; leave it out)")


def check_same_format(source: Path, target: Path) -> None:
    """Refuse a target of another format, which would lose the metadata of a stack."""
    if is_zarr(source) and target.suffix.lower() == ENDING:
        return
    needed = Path(f"stack{output_suffix(source.suffix)}").suffix
    endings = {ending.lower().replace(".tiff", ".tif") for ending in (needed, target.suffix)}
    if target.suffix and len(endings) > 1:
        raise FileError(f"a stack keeps its format ({target.suffix!r}; {needed!r} needed)")


class _Opened:
    """The common part of images and stacks."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class _OpenImage(_Opened):
    """A single image in memory, as a stack of one plane."""

    path: Path
    image: ImageFile
    digest: str
    is_stack: bool = False

    @property
    def axes(self) -> str:
        return "YX" if self.image.pixels.ndim == 2 else "YXS"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image.pixels.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.image.pixels.dtype

    @property
    def is_rgb(self) -> bool | None:
        return self.image.is_rgb

    @property
    def notes(self) -> tuple[str, ...]:
        return self.image.notes

    @property
    def lost(self) -> tuple[str, ...]:
        return self.image.losses

    def __getitem__(self, index: Index) -> NDArray[Any]:
        return _read_only(self.image.pixels[index])

    def sha256(self) -> str:
        return self.digest

    def check_target(self, target: Path, *, strict: bool) -> None:
        check_writable(self.image, target, strict=strict)

    @contextmanager
    def copy_to(self, target: Path, *, overwrite: bool, strict: bool = False) -> Iterator[Copy]:
        planes = [self.image.pixels]
        with Copy(lambda _, plane: planes.__setitem__(0, plane), self.shape, self.dtype).closing() as copy:
            yield copy
        result = replace(self.image, pixels=planes.pop())
        warnings = write_image(target, result, overwrite=overwrite, strict=strict)
        copy.warnings += [warning for warning in warnings if warning not in self.lost]


@dataclass
class _OpenStack(_Opened):
    """A stack in a file; the plane that was read last is kept."""

    path: Path
    stack: Stack
    is_stack: bool = True
    kept: tuple[Index, NDArray[Any]] | None = None

    @property
    def axes(self) -> str:
        return self.stack.axes

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stack.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.stack.dtype

    @property
    def is_rgb(self) -> bool | None:
        return self.stack.is_rgb

    @property
    def notes(self) -> tuple[str, ...]:
        return self.stack.notes

    @property
    def lost(self) -> tuple[str, ...]:
        return self.stack.lost

    def __getitem__(self, index: Index) -> NDArray[Any]:
        if self.kept is None or self.kept[0] != index:
            self.kept = None  # so that two planes are never held at once
            self.kept = index, _read_only(self.stack[index])
        return self.kept[1]

    def sha256(self) -> str:
        return hash_file(self.path)

    def check_target(self, target: Path, *, strict: bool) -> None:
        check_same_format(self.path, target)
        if strict:
            check_kept(self.lost)

    @contextmanager
    def copy_to(self, target: Path, *, overwrite: bool, strict: bool = False) -> Iterator[Copy]:
        self.check_target(target, strict=strict)
        within = tuple(length for letter, length in zip(self.axes, self.shape, strict=True) if letter in WITHIN)
        with (
            self.stack.copy_to(target, overwrite=overwrite) as put,
            Copy(put, within, self.dtype).closing() as copy,
        ):
            yield copy

    def close(self) -> None:
        self.kept = None
        self.stack.close()


def _read_only(plane: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that a kept plane stays as in the file."""
    view = plane.view()
    view.flags.writeable = False
    return view
