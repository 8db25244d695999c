"""The chain of directories of a TIFF, checked before any library follows it: crafted chains hang readers for ever."""

import struct
from mmap import mmap

from mashpix.errors import FileError

MOST_DIRECTORIES = 65_535


def check_chain(data: bytes | mmap) -> int:
    """Follow the directories of a TIFF: each inside the file, none twice. Returns how many there are.

    Raises
    ------
    FileError
        For a chain that leaves the file, runs in a circle or does not end.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    number, count, count_size, entry_size = ("Q", "Q", 8, 20) if big else ("L", "H", 2, 12)
    place = _unpack(data, order + number, 8 if big else 4)
    seen: set[int] = set()
    while place:
        if place in seen:
            raise FileError("damaged TIFF (its directories run in a circle)")
        if len(seen) == MOST_DIRECTORIES:
            raise FileError(f"damaged TIFF (more than {MOST_DIRECTORIES} directories)")
        seen.add(place)
        entries = _unpack(data, order + count, place)
        place = _unpack(data, order + number, place + count_size + entries * entry_size)
    if not seen:
        raise FileError("damaged TIFF (it holds no picture)")
    return len(seen)


def _unpack(data: bytes | mmap, layout: str, place: int) -> int:
    """One number of the file."""
    try:
        value: int = struct.unpack_from(layout, data, place)[0]
    except (struct.error, OverflowError):
        raise FileError(f"truncated or damaged TIFF (a directory lies beyond its {len(data)} bytes)") from None
    return value
