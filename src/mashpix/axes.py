"""Axes of an array, in letters as tifffile writes them, and the planes that share a network.

Y and X are the plane; S (samples: RGB) is part of it and denoised jointly; C (channels of fluorescence) is denoised
channel by channel; every other axis (T, Z, I, Q, ...) counts planes of one kind, which one network can serve.
"""

from itertools import product
from math import prod
from typing import Literal

from mashpix.errors import UsageError

WITHIN = "YXS"
"""Axes within one plane."""
MAX_COLOURS = 4
"""A last axis up to this long is read as colours where nothing names it."""

Networks = Literal["shared", "each"]
"""One network for all planes of one kind, or one for each plane."""

Index = tuple[int | slice, ...]
"""Index of one plane in a stack: numbers for the axes outside the plane, slices for those within.

Slices of Y and X with a start and a stop name a window of the plane.
"""


def check_axes(axes: str, shape: tuple[int, ...]) -> str:
    """Check axes and return them in capitals; letters that do not fit a shape raise `UsageError`.

    Examples
    --------
    >>> check_axes("tyx", (5, 64, 64))
    'TYX'
    """
    axes = axes.upper()
    if len(axes) != len(shape):
        raise UsageError(f"axes: {len(shape)} letters needed, one for each axis ({axes!r}; shape {shape})")
    if not (axes.isascii() and axes.isalpha() and len(set(axes)) == len(axes) and {"Y", "X"} <= set(axes)):
        raise UsageError(f"axes: letters needed, none twice, Y and X among them ({axes!r}; such as TZCYX)")
    return axes


def samples_axis(axes: str) -> int | None:
    """Position of S within a plane; None without S.

    Examples
    --------
    >>> samples_axis("TYXS"), samples_axis("TZYX")
    (2, None)
    """
    within = [letter for letter in axes if letter in WITHIN]
    return within.index("S") if "S" in within else None


def guess_axes(shape: tuple[int, ...]) -> tuple[str, str | None]:
    """Axes for a shape that nothing else is known of, and a remark where that is a guess.

    Examples
    --------
    >>> guess_axes((64, 64))
    ('YX', None)
    >>> guess_axes((9, 64, 64))
    ('ZYX', 'shape (9, 64, 64) is read as ZYX, 9 planes of one kind (`axes` changes that, such as CYX)')
    """
    if len(shape) == 2:
        return "YX", None
    within = "YXS" if shape[-1] <= MAX_COLOURS else "YX"
    outside = "QTZ"[-(len(shape) - len(within)) :] if len(shape) > len(within) else ""
    axes = outside + within
    if len(axes) != len(shape):
        raise UsageError(f"too many axes to guess (shape {shape}; `axes` names them)")
    return axes, remark(axes, shape)


def remark(axes: str, shape: tuple[int, ...]) -> str:
    """Explain a guess to the user."""
    planes = count_planes(axes, shape)
    meaning = f"{planes} planes of one kind" if planes > 1 else f"{shape[-1]} colours"
    other = f"C{axes[1:]}" if planes > 1 else f"Z{axes[:2]}"
    return f"shape {shape} is read as {axes}, {meaning} (`axes` changes that, such as {other})"


def count_planes(axes: str, shape: tuple[int, ...]) -> int:
    """Count the planes of a stack."""
    return prod(length for letter, length in zip(axes, shape, strict=True) if letter not in WITHIN)


def plane_groups(axes: str, shape: tuple[int, ...], *, joint: bool) -> list[list[tuple[Index, ...]]]:
    """Planes in groups that one network can serve; an image is one plane, or with `joint` one of each channel.

    Examples
    --------
    >>> [len(group) for group in plane_groups("TCYX", (5, 2, 8, 8), joint=False)]
    [5, 5]
    >>> [(len(group), len(group[0])) for group in plane_groups("TCYX", (5, 2, 8, 8), joint=True)]
    [(5, 2)]
    """
    lengths = dict(zip(axes, shape, strict=True))

    def index(numbers: dict[str, int]) -> Index:
        return tuple(numbers.get(letter, slice(None)) for letter in axes)

    looped = [letter for letter in axes if letter not in WITHIN and letter != "C"]
    places = [dict(zip(looped, where, strict=True)) for where in product(*(range(lengths[item]) for item in looped))]
    channels = [{"C": number} for number in range(lengths["C"])] if "C" in lengths else [{}]
    if joint:
        return [[tuple(index(place | channel) for channel in channels) for place in places]]
    return [[(index(place | channel),) for place in places] for channel in channels]


def window_of(index: Index, axes: str, rows: slice, columns: slice) -> Index:
    """The index of a window of a plane.

    Examples
    --------
    >>> window_of((2, slice(None), slice(None)), "TYX", slice(0, 8), slice(8, 16))
    (2, slice(0, 8, None), slice(8, 16, None))
    """
    within = {"Y": rows, "X": columns}
    return tuple(within.get(letter, item) for letter, item in zip(axes, index, strict=True))


def middle_plane(axes: str, shape: tuple[int, ...]) -> Index:
    """The plane in the middle along every axis.

    Examples
    --------
    >>> middle_plane("TYX", (5, 64, 64))
    (2, slice(None, None, None), slice(None, None, None))
    """
    return tuple(slice(None) if letter in WITHIN else length // 2 for letter, length in zip(axes, shape, strict=True))
