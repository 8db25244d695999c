"""One way to write a folder: whole or not at all, whatever ends the process; as `atomic` writes a file."""

import contextlib
import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from mashpix.errors import FileError
from mashpix.files.atomic import MARK, errors_in_one_line, remove_stale, sync_folder, temporary_name
from mashpix.files.folder import is_zarr, walk_files

OLD_MARK = "mashpix-old"
"""How the name of a folder that is replaced ends for a moment, where the system cannot swap two names in one step."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of Linux's renameat2; macOS calls the latter RENAME_SWAP."""


def check_folder(source: Path, target: Path, *, overwrite: bool, in_place: bool = False) -> None:
    """Refuse a target folder that cannot or must not be written, before any work is done.

    Parameters and errors are those of `check_output`. What is replaced must be a Zarr: no other folder is removed.
    """
    try:
        place, origin = _find_place(target), Path(os.path.realpath(source))
        if place == origin:
            if not in_place:
                raise FileError(f"the output is the input itself ({str(target)!r}; `in_place` allows that)")
        elif place.is_relative_to(origin) or origin.is_relative_to(place):
            raise FileError(f"the output and the input lie in each other ({str(target)!r}; name another folder)")
        elif not overwrite and os.path.lexists(target):
            raise FileError(f"the output exists ({str(target)!r}; `overwrite` replaces it)")
        temporary = temporary_name(place)
        temporary.mkdir()
        temporary.rmdir()
    except OSError as error:
        raise FileError(f"cannot write there ({str(target)!r}; {error.strerror})") from None


@contextlib.contextmanager
def atomic_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """An empty folder to fill, which gets its name when all is written: a temporary folder beside it until then.

    Whatever ends the process, the target is absent, the old folder or the new one, where the system can swap two
    names (Linux, macOS). Elsewhere the old one has the ending `OLD_MARK` for the moment between two steps.

    Raises
    ------
    FileError
        If it cannot be written, or exists and `overwrite` is False.
    """
    with errors_in_one_line(path):
        target = _find_place(path)
        remove_stale(target)
        temporary = temporary_name(target)
        temporary.mkdir()
        try:
            yield temporary
            _sync(temporary)
            _move(temporary, target, overwrite=overwrite)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)  # the old folder, if two were swapped
        sync_folder(target.parent)


def _find_place(path: Path) -> Path:
    """Where a path leads, links followed; what is there and is no Zarr is refused."""
    place = Path(os.path.realpath(path))
    if os.path.lexists(place) and not is_zarr(place):
        raise FileError(f"the output is there and no Zarr ({str(path)!r}; name another folder)")
    return place


def _sync(folder: Path) -> None:
    """Make all files and names in a folder durable: at once where the system can (Linux), since they may be many."""
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
    """Give the finished folder its name; what had that name gets the temporary one, or is removed."""
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
    """Swap two names in one step; False where the system or the file system cannot."""
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            return bool(ctypes.CDLL(None).renamex_np(*names, RENAME_EXCHANGE) == 0)
        renameat2 = ctypes.CDLL(None).renameat2
        return bool(renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)
    except (AttributeError, OSError, TypeError):  # no such function there
        return False
