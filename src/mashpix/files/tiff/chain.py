"""Check the chain of directories of a TIFF before any library follows it: crafted chains hang readers forever."""

import struct
from collections.abc import Iterator
from mmap import mmap
from typing import Any

from mashpix.errors import FileError

MAX_DIRECTORIES = 65_535
VALUE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value of each type of a tag (TIFF 6.0, section 2; BigTIFF)."""


def check_chain(data: bytes | mmap) -> int:
    """Follow the directories of a TIFF: each must be inside the file, with all its values, and occur only once.

    Returns how many there are.

    Raises
    ------
    FileError
        For a chain that leaves the file, is circular or does not end.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    number, count, count_size, entry_size = ("Q", "Q", 8, 20) if big else ("L", "H", 2, 12)
    (place,) = unpack(data, order + number, 8 if big else 4)
    seen: set[int] = set()
    while place:
        if place in seen:
            raise FileError("damaged TIFF (its directories run in a circle)")
        if len(seen) == MAX_DIRECTORIES:
            raise FileError(f"damaged TIFF (more than {MAX_DIRECTORIES} directories)")
        seen.add(place)
        start = place + count_size
        end = start + unpack(data, order + count, place)[0] * entry_size
        (place,) = unpack(data, order + number, end)
        _check_values(data, struct.iter_unpack(f"{order}HH2{number}", data[start:end]), inline=8 if big else 4)
    if not seen:
        raise FileError("damaged TIFF (it holds no image)")
    return len(seen)


def _check_values(data: bytes | mmap, entries: Iterator[tuple[int, ...]], *, inline: int) -> None:
    """Refuse a directory with a value that ends beyond the file: it is truncated, and could not be kept."""
    for code, kind, count, place in entries:
        length = VALUE_SIZES.get(kind, 0) * count
        if length > inline and place + length > len(data):
            raise FileError(f"truncated or damaged TIFF (the value of tag {code} ends beyond its {len(data)} bytes)")


def unpack(data: bytes | mmap, layout: str, place: int) -> tuple[Any, ...]:
    """Unpack numbers of the file, or bytes if the layout says so."""
    try:
        return struct.unpack_from(layout, data, place)
    except (struct.error, OverflowError):
        raise FileError(f"truncated or damaged TIFF (a directory lies beyond its {len(data)} bytes)") from None
