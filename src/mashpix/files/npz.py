"""NPZ, a ZIP of NPY files: the first image is replaced, all others are kept; pickles are never read."""

import copy
import zipfile
from dataclasses import replace
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from mashpix.errors import FileError
from mashpix.files import npy
from mashpix.files.image_file import Format, ImageFile, largest_file

MAGIC = b"PK\x03\x04"
MAX_MEMBERS = 1024


class NpzTemplate(NamedTuple):
    """The old archive, the name of the member that is the image, and the template of that image."""

    data: bytes
    member: str
    inner: npy.NpyTemplate | None


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Read the first array that is an image."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
        _check_members(members, len(data), max_pixels=max_pixels)
        arrays = [item.filename for item in members if item.filename.endswith(".npy")]
        refused: list[FileError] = []
        for name in arrays:
            try:
                image = npy.read(archive.read(name), max_pixels=max_pixels)
            except FileError as error:
                refused.append(error)
                continue
            notes, inner = image.notes, npy.NPY.template_of(image)
            if len(members) > 1:
                which = f"{name.removesuffix('.npy')!r} is denoised, the others stay as they were"
                notes = (f"holds {len(members)} members: {which}", *notes)
            template = NpzTemplate(data, name, inner)
            return replace(image, format="npz", template=template, notes=notes)
    if len(refused) == 1:
        raise refused[0]
    raise FileError(f"no image among its {len(members)} members (an array (H, W) or (H, W, C) needed)")


def _check_members(members: list[zipfile.ZipInfo], size: int, *, max_pixels: int) -> None:
    """Refuse an archive by what it declares, before anything is unpacked."""
    if len(members) > MAX_MEMBERS:
        raise FileError(f"too many members ({len(members)}; at most {MAX_MEMBERS})")
    if len({item.filename for item in members}) < len(members):
        raise FileError("damaged NPZ (two members have one name)")
    declared, most = sum(item.file_size for item in members), largest_file(max_pixels)
    if declared > most:
        raise FileError(f"too large ({declared} bytes unpacked; at most {most}, `max_pixels` allows more)")
    if sum(item.compress_size for item in members) > size:
        raise FileError("damaged NPZ (its members overlap or leave the file)")


def cannot_hold(image: ImageFile, old: NpzTemplate | None) -> str | None:
    """Return why an image cannot be written as NPZ, or None."""
    return npy.cannot_hold(image, old.inner if old else None)


def encode(image: ImageFile, old: NpzTemplate | None) -> tuple[bytes, list[str]]:
    """Return the bytes of the file, and what could not be kept."""
    packed, lost = npy.encode(image, old.inner if old else None)
    file = BytesIO()
    if old is None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(zipfile.ZipInfo("arr_0.npy"), packed)  # a fixed date: the same bytes every time
        return file.getvalue(), lost
    with zipfile.ZipFile(BytesIO(old.data)) as before, zipfile.ZipFile(file, "w") as after:
        after.comment = before.comment
        for item in before.infolist():
            content = packed if item.filename == old.member else before.read(item)
            after.writestr(copy.copy(item), content)
    return file.getvalue(), lost


def widen(old: NpzTemplate, dtype: np.dtype[Any]) -> NpzTemplate:
    """Return the template for an array of another dtype."""
    return old._replace(inner=old.inner and npy.widen(old.inner, dtype))


NPZ = Format((MAGIC,), NpzTemplate, read, cannot_hold, encode, widen=widen)
