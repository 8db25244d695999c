"""Boxes of ISO media files (ISO/IEC 14496-12), as AVIF, HEIF and JPEG XL have them, and the items of an image file."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mashpix.errors import FileError

FULL = 4
"""Bytes of version and flags at the start of a full box."""


@dataclass(frozen=True)
class Box:
    """A box: its name, and where it and its content start and where both end."""

    name: bytes
    place: int
    start: int
    end: int


@dataclass(frozen=True)
class Item:
    """An item of an image file: its type, its properties, and where its data lie.

    offset_at, length_at : where the file records offset and length of its only extent, and in how many bytes
    base : what is added to that offset
    """

    kind: bytes
    properties: tuple[Box, ...]
    start: int
    end: int
    offset_at: tuple[int, int]
    length_at: tuple[int, int]
    base: int


def list_boxes(data: bytes, start: int, end: int, *, what: str) -> Iterator[Box]:
    """List the boxes between two places; `FileError` for one that leaves them."""
    while start < end:
        if start + 8 > end:
            raise FileError(f"truncated {what} ({len(data)} bytes)")
        size, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= end:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        size = end - start if size == 0 else size
        if size < head or start + size > end:
            raise FileError(f"truncated or damaged {what} (its {name.decode('latin-1')!r} box leaves the file)")
        yield Box(name, start, start + head, start + size)
        start += size


def read_items(data: bytes, *, what: str) -> tuple[int, dict[int, Item]]:
    """Read the number of the primary item, and all items whose data are one piece of this file."""
    top = {box.name: box for box in list_boxes(data, 0, len(data), what=what)}
    if b"meta" not in top:
        raise FileError(f"damaged {what} (no image in it)")
    meta = top[b"meta"]
    inner = {box.name: box for box in list_boxes(data, meta.start + FULL, meta.end, what=what)}
    try:
        return _read_meta(data, inner, what=what)
    except (KeyError, struct.error, IndexError):
        raise FileError(f"damaged {what} (its list of items is incomplete)") from None


def _read_meta(data: bytes, inner: dict[bytes, Box], *, what: str) -> tuple[int, dict[int, Item]]:
    primary = struct.unpack_from(">I" if data[inner[b"pitm"].start] else ">H", data, inner[b"pitm"].start + FULL)[0]
    kinds = {}
    info = inner[b"iinf"]
    entries = info.start + FULL + (4 if data[info.start] else 2)
    for box in list_boxes(data, entries, info.end, what=what):
        layout = ">IH4s" if data[box.start] == 3 else ">HH4s"
        number, _, kind = struct.unpack_from(layout, data, box.start + FULL)
        kinds[number] = kind
    properties = _read_properties(data, inner[b"iprp"], what=what)
    places = _read_places(data, inner[b"iloc"])
    items = {}
    for number, (offset_at, length_at, base) in places.items():
        start, length = (int.from_bytes(data[at : at + size], "big") for at, size in (offset_at, length_at))
        start += base
        if start + length > len(data):
            raise FileError(f"truncated {what} (its pixels end beyond its {len(data)} bytes)")
        found = properties.get(number, ())
        items[number] = Item(kinds.get(number, b""), found, start, start + length, offset_at, length_at, base)
    return primary, items


def _read_properties(data: bytes, box: Box, *, what: str) -> dict[int, tuple[Box, ...]]:
    """Read the properties of each item (ISO/IEC 23008-12, 9.3)."""
    parts = {part.name: part for part in list_boxes(data, box.start, box.end, what=what)}
    known = list(list_boxes(data, parts[b"ipco"].start, parts[b"ipco"].end, what=what))
    place, found = parts[b"ipma"].start, dict[int, tuple[Box, ...]]()
    version, is_wide = data[place], data[place + 3] & 1
    (count,) = struct.unpack_from(">I", data, place + FULL)
    place += FULL + 4
    for _ in range(min(count, len(data))):
        number, associations = struct.unpack_from(">IB" if version else ">HB", data, place)
        place += 5 if version else 3
        size = 2 if is_wide else 1
        codes = [int.from_bytes(data[at : at + size], "big") for at in range(place, place + size * associations, size)]
        place += size * associations
        mask = 0x7FFF if is_wide else 0x7F  # without the bit that says whether a reader must know the property
        found[number] = tuple(known[(code & mask) - 1] for code in codes if code & mask)
    return found


def _read_places(data: bytes, box: Box) -> dict[int, tuple[tuple[int, int], tuple[int, int], int]]:
    """Read where the file records offset and length of items that are one piece (ISO/IEC 14496-12, 8.11.3)."""
    version, place = data[box.start], box.start + FULL
    sizes = data[place], data[place + 1]
    offset_size, length_size, base_size, index_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15
    (count,) = struct.unpack_from(">I" if version == 2 else ">H", data, place + 2)
    place += 6 if version == 2 else 4
    found = {}
    for _ in range(count):
        (number,) = struct.unpack_from(">I" if version == 2 else ">H", data, place)
        place += 4 if version == 2 else 2
        method = struct.unpack_from(">H", data, place)[0] & 15 if version else 0
        place += 4 if version else 2
        base = int.from_bytes(data[place : place + base_size], "big")
        (extents,) = struct.unpack_from(">H", data, place + base_size)
        place += base_size + 2
        step = offset_size + length_size + (index_size if version else 0)
        first = place + (index_size if version else 0)
        if extents == 1 and method == 0:
            found[number] = (first, offset_size), (first + offset_size, length_size), base
        place += step * extents
    return found
