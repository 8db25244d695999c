"""Zarrs as folders of files: recognise them, and list and copy their files; links are refused."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from mashpix.errors import FileError

ENDING = ".zarr"
"""Name endings of such folders."""
METADATA = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
"""Files of which every group or array has at least one: format 3, format 2."""


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a Zarr, by its name or its content."""
    return os.path.isdir(path) and (path.suffix.lower() == ENDING or any((path / name).is_file() for name in METADATA))


def walk_files(root: Path) -> Iterator[Path]:
    """List all files below a folder, as paths below it, in sorted order.

    Raises
    ------
    FileError
        For a link, a pipe or a device: their targets are not part of the folder.
    """

    def refuse(error: OSError) -> None:
        raise FileError(f"cannot be read ({error.filename!r}; {error.strerror})")

    for place, folders, names in os.walk(root, onerror=refuse):
        folders.sort()
        for path in (Path(place, name) for name in [*folders, *sorted(names)]):
            mode, below = path.lstat().st_mode, path.relative_to(root)
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise FileError(f"holds a link or a device ({below.as_posix()!r}; a folder of plain files is needed)")
            if stat.S_ISREG(mode):
                yield below


def copy_files(source: Path, target: Path) -> None:
    """Copy all files and empty folders of one folder into another, empty one."""
    for place, folders, _ in os.walk(source):
        for folder in folders:
            (target / Path(place, folder).relative_to(source)).mkdir()
    for name in walk_files(source):
        shutil.copyfile(source / name, target / name)
