"""The door: any array on the outside, float (1, C, H, W) with marked holes on the inside, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mashpix.arrays.colour import Kind
from mashpix.deprecation import third_by_name
from mashpix.errors import InputError, UsageError
from mashpix.picture import Picture
from mashpix.settings import Scale

SMALLEST_SIDE = 8
"""Pictures with a shorter side, in pixels, are refused: too few neighbours to predict a pixel from."""
MOST_HOLES = 0.99
"""Pictures with a larger fraction of NaN and infinite values are refused."""
MOST_ELEMENTS = 2**30
"""Largest number of values, height x width x channels, in one picture: no tensor is larger."""
WIDEST = float(np.finfo(np.float32).max)
"""Pictures whose values span more are refused: the noise is told in their units as 32-bit floats."""
PERCENTILES = (0.1, 99.9)
"""Values between which "percentiles" stretches each channel: robust against hot pixels."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Door:
    """How to get back out: the array that came in, with channels first, and how its values were scaled.

    array : (C, H, W) in the dtype of the input
    channel_axis : where the channels were, or None for a grey picture (H, W)
    low, high : float64 (C,): the values that became 0 and 1
    is_rgb : whether the channels are the colours of one scene
    """

    array: Array
    channel_axis: int | None
    low: Array
    high: Array
    is_rgb: bool = False

    @property
    def unit(self) -> Array:
        """Distance from low to high for each channel, 1 for a constant one."""
        with np.errstate(over="ignore"):  # `open_door` refuses what is infinite then
            distance = self.high - self.low
        return np.where(distance > 0, distance, 1.0)

    @property
    def channels(self) -> Kind | None:
        """How its channels are denoised; None for a single one."""
        return None if len(self.array) == 1 else "rgb" if self.is_rgb else "joint"

    @property
    def original(self) -> Array:
        """The array as it came in."""
        return restore_axes(self.array, self)


def open_door(
    image: Array, *, channel_axis: int | None, data_range: float | None, scale: Scale, is_rgb: bool = False
) -> Door:
    """Check an array and decide how its values are scaled; nothing is copied.

    Parameters
    ----------
    image : ndarray
        (H, W), or three axes with the channels along `channel_axis`; any integer or floating dtype.
    channel_axis : int or None
        None for a grey picture.
    data_range : float or None
        Distance from black to white, in the units of the array, for the scale "data-range".
    scale : {"data-range", "percentiles"}
        See `Settings.scale`.
    is_rgb : bool
        Whether the channels are the colours of one scene.

    Raises
    ------
    InputError
        For a dtype, a shape or values that cannot be denoised.
    UsageError
        For a `data_range` that is not a positive number.
    """
    image = np.asarray(image)
    if image.dtype.kind not in "iuf":
        advice = {"b": "convert it to uint8 first", "c": "denoise its real and imaginary part one by one"}
        raise InputError(
            f"cannot denoise this kind of value ({image.dtype}; {advice.get(image.dtype.kind, 'numbers needed')})"
        )
    array = _channels_first(image, channel_axis)
    if min(array.shape[1:]) < SMALLEST_SIDE or array.shape[0] < 1:
        raise InputError(
            f"too small to denoise ({array.shape[2]} x {array.shape[1]} pixels; at least {SMALLEST_SIDE} a side)"
        )
    if array.size > MOST_ELEMENTS:
        raise InputError(f"too large ({array.size} values; at most {MOST_ELEMENTS}, denoise it in parts)")
    if data_range is not None and not (np.isfinite(data_range) and data_range > 0):
        raise UsageError(f"`data_range`: not a positive number ({data_range})")
    holes = 1 - np.isfinite(array).mean()
    if holes > MOST_HOLES:
        raise InputError(f"hardly any finite pixels ({holes:.1%} are NaN or infinite; at most {MOST_HOLES:.0%})")
    door = Door(array, channel_axis, *find_scale(array, data_range=data_range, scale=scale), is_rgb)
    if not door.unit.max() <= WIDEST:
        raise InputError(f"values too far apart ({door.low.min():g} to {door.high.max():g}; divide them first)")
    return door


def select_channels(door: Door, channels: Sequence[int], *, data_range: float | None, scale: Scale) -> Door:
    """A door of some channels, (N, H, W), with the scale that they have alone; options as in `open_door`."""
    array = door.array[list(channels)] if len(channels) > 1 else door.array[channels[0] : channels[0] + 1]
    return Door(array, 0, *find_scale(array, data_range=data_range, scale=scale))


def find_scale(array: Array, *, data_range: float | None, scale: Scale) -> tuple[Array, Array]:
    """The values of each channel of (C, ...) that become 0 and 1, float64 (C,) each; options as in `open_door`."""
    limits = [_limits(plane, data_range=data_range, scale=scale) for plane in array]
    low, high = np.array(limits, dtype=np.float64).T
    if scale == "data-range":
        low[:] = low.min()
        high[:] = low + data_range if data_range is not None else high.max()
    return low, high


def _channels_first(image: Array, channel_axis: int | None) -> Array:
    if channel_axis is None:
        if image.ndim != 2:
            raise InputError(
                f"a grey picture has two axes (shape {image.shape}; for colour or channels give channel_axis)"
            )
        return image[None]
    if image.ndim != 3:
        raise InputError(f"a picture with channels has three axes (shape {image.shape}, channel_axis {channel_axis})")
    if not -3 <= channel_axis < 3:
        raise InputError(f"channel_axis is none of the three axes ({channel_axis}; -3 to 2)")
    return np.moveaxis(image, channel_axis, 0)


