"""Pixels without data: which pixels of an array hold a value, and how callers name those that do not.

Inside, a masked array carries them beside the pixels, whatever the dtype; an image that misses nothing stays a plain
array.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import InputError

Array = NDArray[Any]
NoData = tuple[float, float]
"""The least and the largest of a range of values that mean "no data"; equal for a single value."""


def mask_missing(image: Array, missing: Array | None, *, channel_axis: int | None = None) -> Array:
    """Return an image that carries its pixels without data: a masked array, or the image itself if none are named.

    Whoever names some names all: nothing but NaN and infinity is looked for in a masked array.

    Parameters
    ----------
    image : ndarray
        May be a masked array already; its mask is kept.
    missing : ndarray of bool or None
        True for pixels without data: the shape of `image`, or without its `channel_axis`, for all channels.

    Raises
    ------
    InputError
        If `missing` has another shape, or is not boolean.

    Examples
    --------
    >>> image = np.array([[1, -9999], [3, 4]])
    >>> holds_data(mask_missing(image, image == -9999))
    array([[ True, False],
           [ True,  True]])
    """
    if missing is None:
        return image
    missing = np.asarray(missing)
    if missing.dtype != bool:
        raise InputError(f"`missing`: not boolean ({missing.dtype}; True marks a pixel without data)")
    if channel_axis is not None and missing.ndim < np.ndim(image):
        missing = np.expand_dims(missing, channel_axis)
    try:
        missing = np.broadcast_to(missing, np.shape(image))
    except ValueError:
        raise InputError(f"`missing`: another shape than the image ({missing.shape} and {np.shape(image)})") from None
    return np.ma.array(image, mask=missing)


def parse_nodata(text: str) -> NoData:
    """Read "VALUE" or "LOW..HIGH"; `ValueError` for anything else.

    Examples
    --------
    >>> parse_nodata("-9999"), parse_nodata("-1e30..-100")
    ((-9999.0, -9999.0), (-1e+30, -100.0))
    """
    low, dots, high = text.partition("..")
    ends = float(low), float(high if dots else low)
    if ends[0] > ends[1]:
        raise ValueError(f"{low} is above {high}")
    return ends


def scale_nodata(ranges: Sequence[NoData] | None, scale: float, zero: float = 0) -> tuple[NoData, ...] | None:
    """Return the ranges of values that are multiplied by `scale` before `zero` is added; None stays None.

    Examples
    --------
    >>> scale_nodata([(3, 5)], -2, 1)
    ((-9, -5),)
    """
    if ranges is None:
        return None
    ends = (sorted((low * scale + zero, high * scale + zero)) for low, high in ranges)
    return tuple((low, high) for low, high in ends)


def find_nodata(array: Array, ranges: Sequence[NoData]) -> NDArray[np.bool_]:
    """Return where values of an array are in one of the ranges, whose ends are first rounded as its dtype rounds.

    Examples
    --------
    >>> find_nodata(np.array([-3.4028235e38, 0], np.float32), [(-3.4028234663852886e38,) * 2])
    array([ True, False])
    """
    found = np.zeros(array.shape, bool)
    for low, high in ranges:
        if array.dtype.kind == "f":
            limits = np.finfo(array.dtype)
            low, high = (float(array.dtype.type(np.clip(end, limits.min, limits.max))) for end in (low, high))
        found |= (array >= low) & (array <= high)
    return found


def holds_data(array: Array) -> NDArray[np.bool_]:
    """Return where an array holds data: finite, and not masked as missing."""
    held: NDArray[np.bool_] = np.isfinite(np.asarray(array))
    return held & ~np.ma.getmaskarray(array) if np.ma.isMaskedArray(array) else held


def with_nan(array: Array) -> NDArray[np.float64]:
    """Return an array as float64, with NaN where it holds no data."""
    return np.where(holds_data(array), np.asarray(array), np.nan).astype(np.float64, copy=False)


def join(arrays: Sequence[Array], *, axis: int = 0) -> Array:
    """Concatenate arrays; the result is masked where one of them is."""
    is_masked = any(map(np.ma.isMaskedArray, arrays))
    joined: Array = (np.ma if is_masked else np).concatenate(arrays, axis)
    return joined
