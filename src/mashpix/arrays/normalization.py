"""Any array as the method needs it, float (1, C, H, W) with marked holes, and back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mashpix.arrays.colour import Kind
from mashpix.arrays.defects import Defects, find_defects
from mashpix.arrays.stripes import Mode, Stripes, find_stripes
from mashpix.errors import InputError, UsageError
from mashpix.missing import holds_data, mask_missing
from mashpix.picture import Picture
from mashpix.settings import Scale

MIN_SIDE = 8
"""Images with a shorter side, in pixels, are refused: too few neighbours to predict a pixel from."""
MAX_HOLE_FRACTION = 0.99
"""Images with a larger fraction of values without data, NaN and infinite ones among them, are refused."""
MAX_VALUES = 2**30
"""Largest number of values, height x width x channels, in one image: no tensor is larger."""
MAX_RANGE = float(np.finfo(np.float32).max)
"""Images whose values span more are refused: the noise is reported in their units as 32-bit floats."""
PERCENTILES = (0.1, 99.9)
"""Values between which "percentiles" stretches each channel: robust against hot pixels."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Normalized:
    """An array with channels first, and how its values are scaled: enough to restore the form of the input.

    array : (C, H, W) in the dtype of the input; a masked array where pixels without data are known (`mashpix.missing`)
    channel_axis : of the input; None for a grey image (H, W)
    low, high : float64 (C,): the values that become 0 and 1
    data_range, scale : what they were decided by, see `normalize`
    is_rgb : whether the channels are the colours of one scene
    defects : of the sensor, if there are any; left out like pixels without data, see `sound`
    repair : whether defects are filled from the result
    stripes : that are taken off before anything else, if there are any
    """

    array: Array
    channel_axis: int | None
    low: Array
    high: Array
    data_range: float | None
    scale: Scale
    is_rgb: bool = False
    defects: Defects | None = None
    repair: bool = False
    stripes: Stripes | None = None

    @property
    def sound(self) -> Array:
        """The array, its defects masked like pixels without data."""
        if self.defects is None:
            return self.array
        return mask_missing(self.array, ~holds_data(self.array) | self.defects.mask)

    @property
    def unit(self) -> Array:
        """Distance from low to high for each channel, 1 for a constant one."""
        with np.errstate(over="ignore"):  # `normalize` refuses an infinite distance
            distance = self.high - self.low
        return np.where(distance > 0, distance, 1.0)

    @property
    def channels(self) -> Kind | None:
        """How its channels are denoised; None for a single one."""
        return None if len(self.array) == 1 else "rgb" if self.is_rgb else "joint"

    @property
    def without_pattern(self) -> "Normalized":
        """The same for what comes after `to_picture`, which takes the stripes off: their pattern is as large as it."""
        return (
            self
            if self.stripes is None
            else replace(self, stripes=self.stripes._replace(pattern=np.empty(0, np.float32)))
        )

    @property
    def original(self) -> Array:
        """The array with the axes of the input."""
        return restore_axes(self.array, self)


