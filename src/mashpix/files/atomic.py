"""Write a file completely or not at all, whatever ends the process."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from mashpix.errors import FileError

MARK = "mashpix-tmp"
"""How the names of temporary files end: `.<start of the target's name>.<random>.mashpix-tmp`."""
LONGEST_NAME = 255
"""Largest length in bytes of a name on common file systems."""
STALE_AFTER = 3600.0
"""Age in seconds from which a temporary file or folder beside a target is assumed to be left by a killed run."""

_in_work: set[Path] = set()
"""Temporary files and folders of this process."""


def atomic_write(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Write a file in one step: `atomic_file` for bytes that are there already; it raises the same errors."""
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(data)


@contextlib.contextmanager
def atomic_file(path: Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a new file, which gets its name when it is complete: until then, it is a temporary file beside the target.

    Whatever ends the process, the target is absent, or the old file, or the new one. A symbolic link is followed; the
    permissions of a file that is replaced are kept; the temporary file is removed on every error.

    Raises
    ------
    FileError
        If it cannot be written, or exists and `overwrite` is False.
    """
    with errors_in_one_line(path):
        target = find_place(path)
        remove_stale(target)
        handle, temporary = create_temporary(target)
        with in_work(temporary):
            with os.fdopen(handle, "w+b") as file:
                if overwrite and target.exists():
                    os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
                yield file
                file.flush()
                os.fsync(file.fileno())
            _move(temporary, target, overwrite=overwrite)
        sync_folder(target.parent)


@contextlib.contextmanager
def in_work(temporary: Path) -> Iterator[None]:
    """Remove a temporary file or folder, if it still exists, when the block ends in any way."""
    _in_work.add(temporary)
    try:
        yield
    finally:
        remove(temporary, ignore_errors=True)
        _in_work.discard(temporary)


def remove_all_in_work() -> None:
    """Remove all temporary files and folders of this process, which ends without waiting for their writers."""
    for temporary in list(_in_work):
        with contextlib.suppress(OSError):
            remove(temporary, ignore_errors=True)


@contextlib.contextmanager
def errors_in_one_line(path: Path) -> Iterator[None]:
    """Convert the system's errors about an output to a `FileError`."""
    try:
        yield
    except FileExistsError:
        raise FileError(f"the output exists ({str(path)!r}; `overwrite` replaces it)") from None
    except OSError as error:
        raise FileError(f"cannot be written ({str(path)!r}; {error.strerror})") from None


def find_place(path: Path) -> Path:
    """Resolve the links of a path; refuse anything there but a file (a folder, a device)."""
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise FileError(f"the output is a folder ({str(path)!r}; name a file in it)")
    if os.path.lexists(place) and not place.is_file():
        raise FileError(f"the output is a device, a pipe or a link to itself ({str(path)!r}; name a file)")
    return place


def _move(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Give the finished file its name."""
    if not overwrite:
        try:
            os.link(temporary, target)  # fails if another run has created the target meanwhile
            return
        except FileExistsError:
            raise
        except OSError:  # FAT and some network folders have no hard links: check first, then rename
            if os.path.lexists(target):
                raise FileExistsError from None
    os.replace(temporary, target)


def create_temporary(target: Path) -> tuple[int, Path]:
    """Open a new file beside the target, with the permissions that any new file gets."""
    temporary = temporary_name(target)
    return os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), temporary


def temporary_name(target: Path) -> Path:
    """Return a new name beside the target."""
    return target.with_name(_start_of(target) + f"{token_hex(8)}.{MARK}")


def _start_of(target: Path) -> str:
    """Return the start of the names of all temporary files of a target."""
    longest = LONGEST_NAME - len(f"..{token_hex(8)}.{MARK}")
    return f".{os.fsdecode(os.fsencode(target.name)[:longest])}."


def remove_stale(target: Path, *, older_than: float = STALE_AFTER) -> None:
    """Remove temporary files and folders of this target that are older than some seconds, as far as possible."""
    pattern = re.compile(rf"{re.escape(_start_of(target))}[0-9a-f]{{16}}\.{MARK}", re.DOTALL)
    with contextlib.suppress(OSError):
        for entry in os.scandir(target.parent):
            if pattern.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime >= older_than:
                        remove(Path(entry.path))


def remove(path: Path, *, ignore_errors: bool = False) -> None:
    """Remove a file, or a folder with its content, or as much of the content as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=ignore_errors)
    else:
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the new name durable, if the system can synchronise a folder; the file is complete either way."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
