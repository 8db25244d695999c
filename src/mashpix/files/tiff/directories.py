"""The directories of a TIFF: check their chain, read EXIF and GPS, and add these to another TIFF."""

import struct
from mmap import mmap
from typing import Any, NamedTuple

from mashpix.errors import FileError

MAX_DIRECTORIES = 65_535
VALUE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value of each type of a tag (TIFF 6.0, section 2; BigTIFF)."""
EXIF, GPS, INTEROPERABILITY, MAKER_NOTE = 34665, 34853, 40965, 37500


class Tag(NamedTuple):
    """One entry of a directory: its type, how many values, their bytes; or the directory that it points to."""

    kind: int
    length: int
    value: bytes
    inner: "Directory | None" = None


Directory = dict[int, Tag]


class Layout(NamedTuple):
    """How a file packs numbers: order of bytes, number of entries, a place in the file, an entry; and the first place.

    An entry is code, type, number of values, and these values or their place.
    """

    order: str
    number: str
    place: str
    entry: str
    first: int


def find_layout_of(data: bytes | mmap) -> Layout:
    """The layout of a TIFF, or of a camera raw that differs from one in its third and fourth byte."""
    if data[:2] not in (b"II", b"MM"):
        raise FileError("not a TIFF (II or MM needed)")
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        return Layout(order, f"{order}Q", f"{order}Q", f"{order}HHQ8s", *unpack(data, f"{order}Q", 8))
    return Layout(order, f"{order}H", f"{order}L", f"{order}HHL4s", *unpack(data, f"{order}L", 4))


def unpack(data: bytes | mmap, layout: str, place: int) -> tuple[Any, ...]:
    """Unpack numbers of the file, or bytes if the layout says so."""
    try:
        return struct.unpack_from(layout, data, place)
    except (struct.error, OverflowError):
        raise FileError(f"truncated or damaged TIFF (a directory lies beyond its {len(data)} bytes)") from None


def check_chain(data: bytes | mmap) -> int:
    """Follow the directories of a TIFF before any library does, which a crafted chain would hang; return their number.

    Raises
    ------
    FileError
        For a chain that leaves the file, is circular or does not end, and for a value outside of the file.
    """
    layout = find_layout_of(data)
    place, seen = layout.first, set[int]()
    while place:
        if place in seen:
            raise FileError("damaged TIFF (its directories run in a circle)")
        if len(seen) == MAX_DIRECTORIES:
            raise FileError(f"damaged TIFF (more than {MAX_DIRECTORIES} directories)")
        seen.add(place)
        start = place + struct.calcsize(layout.number)
        end = start + unpack(data, layout.number, place)[0] * struct.calcsize(layout.entry)
        (place,) = unpack(data, layout.place, end)
        for code, kind, count, value in struct.iter_unpack(layout.entry, data[start:end]):
            length = VALUE_SIZES.get(kind, 0) * count
            if length > len(value) and unpack(value, layout.place, 0)[0] + length > len(data):
                size = f"its {len(data)} bytes"
                raise FileError(f"truncated or damaged TIFF (the value of tag {code} ends beyond {size})")
    if not seen:
        raise FileError("damaged TIFF (it holds no image)")
    return len(seen)


def read_directory(data: bytes, layout: Layout, place: int, *, follow: tuple[int, ...] = ()) -> Directory:
    """Read the tags of a directory, and those of the directories that the codes `follow` point to.

    Raises
    ------
    FileError
        For a directory or a value outside of the file, and for values that together are larger than it.
    """
    (entries,) = unpack(data, layout.number, place)
    place += struct.calcsize(layout.number)
    found: Directory = {}
    room = len(data)
    for _ in range(entries):
        code, kind, length, value = unpack(data, layout.entry, place)
        place += struct.calcsize(layout.entry)
        size = VALUE_SIZES.get(kind, 0) * length
        room -= struct.calcsize(layout.entry) + size
        if room < 0:
            raise FileError(f"damaged TIFF (a directory of more than its {len(data)} bytes)")
        if size > len(value):
            (start,) = unpack(value, layout.place, 0)
            value = data[start : start + size]
        inner = None
        if code in follow:
            (start,) = unpack(value, layout.order + ("Q" if VALUE_SIZES.get(kind) == 8 else "L"), 0)
            inner = read_directory(data, layout, start, follow=(INTEROPERABILITY,) if code == EXIF else ())
        if len(value) < size:
            raise FileError(f"truncated or damaged TIFF (tag {code} lies beyond its {len(data)} bytes)")
        found[code] = Tag(kind, length, value[:size], inner)
    return found


def find_directories(data: bytes) -> tuple[Directory, list[str]]:
    """Find EXIF and GPS of a file, to be copied to another file, and what of them cannot be copied.

    Maker notes are omitted: they contain undocumented offsets into the old file.
    """
    try:
        layout = find_layout_of(data)
        first = read_directory(data, layout, layout.first, follow=(EXIF, GPS))
    except FileError:
        return {}, ["EXIF"]
    found = {code: tag for code, tag in first.items() if tag.inner is not None}
    exif = found[EXIF].inner if EXIF in found else None
    if exif is None or exif.pop(MAKER_NOTE, None) is None:
        return found, []
    return found, ["the maker's notes in EXIF"]


def edit_directory(data: bytes, directories: Directory, *, without: set[int]) -> bytes:
    """A file of one image whose first directory also points to these, and lacks the tags `without`.

    Byte order and kind of file must be those of the directories.
    """
    if not directories and not without:
        return data
    layout = find_layout_of(data)
    data += b"\0" * (-len(data) % 2)
    first = read_directory(data, layout, layout.first) | directories
    first = {code: tag for code, tag in first.items() if code not in without}
    header = data[: struct.calcsize(layout.place)] + struct.pack(layout.place, len(data))
    return header + data[len(header) :] + _lay_out(first, layout, len(data))


def _lay_out(directory: Directory, layout: Layout, place: int) -> bytes:
    """Encode a directory for an offset, followed by everything that it points to."""
    room = struct.calcsize(layout.place)
    size = struct.calcsize(layout.number) + struct.calcsize(layout.entry) * len(directory) + room
    entries, behind = struct.pack(layout.number, len(directory)), b""
    for code, tag in sorted(directory.items()):
        kind, length, value = tag.kind, tag.length, tag.value
        here = place + size + len(behind)
        if tag.inner is not None:
            kind, length, value = 16 if room == 8 else 4, 1, struct.pack(layout.place, here)
            behind += _lay_out(tag.inner, layout, here)
        elif len(value) > room:
            behind += value + b"\0" * (len(value) % 2)
            value = struct.pack(layout.place, here)
        entries += struct.pack(layout.entry, code, kind, length, value)
    return entries + b"\0" * room + behind
