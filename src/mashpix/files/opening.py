"""Open any file once, as a stack of planes to read and to copy. A single image is a stack of one plane."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index
from mashpix.errors import UsageError
from mashpix.files.animation import open_animation, open_gif
from mashpix.files.dicom.stack import open_dicom
from mashpix.files.fits.stack import open_fits
from mashpix.files.folder import is_zarr
from mashpix.files.formats import format_of_file
from mashpix.files.hashing import sha256
from mashpix.files.image_file import MAX_PIXELS, MAX_WHOLE, ImageFile
from mashpix.files.microscopes.stack import open_microscope
from mashpix.files.mrc import open_mrc
from mashpix.files.npy_stack import open_npy
from mashpix.files.ome_zarr.stack import open_zarr
from mashpix.files.opened import Copy, OpenFile, read_only
from mashpix.files.single_image import check_writable, decode_image, read_bytes, widen_image, write_image
from mashpix.files.tiff.stack import open_tiff


class Opener(Protocol):
    """Opens a file of one format as a stack; None if it holds a single image, which `read_image` reads."""

    def __call__(self, path: Path, *, axes: str | None, max_pixels: int) -> OpenFile | None: ...  # noqa: D102


STACKS: dict[str, Opener] = {
    "tiff": open_tiff, "npy": open_npy, "microscope": open_microscope, "fits": open_fits, "dicom": open_dicom,
    "mrc": open_mrc, "gif": open_gif, "animation": open_animation,
}  # fmt: skip
"""Formats of files that can hold a stack; those that also hold single images return None for one."""
BY_WINDOWS = {"npy": open_npy, "tiff": open_tiff}
"""Those of them whose single images can be read window by window."""
ANY_AXES = ("tiff", "npy")
"""Formats whose files do not say what all of their axes are."""


def open_file(
    path: Path,
    *,
    axes: str | None = None,
    max_pixels: int = MAX_PIXELS,
    max_whole: int = MAX_WHOLE,
    sparse: bool = False,
) -> OpenFile:
    """Open an image or a stack of any format; its content, not its name, determines the format.

    Parameters
    ----------
    path : Path
        A file, or the folder of an OME-Zarr. The file of a stack must not change until the stack is closed.
    axes : str or None
        One letter per axis, as tifffile writes them; None uses what the file says, or guesses and adds a note.
    max_pixels : int
        Largest width x height of a plane.
    max_whole : int
        Width x height from which a single image in TIFF or NPY is not read at once, but opened as a stack of one plane.
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
    if is_zarr(path):
        return open_zarr(path, axes=axes, max_pixels=max_pixels, sparse=sparse)
    kind = format_of_file(path)
    if kind in STACKS:
        opener = partial(BY_WINDOWS[kind], max_whole=max_whole) if kind in BY_WINDOWS else STACKS[kind]
        stack = opener(path, axes=axes, max_pixels=max_pixels)
        if stack is not None:
            return stack
    if axes is not None and kind not in ANY_AXES and set(axes.upper()) not in ({"Y", "X"}, {"Y", "X", "S"}):
        raise UsageError(f"`axes`: {kind.upper()} holds one image, YX or YXS ({axes!r}; leave it out)")
    data = read_bytes(path, max_pixels=max_pixels)
    image = decode_image(kind, data, max_pixels=max_pixels, suffix=path.suffix)
    if axes is not None and image.is_rgb is None:  # the caller says what the file does not
        image = replace(image, is_rgb=image.colours == 3)
    return _OpenImage(
        path=path,
        axes="YX" if image.pixels.ndim == 2 else "YXS",
        shape=image.pixels.shape,
        dtype=image.pixels.dtype,
        is_rgb=image.is_rgb,
        nodata=image.nodata,
        notes=image.notes,
        lost=image.losses,
        image=image,
        digest=sha256(data),
    )


@dataclass(kw_only=True)
class _OpenImage(OpenFile):
    """A single image in memory, as a stack of one plane."""

    image: ImageFile
    digest: str
    is_stack: ClassVar[bool] = False

    def __getitem__(self, index: Index) -> NDArray[Any]:
        return read_only(self.image.pixels[index])

    def sha256(self) -> str:
        return self.digest

    def _widen(self, dtype: np.dtype[Any]) -> OpenFile:
        image = widen_image(replace(self.image, nodata=self.nodata), dtype)
        return replace(self, dtype=dtype, image=image, notes=image.notes, nodata=image.nodata)

    def check_target(self, target: Path, *, strict: bool) -> list[str]:
        return [line for line in check_writable(self.image, target, strict=strict) if line not in self.lost]

    @contextmanager
    def copy_to(self, target: Path, *, overwrite: bool, strict: bool = False) -> Iterator[Copy]:
        planes = [self.image.pixels]
        with Copy(lambda _, plane: planes.__setitem__(0, np.asarray(plane)), self.shape, self.dtype).closing() as copy:
            yield copy
        result = replace(self.image, pixels=planes.pop())
        warnings = write_image(target, result, overwrite=overwrite, strict=strict)
        copy.warnings += [warning for warning in warnings if warning not in self.lost]
