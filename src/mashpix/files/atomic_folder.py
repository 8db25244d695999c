"""Write a folder completely or not at all, whatever ends the process, as `atomic` writes a file."""

import contextlib
import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from mashpix.errors import FileError
from mashpix.files.atomic import MARK, errors_in_one_line, in_work, remove_stale, sync_folder, temporary_name
from mashpix.files.folder import is_zarr, walk_files

OLD_MARK = "mashpix-old"
"""Temporary ending of a replaced folder's name, if the system cannot swap two names in one step."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Constants of Linux's renameat2; macOS calls the latter RENAME_SWAP."""


@contextlib.contextmanager
def atomic_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Create an empty folder, which gets its name when it is complete: until then it is temporary, beside the target.

    Whatever ends the process, the target is absent, or the old folder, or the new one, if the system can swap two
    names (Linux, macOS). Elsewhere the old one has the ending `OLD_MARK` for the moment between two steps.

    Raises
    ------
    FileError
        If it cannot be written, or exists and `overwrite` is False.
    """
    with errors_in_one_line(path):
        target = find_zarr_place(path)
        remove_stale(target)
        temporary = temporary_name(target)
        temporary.mkdir()
        with in_work(temporary):  # at the end it is the old folder, if two were swapped
            yield temporary
            _sync(temporary)
            _move(temporary, target, overwrite=overwrite)
        sync_folder(target.parent)


def find_zarr_place(path: Path) -> Path:
    """Resolve the links of a path; refuse anything there but a Zarr."""
    place = Path(os.path.realpath(path))
    if os.path.lexists(place) and not is_zarr(place):
        raise FileError(f"the output exists and is not a Zarr ({str(path)!r}; name another folder)")
    return place


def _sync(folder: Path) -> None:
    """Make all files and names in a folder durable: in one call if the system can (Linux), since they may be many."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "syncfs"):
        handle = os.open(folder, os.O_RDONLY)
        try:
            if libc.syncfs(handle) == 0:
                return
        finally:
            os.close(handle)
    for name in walk_files(folder):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())
    for place, _, _ in os.walk(folder):
        sync_folder(Path(place))


def _move(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Give the finished folder its name; the folder that had it gets the temporary name, or is removed."""
    if not os.path.lexists(target):
        os.rename(temporary, target)
    elif not overwrite:
        raise FileExistsError
    elif not _swap(temporary, target):
        aside = target.with_name(temporary.name.removesuffix(MARK) + OLD_MARK)
        os.rename(target, aside)
        try:
            os.rename(temporary, target)
        except OSError:
            os.rename(aside, target)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _swap(one: Path, other: Path) -> bool:
    """Swap two names in one step; return False if the system or the file system cannot."""
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            return bool(ctypes.CDLL(None).renamex_np(*names, RENAME_EXCHANGE) == 0)
        renameat2 = ctypes.CDLL(None).renameat2
        return bool(renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)
    except (AttributeError, OSError, TypeError):  # a system without such a function
        return False
