"""A Zarr as a folder of files: which folders are Zarrs, and the files in them; links are refused."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from mashpix.errors import FileError

ENDING = ".zarr"
"""How the names of such folders end."""
METADATA = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
"""Files of which a folder holds at least one where it is a group or an array: format 3, format 2."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr, by its name or its content."""
    return os.path.isdir(path) and (path.suffix.lower() == ENDING or any((path / name).is_file() for name in METADATA))


def walk_files(root: Path) -> Iterator[Path]:
    """All files below a folder, as paths below it, in sorted order.

    Raises
    ------
    FileError
        For a link, a pipe or a device: what they lead to is not part of the folder.
    """

    def refuse(error: OSError) -> None:
        raise FileError(f"cannot be read ({error.filename!r}; {error.strerror})")

    for place, folders, names in os.walk(root, onerror=refuse):
        folders.sort()
        for name in folders:
            if Path(place, name).is_symlink():
                _refuse(Path(place, name), root)
        for name in sorted(names):
            path = Path(place, name)
            if not stat.S_ISREG(path.lstat().st_mode):
                _refuse(path, root)
            yield path.relative_to(root)


def _refuse(path: Path, root: Path) -> None:
    name = path.relative_to(root).as_posix()
    raise FileError(f"holds a link or a device ({name!r}; a folder of plain files is needed)")


def copy_files(source: Path, target: Path) -> None:
    """Copy all files, and folders that hold none, of one folder into another that is empty."""
    for name in walk_files(source):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    for place, folders, _ in os.walk(source):
        for folder in folders:
            (target / Path(place, folder).relative_to(source)).mkdir(parents=True, exist_ok=True)
