"""Read the EXIF and GPS directories of a TIFF, and add them to another."""

import struct
from typing import NamedTuple

from mashpix.errors import FileError
from mashpix.files.tiff.chain import VALUE_SIZES, unpack

EXIF, GPS, INTEROPERABILITY, MAKER_NOTE = 34665, 34853, 40965, 37500


class Tag(NamedTuple):
    """One entry of a directory: its type, how many values, their bytes; or the directory that it points to."""

    kind: int
    length: int
    value: bytes
    inner: "Directory | None" = None


Directory = dict[int, Tag]


class Layout(NamedTuple):
    """How a file writes numbers: byte order, number of entries, their places; and where its first directory is."""

    order: str
    entries: str
    place: str
    first: int

    @property
    def entry(self) -> str:
        """Code, type, count and value of an entry."""
        return f"{self.order}HH{self.place}{8 if self.place == 'Q' else 4}s"

    @property
    def pointer_kind(self) -> int:
        """The type of an entry that holds an offset."""
        return 16 if self.place == "Q" else 4


def find_layout_of(data: bytes) -> Layout:
    """The layout of a TIFF, or of a camera raw that differs from one in its third and fourth byte."""
    if data[:2] not in (b"II", b"MM"):
        raise FileError("not a TIFF (II or MM needed)")
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        return Layout(order, "Q", "Q", *unpack(data, order + "Q", 8))
    return Layout(order, "H", "L", *unpack(data, order + "L", 4))


def read_directory(data: bytes, layout: Layout, place: int, *, follow: tuple[int, ...] = ()) -> Directory:
    """Read the tags of a directory, and those of the directories that the codes `follow` point to.

    Raises
    ------
    FileError
        For a directory or a value outside of the file, and for values that together are larger than it.
    """
    (entries,) = unpack(data, layout.order + layout.entries, place)
    place += struct.calcsize(layout.entries)
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
            (start,) = unpack(value, layout.order + layout.place, 0)
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


def add_directories(data: bytes, directories: Directory) -> bytes:
    """A file of one image whose first directory points to these, too; byte order and kind of file must be theirs."""
    if not directories:
        return data
    layout = find_layout_of(data)
    data += b"\0" * (-len(data) % 2)
    first = read_directory(data, layout, layout.first) | directories
    header = data[: 8 if layout.place == "Q" else 4] + struct.pack(layout.order + layout.place, len(data))
    return header + data[len(header) :] + _lay_out(first, layout, len(data))


def _lay_out(directory: Directory, layout: Layout, place: int) -> bytes:
    """Encode a directory for an offset, followed by everything that it points to."""
    room = struct.calcsize(layout.order + layout.place)
    size = struct.calcsize(layout.entries) + struct.calcsize(layout.entry) * len(directory) + room
    entries, behind = struct.pack(layout.order + layout.entries, len(directory)), b""
    for code, tag in sorted(directory.items()):
        kind, length, value = tag.kind, tag.length, tag.value
        here = place + size + len(behind)
        if tag.inner is not None:
            kind, length, value = layout.pointer_kind, 1, struct.pack(layout.order + layout.place, here)
            behind += _lay_out(tag.inner, layout, here)
        elif len(value) > room:
            behind += value + b"\0" * (len(value) % 2)
            value = struct.pack(layout.order + layout.place, here)
        entries += struct.pack(layout.entry, code, kind, length, value)
    return entries + b"\0" * room + behind
