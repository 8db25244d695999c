"""Any file, opened once: a stack of planes to read and to copy. A single image is a stack of one plane."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import WITHIN, Index
from mashpix.errors import FileError
from mashpix.files.folder import is_zarr
from mashpix.files.formats import check_writable, decode_image, format_of_file, read_bytes, write_image
from mashpix.files.hashing import hash_file, sha256
from mashpix.files.image_file import MAX_PIXELS, ImageFile, changed
from mashpix.files.stack_file import Put, Stack, check_axes_of_image, check_same_format, open_stack_of


@dataclass
class Copy:
    """A copy of a file in the making: call it to replace a plane.

    warnings : what could not be kept beyond `OpenFile.lost`, one line each; complete once the copy is written
    """

    put: Put
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    warnings: list[str] = field(default_factory=list)
    is_closed: bool = False

    def __call__(self, index: Index, plane: NDArray[Any]) -> None:
        """Replace the plane at an index, by one of the same shape and dtype.

        Raises
        ------
        FileError
            If the plane does not fit or cannot be written, or the copy is closed already.
        """
        if self.is_closed:
            raise FileError("the copy is closed")
        if reason := changed(plane, self.shape, self.dtype):
            raise FileError(reason)
        self.put(index, plane)

    @contextmanager
    def closing(self) -> Iterator[Self]:
        """The copy, which takes no more planes once the block has ended."""
        try:
            yield self
        finally:
            self.is_closed = True


class OpenFile(Protocol):
    """A file that is open: `opened[index]` reads one plane, with a number for each axis outside of it.

    path : where it is
    axes : one letter per axis as tifffile writes them: "TCYX", "YXS", "YX"
    shape, dtype : of all planes, alpha left out; native byte order
    is_rgb : True if the file says that its samples (axis S) are red, green and blue, False if it says that they are
        not or has none, None if nothing says what they are
    is_stack : False for a single image, axes "YX" or "YXS", which is in memory
    notes : remarks for the user, one line each
    lost : what no copy can keep, one line each; a copy's `warnings` add what turned out when it was written
    """

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def axes(self) -> str: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    @property
    def is_rgb(self) -> bool | None: ...  # noqa: D102
    @property
    def is_stack(self) -> bool: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def lost(self) -> tuple[str, ...]: ...  # noqa: D102

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """One plane, read-only. The plane that was read last is kept: reading it again costs nothing."""
        ...

    def sha256(self) -> str:
        """Hash of the file as it was read."""
        ...

    def check_target(self, target: Path, *, strict: bool) -> None:
        """Refuse a target that cannot hold the file, before any work is done; if `strict`, not all of it.

        Raises
        ------
        FileError
            Saying why. Whether the target may be replaced is the business of `check_output`.
        """
        ...

    def copy_to(self, target: Path, *, overwrite: bool, strict: bool = False) -> AbstractContextManager[Copy]:
        """A copy of the file whose planes can be replaced; it appears, complete, when the block ends without error.

        Raises
        ------
        FileError
            If the copy cannot be written, or exists and `overwrite` is False; if `strict`, also if part of the file
            cannot be kept.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_file(path: Path, *, axes: str | None = None, max_pixels: int = MAX_PIXELS, sparse: bool = False) -> OpenFile:
    """Open an image or a stack, whatever its format; its content, not its name, decides on that.

    Parameters
    ----------
    path : Path
        A file, or the folder of an OME-Zarr. That of a stack must stay as it is until the stack is closed.
    axes : str or None
        One letter per axis, as tifffile writes them; None takes what the file says, or guesses and notes it.
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
    stack = open_stack_of(kind, path, axes=axes, max_pixels=max_pixels, sparse=sparse)
    if stack is not None:
        return _OpenStack(path, stack)
    check_axes_of_image(kind, axes)
    data = read_bytes(path, max_pixels=max_pixels)
    image = decode_image(kind, data, max_pixels=max_pixels, suffix=path.suffix)
    if axes is not None and image.is_rgb is None:  # the caller says what the file does not
        image = replace(image, is_rgb=image.colours == 3)
    return _OpenImage(path, image, sha256(data))


class _Opened:
    """What images and stacks have in common."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class _OpenImage(_Opened):
    """A single image, which is in memory: a stack of one plane."""

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
    """A stack in a file, of which the plane that was read last is kept."""

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
        if strict and self.lost:
            raise FileError(f"not all of it can be kept ({'; '.join(self.lost)}; leave out `strict` to allow that)")

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
    """A view that cannot be written to: what is kept stays what the file holds."""
    view = plane.view()
    view.flags.writeable = False
    return view
