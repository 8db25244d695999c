"""Watch for files that arrive in a folder: each is reported once, when it is complete."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from mashpix.files import is_zarr
from mashpix.jobs.batch.items import Item, stamp_of


def watch(look: Callable[[], list[Item]], *, every: float, failed: set[str]) -> Iterator[Item | None]:
    """Yield an item once its file has not changed between two looks and can be opened; None in between, forever.

    Parameters
    ----------
    look : callable
        Finds the current items.
    every : float
        Seconds between two looks.
    failed : set of str
        Names of failed items: once its file has changed, an item is yielded again and its name removed.
    """
    last: dict[str, tuple[int, int]] = {}
    taken: dict[str, tuple[int, int]] = {}
    while True:
        next_look = time.monotonic() + every
        seen: dict[str, tuple[int, int]] = {}
        for item in look():
            known = taken.get(item.name)
            if known is not None and item.name not in failed:
                continue
            with suppress(OSError):  # gone again, or still open in the writing program
                stamp = seen[item.name] = stamp_of(item.source)
                if stamp == known or stamp != last.get(item.name) or not _is_open(item.source):
                    continue
                taken[item.name] = stamp
                failed.discard(item.name)
                yield item
        last = seen
        yield None
        while time.monotonic() < next_look:
            yield None


def _is_open(path: Path) -> bool:
    """Return whether a file can be opened; always true for a Zarr, which is a folder."""
    if path.is_file():
        path.open("rb").close()
        return True
    return is_zarr(path)
