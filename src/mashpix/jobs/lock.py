"""Allow one run at a time in an output folder, and record which outputs a killed run had begun."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mashpix.errors import FileError
from mashpix.jobs.shard import Shard, of_shards

LOCK = ".mashpix.lock"
"""Its name in the output folder. It lists the outputs that were begun, one JSON line per image, and is removed when a
run has finished; the system releases the lock itself when the process ends, in whatever way."""


def lock_path(folder: Path, shard: Shard | None = None) -> Path:
    """Return where the lock file of a run is."""
    return folder / (LOCK if shard is None else shard.own(LOCK))


@contextlib.contextmanager
def lock_folder(folder: Path, shard: Shard | None = None) -> Iterator[Path]:
    """Lock the folder for this run; yield the path of the lock file.

    Shards of one count run beside each other, each with a lock file of its own.

    Raises
    ------
    FileError
        If another run has locked it, or it is not writable.
    """
    with contextlib.ExitStack() as locks:
        try:
            path = locks.enter_context(_locked(lock_path(folder), is_shared=shard is not None))
            if shard is not None:
                path = locks.enter_context(_locked(lock_path(folder, shard)))
                for other in of_shards(folder, LOCK, but_of=shard.count):
                    os.close(_open_locked(other))
        except BlockingIOError:
            raise FileError(
                f"another run is writing there ({str(folder)!r}; wait for it or name another folder)"
            ) from None
        except OSError as error:
            raise FileError(f"cannot write there ({str(folder)!r}; {error.strerror})") from None
        yield path


@contextlib.contextmanager
def _locked(path: Path, *, is_shared: bool = False) -> Iterator[Path]:
    """Lock a file; remove it at the end of a run that has finished, or if it is empty and nobody else has locked it."""
    handle = _open_locked(path, is_shared=is_shared)
    ended = False
    try:
        yield path
        ended = not is_shared
    finally:
        with contextlib.suppress(OSError):
            if ended or os.fstat(handle).st_size == 0:
                if is_shared:
                    _lock(handle)
                path.unlink()
        os.close(handle)


def _open_locked(path: Path, *, is_shared: bool = False) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle, is_shared=is_shared)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another run has ended and removed it meanwhile


def _lock(handle: int, *, is_shared: bool = False) -> None:
    """Lock an open file for this process, or raise `BlockingIOError`."""
    if sys.platform == "win32":
        import msvcrt

        own = os.getpid() % 2**16  # there are no shared locks: each process locks a byte, and a lone one all of them
        os.lseek(handle, 2**30 + own * is_shared, os.SEEK_SET)  # arbitrary bytes, never read
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1 if is_shared else 2**16)
        except OSError:
            raise BlockingIOError from None
    else:
        import fcntl

        fcntl.flock(handle, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
