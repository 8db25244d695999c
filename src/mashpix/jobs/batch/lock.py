"""Allow one run at a time in an output folder, and record which outputs a killed run had begun."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mashpix.errors import FileError

LOCK = ".mashpix.lock"
"""Its name in the output folder. It lists the outputs that were begun, one JSON line per image, and is removed when a
run has finished; the system releases the lock itself when the process ends, in whatever way."""


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[Path]:
    """Lock the folder for this run; yield the path of the lock file.

    Raises
    ------
    FileError
        If another run has locked it, or it is not writable.
    """
    path = folder / LOCK
    try:
        handle = _open_locked(path)
    except BlockingIOError:
        raise FileError(f"another run is writing there ({str(folder)!r}; wait for it or name another folder)") from None
    except OSError as error:
        raise FileError(f"cannot write there ({str(folder)!r}; {error.strerror})") from None
    ended = False
    try:
        yield path
        ended = True
    finally:
        if ended or os.fstat(handle).st_size == 0:
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(handle)


def _open_locked(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another run has ended and removed it meanwhile


def _lock(handle: int) -> None:
    """Lock an open file for this process, or raise `BlockingIOError`."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, 2**30, os.SEEK_SET)  # an arbitrary byte, never read
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