def _limits(plane: Array, *, data_range: float | None, scale: Scale) -> tuple[float, float]:
    """The values of one channel that become 0 and 1."""
    if scale == "data-range" and plane.dtype.kind == "u":
        return 0.0, float(np.iinfo(plane.dtype).max if data_range is None else data_range)
    values = plane[np.isfinite(plane)]
    if values.size == 0:
        return 0.0, 1.0
    if scale == "percentiles":
        low, high = np.percentile(values, PERCENTILES, method="lower")
        if low < high:
            return float(low), float(high)
    low, high = values.min(), values.max()
    return float(low), float(high)


def is_constant(door: Door) -> bool:
    """Whether there is nothing to denoise: all finite values of each channel are the same, or there are hardly any."""
    if np.isfinite(door.array).mean() < 1 - MOST_HOLES:
        return True
    for plane in door.array:
        values = plane[np.isfinite(plane)]
        if values.size and values.min() != values.max():
            return False
    return True


def to_picture(door: Door, *, multiple: int, device: torch.device) -> Picture:
    """Scale the array, mark its holes, and pad it at the right and bottom to a multiple of `multiple`.

    The padding is invalid, as a hole is: a copy of a pixel there, as reflection makes it, would tell the network
    what is hidden.
    """
    unit = door.unit
    pixels = np.empty(door.array.shape, dtype=np.float32)
    for channel, plane in enumerate(door.array):
        pixels[channel] = (plane.astype(np.float64) - door.low[channel]) / unit[channel]
    valid = np.isfinite(door.array)
    pixels[~valid] = 0.0
    height, width = door.array.shape[1:]
    padding = (0, -width % multiple, 0, -height % multiple)
    return Picture(
        F.pad(torch.from_numpy(pixels)[None], padding).to(device),
        F.pad(torch.from_numpy(valid)[None], padding).to(device),
        torch.from_numpy(unit.astype(np.float32)).to(device),
        door.is_rgb,
    )


def to_array(denoised: Tensor, door: Door) -> Array:
    """Scale back, clip to the values that the input holds, round integers, and put its holes back.

    Returns
    -------
    ndarray
        Shape and dtype of the array that came in.
    """
    height, width = door.array.shape[1:]
    scaled = denoised[0, :, :height, :width].to("cpu").numpy()
    result = np.empty_like(door.array)
    for channel, plane in enumerate(door.array):
        holes = ~np.isfinite(plane)
        if holes.all():
            result[channel] = plane
            continue
        values = scaled[channel].astype(np.float64) * door.unit[channel] + door.low[channel]
        values = np.clip(values, float(plane[~holes].min()), float(plane[~holes].max()))
        result[channel] = np.rint(values) if plane.dtype.kind in "iu" else values
        result[channel][holes] = plane[holes]
    return restore_axes(result, door)


def spread_to_array(spread: Tensor, door: Door) -> Array:
    """The spread over the masks in the units of the array, float32 in the shape of the input, NaN at holes."""
    height, width = door.array.shape[1:]
    values = spread[0, :, :height, :width].to("cpu").numpy() * door.unit[:, None, None].astype(np.float32)
    return restore_axes(np.where(np.isfinite(door.array), values, np.float32(np.nan)).astype(np.float32), door)


def restore_axes(array: Array, door: Door) -> Array:
    """(C, H, W) back to the axes of the input, contiguous."""
    if door.channel_axis is None:
        return np.asarray(array[0])
    return np.ascontiguousarray(np.moveaxis(array, 0, door.channel_axis))


@third_by_name("strength")
def blend(noisy: Array, denoised: Array, *, strength: float) -> Array:
    """Mix a noisy picture and its denoised version, in the dtype of the noisy one.

    Parameters
    ----------
    noisy, denoised : ndarray
        Pictures of one shape.
    strength : float
        0 gives the noisy picture, 1 the denoised one.

    Returns
    -------
    ndarray
        Shape and dtype of `noisy`; whole numbers are rounded.

    Raises
    ------
    InputError
        If the shapes differ.
    UsageError
        If `strength` is not within 0 to 1.

    Examples
    --------
    >>> blend(np.array([0, 100], dtype=np.uint8), np.array([50, 100], dtype=np.uint8), strength=0.5)
    array([ 25, 100], dtype=uint8)
    """
    if noisy.shape != denoised.shape:
        raise InputError(f"pictures of different shapes cannot be mixed ({noisy.shape} and {denoised.shape})")
    if not 0 <= strength <= 1:
        raise UsageError(f"`strength`: outside its limits ({strength:g}; 0 to 1)")
    if strength == 1:
        return denoised.astype(noisy.dtype, copy=True)
    holes = ~np.isfinite(noisy)
    before = np.where(holes, 0, noisy).astype(np.float64)
    after = np.where(holes, 0, denoised).astype(np.float64)
    mixed = before + strength * (after - before)
    result = (np.rint(mixed) if noisy.dtype.kind in "iu" else mixed).astype(noisy.dtype)
    result[holes] = noisy[holes]
    return result