def normalize(
    image: Array,
    *,
    channel_axis: int | None,
    data_range: float | None,
    scale: Scale,
    is_rgb: bool = False,
    find: bool = True,
    repair: bool = False,
    stripes: Mode = "off",
) -> Normalized:
    """Check an array, find its defects and stripes, and decide how its values are scaled; nothing is copied.

    `scale` and `stripes` as in `Settings`; `find`, `repair` as `find_defects` and `repair_defects` there.

    A dtype, a shape or values that cannot be denoised raise `InputError`, a `data_range` that is not a positive number
    raises `UsageError`; it counts for the scale "data-range" only.
    """
    image = np.asanyarray(image)
    if image.dtype.kind not in "iuf":
        advice = {"b": "convert it to uint8 first", "c": "denoise its real and imaginary part one by one"}
        raise InputError(
            f"cannot denoise this kind of value ({image.dtype}; {advice.get(image.dtype.kind, 'numbers needed')})"
        )
    array = channels_first(image, channel_axis)
    if min(array.shape[1:]) < MIN_SIDE or array.shape[0] < 1:
        raise InputError(
            f"too small to denoise ({array.shape[2]} x {array.shape[1]} pixels; at least {MIN_SIDE} a side)"
        )
    if array.size > MAX_VALUES:
        raise InputError(f"too large ({array.size} values; at most {MAX_VALUES}, `by_blocks` denoises it in blocks)")
    if data_range is not None and not (np.isfinite(data_range) and data_range > 0):
        raise UsageError(f"`data_range`: not a positive number ({data_range})")
    holes = 1 - holds_data(array).mean()
    if holes > MAX_HOLE_FRACTION:
        raise InputError(f"hardly any pixels with data ({holes:.1%} are without; at most {MAX_HOLE_FRACTION:.0%})")
    defects = find_defects(array) if find else None
    unscaled = Normalized(array, channel_axis, array, array, data_range, scale, is_rgb, defects, repair)
    striped = find_stripes(unscaled.sound, mode=stripes)
    if find and striped is not None:
        defects = find_defects(array, pattern=striped.pattern)
    normalized = _scaled(replace(unscaled, defects=defects, stripes=striped))
    if not normalized.unit.max() <= MAX_RANGE:
        raise InputError(
            f"values too far apart ({normalized.low.min():g} to {normalized.high.max():g}; divide them first)"
        )
    return normalized


def select_channels(normalized: Normalized, channels: Sequence[int]) -> Normalized:
    """Select some channels, (N, H, W), with the scale that they have alone."""
    first, single = channels[0], len(channels) == 1
    array = normalized.array[first : first + 1] if single else normalized.array[list(channels)]
    defects, chosen = normalized.defects, list(channels)
    defects = defects and Defects(defects.mask[chosen], defects.counts[chosen])
    stripes = normalized.stripes and Stripes(normalized.stripes.pattern[chosen], normalized.stripes.levels[chosen])
    return _scaled(replace(normalized, array=array, channel_axis=0, defects=defects, stripes=stripes))


def _scaled(normalized: Normalized) -> Normalized:
    """Decide how the values are scaled."""
    low, high = find_scale(normalized.sound, data_range=normalized.data_range, scale=normalized.scale)
    return replace(normalized, low=low, high=high)


def find_scale(array: Array, *, data_range: float | None, scale: Scale) -> tuple[Array, Array]:
    """The values of each channel of (C, ...) that become 0 and 1, float64 (C,) each; options as for `normalize`."""
    limits = [_limits(plane, data_range=data_range, scale=scale) for plane in array]
    low, high = np.array(limits, dtype=np.float64).T
    if scale == "data-range":
        low[:] = low.min()
        high[:] = low + data_range if data_range is not None else high.max()
    return low, high


def channels_first(image: Array, channel_axis: int | None) -> Array:
    """Return an image as (C, H, W); `InputError` for other axes than those of an image."""
    if channel_axis is None:
        if image.ndim != 2:
            raise InputError(
                f"a grey image has two axes (shape {image.shape}; for colour or channels give channel_axis)"
            )
        return image[None]
    if image.ndim != 3:
        raise InputError(f"an image with channels has three axes (shape {image.shape}, channel_axis {channel_axis})")
    if not -3 <= channel_axis < 3:
        raise InputError(f"channel_axis is none of the three axes ({channel_axis}; -3 to 2)")
    return np.moveaxis(image, channel_axis, 0)


def _limits(plane: Array, *, data_range: float | None, scale: Scale) -> tuple[float, float]:
    """The values of one channel that become 0 and 1."""
    if scale == "data-range" and plane.dtype.kind == "u":
        return 0.0, float(np.iinfo(plane.dtype).max if data_range is None else data_range)
    values = np.asarray(plane)[holds_data(plane)]
    if values.size == 0:
        return 0.0, 1.0
    if scale == "percentiles":
        low, high = np.percentile(values, PERCENTILES, method="lower")
        if low < high:
            return float(low), float(high)
    low, high = values.min(), values.max()
    return float(low), float(high)


