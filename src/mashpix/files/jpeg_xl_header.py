"""The header of a JPEG XL code stream: what it says of the image, and where the frames begin (ISO/IEC 18181-1)."""

from typing import NamedTuple

from mashpix.errors import FileError

ALPHA = 0
"""Kind of a further channel."""
GREY, XYB = 1, 2
"""Colour spaces."""
CUSTOM = 2
"""White point or primaries that are given by their coordinates."""
SRGB_CURVE, LINEAR_CURVE = 13, 8
"""Tone curves."""
SRGB: tuple[int, ...] = (0, 1, 1, 0, SRGB_CURVE)
PROFILE = (-1,)
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
SIDES = (1, 9), (1, 13), (1, 18), (1, 30)
"""Four ways to write a side: an offset, and the bits that are added to it."""
MAX_HEADER = 4096
"""Bytes that a header without a profile may take."""


class Flag(NamedTuple):
    """A bit of the header: its value, and its place; 0 where the header leaves it out."""

    place: int
    value: bool


class Header(NamedTuple):
    """What a code stream says of its image.

    extra : kinds of the further channels
    colours : colour space, white, primaries, tone curve and, if they are given, tones of the display by their numbers;
        `PROFILE` if a profile says them
    coding : what the code of the frames depends on beside size and flags, to compare with that of another file
    small_buffers, lossy : how the frames are coded
    curve_at : place of the last four bits of the number of the tone curve; 0 if it is not there
    sides_at : places and bits of height and width
    end : where the frames begin, in bytes, or the profile before them; None if not known
    """

    width: int
    height: int
    orientation: int
    bits: int
    is_float: bool
    is_animated: bool
    extra: tuple[int, ...]
    colours: tuple[int, ...]
    coding: tuple[object, ...]
    small_buffers: Flag
    lossy: Flag
    curve_at: int
    sides_at: tuple[tuple[int, int], ...]
    end: int | None


class _Bits:
    """Reads numbers of a code stream, least significant bit first (annex B)."""

    def __init__(self, data: bytes) -> None:
        self.number, self.size, self.place = int.from_bytes(data, "little"), 8 * len(data), 0

    def __call__(self, count: int) -> int:
        if self.place + count > self.size:
            raise FileError("truncated JPEG XL (its header is cut)")
        value = self.number >> self.place & ((1 << count) - 1)
        self.place += count
        return value

    def choose(self, *choices: tuple[int, int]) -> int:
        """Read one of four ways to write a number: an offset, and the bits that are added to it."""
        offset, count = choices[self(2)]
        return offset + self(count)

    def flag(self) -> Flag:
        return Flag(self.place, bool(self(1)))

    def enum(self) -> int:
        return self.choose((0, 0), (1, 0), (2, 4), (18, 6))


def read_header(stream: bytes) -> Header:
    """Read size and image metadata of a code stream (annexes B, D, E)."""
    bits = _Bits(stream[:MAX_HEADER])
    bits(16)
    width, height, sides_at = _read_size(bits)
    orientation, depth, extra, colours = 1, (8, False), [], SRGB
    small_buffers, lossy, is_animated, curve_at = Flag(0, True), Flag(0, True), False, 0
    if not (is_plain := bits(1)):
        if has_more := bits(1):
            orientation = 1 + bits(3)
            if bits(1):
                _read_size(bits)
            if bits(1):
                raise FileError("a JPEG XL with a preview (convert it first)")
            is_animated = bool(bits(1))
        if not is_animated:
            depth, small_buffers = _read_depth(bits), bits.flag()
            extra = [_read_extra(bits) for _ in range(bits.choose((0, 0), (1, 0), (2, 4), (1, 12)))]
            lossy, (colours, curve_at) = bits.flag(), _read_colours(bits)
            if has_more and not bits(1):
                colours += bits(16), bits(16), bits(17)
    is_usual = not is_animated and (is_plain or not bits(2)) and bits(1)  # no extensions, no transforms of its own
    kinds, end = tuple(kind for kind, _ in extra), -(-bits.place // 8) if is_usual else None
    return Header(
        width, height, orientation, *depth, is_animated, kinds, colours, (depth, *extra), small_buffers, lossy,
        curve_at, tuple(sides_at), end,
    )  # fmt: skip


def put_flags(start: bytes, header: Header, other: Header) -> bytes:
    """Let the start of a code stream say that its frames are coded as those of another."""
    for old, new in (header.small_buffers, other.small_buffers), (header.lossy, other.lossy):
        start = _put(start, old.place, 1, new.value) if old.value != new.value else start
    return start


def put_curve(start: bytes, header: Header, curve: int) -> bytes:
    """Let the start of a code stream name another tone curve."""
    return _put(start, header.curve_at, 4, curve - 2) if header.curve_at else start


def put_smallest_size(stream: bytes, header: Header) -> bytes:
    """Let a code stream have the smallest sides whose numbers take as many bits."""
    for place, count in header.sides_at:
        stream = _put(stream, place, count, 0)
    return stream


def _put(data: bytes, place: int, count: int, value: int) -> bytes:
    """Replace bits among the first `MAX_HEADER` bytes."""
    head, mask = int.from_bytes(data[:MAX_HEADER], "little"), ((1 << count) - 1) << place
    return (head & ~mask | value << place).to_bytes(min(len(data), MAX_HEADER), "little") + data[MAX_HEADER:]


def _read_size(bits: _Bits) -> tuple[int, int, list[tuple[int, int]]]:
    """Read width and height, and the places and bits of what is written of them."""
    is_small, places = bits(1), []

    def read_side() -> int:
        offset, count = (8, 5) if is_small else SIDES[bits(2)]
        places.append((bits.place, count))
        return offset + bits(count) * (8 if is_small else 1)

    height = read_side()
    over, under = RATIOS.get(bits(3), (0, 0))
    return (height * over // under if under else read_side()), height, places


def _read_depth(bits: _Bits) -> tuple[int, bool]:
    if bits(1):
        depth = bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
        bits(4)
        return depth, True
    return bits.choose((8, 0), (10, 0), (12, 0), (1, 6)), False


def _read_extra(bits: _Bits) -> tuple[int, tuple[int, bool]]:
    """Read what a further channel is: its kind and its depth."""
    if bits(1):
        return ALPHA, (8, False)
    kind, depth = bits.enum(), _read_depth(bits)
    bits.choose((0, 0), (3, 0), (4, 0), (1, 3))
    bits(8 * bits.choose((0, 0), (0, 4), (16, 5), (48, 10)))
    if kind == ALPHA and bits(1):
        raise FileError("a JPEG XL whose colours are multiplied by alpha (convert it first)")
    return kind, depth


def _read_colours(bits: _Bits) -> tuple[tuple[int, ...], int]:
    """Read the colours, and where the number of the tone curve is."""
    if bits(1):
        return SRGB, 0
    has_profile, space = bits(1), bits.enum()
    if has_profile:
        return PROFILE, 0
    found = [space]
    found += _read_points(bits, 1) if space != XYB else [1]
    found += _read_points(bits, 3) if space not in (GREY, XYB) else [1]
    found += (1, bits(24)) if bits(1) else (0, bits.enum())
    place = bits.place - 4
    bits.enum()  # rendering intent
    return tuple(found), place


def _read_points(bits: _Bits, count: int) -> list[int]:
    """Read white point or primaries: their number, and if it says so the coordinates."""
    number = bits.enum()
    sizes = (0, 19), (2**19, 19), (2**20, 20), (2**21, 21)
    return [number, *(bits.choose(*sizes) for _ in range(2 * count if number == CUSTOM else 0))]