def is_blank(array: Array) -> bool:
    """Whether (C, H, W) holds nothing to denoise: one value in each channel, or hardly any pixel with data in all."""
    data = holds_data(array)
    if data.mean() < 1 - MAX_HOLE_FRACTION:
        return True
    return all(plane[held].min() == plane[held].max() for plane, held in zip(array, data, strict=True) if held.any())


def to_picture(normalized: Normalized, *, multiple: int, device: torch.device) -> Picture:
    """Scale the array without its stripes, mark its holes, and pad it at the right and bottom to such a multiple.

    The padding is invalid, as a hole is: reflection would show the network copies of hidden pixels.
    """
    unit, sound = normalized.unit, normalized.sound
    count, height, width = sound.shape
    padded = (count, height + -height % multiple, width + -width % multiple)
    pixels, valid = np.zeros(padded, np.float32), np.zeros(padded, bool)
    for channel, plane in enumerate(np.asarray(normalized.array)):
        low, held, scaled = normalized.low[channel], valid[channel, :height, :width], pixels[channel, :height, :width]
        held[:] = holds_data(sound[channel])
        values = np.where(held, plane, low).astype(np.float64)
        values -= low
        scaled[:] = np.divide(values, unit[channel], out=values)
        if normalized.stripes is not None:
            scaled -= normalized.stripes.pattern[channel] / unit[channel]
        scaled[~held] = 0.0
    is_byte = normalized.array.dtype == np.uint8
    is_photo = normalized.is_rgb and is_byte
    return Picture(
        torch.from_numpy(pixels)[None].to(device),
        torch.from_numpy(valid)[None].to(device),
        torch.from_numpy(unit.astype(np.float32)).to(device),
        normalized.is_rgb,
        255 / float(unit.max()) if is_byte else 1.0,
        None if is_photo else torch.from_numpy((-normalized.low / unit).astype(np.float32)).to(device),
    )


def to_array(denoised: Tensor, normalized: Normalized) -> Array:
    """Scale back to the shape and dtype of the input: clip to its values, round integers, and restore its holes."""
    height, width = normalized.array.shape[1:]
    scaled = denoised[0, :, :height, :width].to("cpu").numpy()
    result = np.empty(normalized.array.shape, normalized.array.dtype)
    sound = normalized.sound
    kept = normalized.array if normalized.repair else sound
    for channel, plane in enumerate(np.asarray(normalized.array)):
        held, holes = holds_data(sound[channel]), ~holds_data(kept[channel])
        if not held.any():
            result[channel] = plane
            continue
        values = scaled[channel].astype(np.float64)
        values *= normalized.unit[channel]
        values += normalized.low[channel]
        np.clip(values, float(plane[held].min()), float(plane[held].max()), out=values)
        result[channel] = np.rint(values, out=values) if plane.dtype.kind in "iu" else values
        result[channel][holes] = plane[holes]
    return restore_axes(result, normalized)


def spread_to_array(spread: Tensor, normalized: Normalized) -> Array:
    """Convert the spread over the masks to the units of the input: float32 in its shape, NaN at holes."""
    height, width = normalized.array.shape[1:]
    axis, planes = normalized.channel_axis, spread[0, :, :height, :width].to("cpu").numpy()
    result = np.empty_like(normalized.original, np.float32)
    for values, plane, scaled, unit in zip(
        result[None] if axis is None else np.moveaxis(result, axis, 0),
        normalized.array,
        planes,
        normalized.unit.astype(np.float32),
        strict=True,
    ):
        values[:] = np.where(holds_data(plane), scaled * unit, np.float32(np.nan))
    return result


def restore_axes(array: Array, normalized: Normalized) -> Array:
    """Restore the axes of the input from (C, H, W), contiguous and without a mask."""
    if normalized.channel_axis is None:
        return np.asarray(array[0])
    return np.ascontiguousarray(np.moveaxis(array, 0, normalized.channel_axis))
