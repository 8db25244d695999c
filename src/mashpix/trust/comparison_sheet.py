"""Before, after and residual side by side, with enlarged crops: one sheet to look at before a result is trusted."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from mashpix.arrays.colour import Channels, decide_channels
from mashpix.errors import InputError
from mashpix.missing import holds_data, mask_missing, with_nan
from mashpix.trust.drawing import as_shown, encode_png, find_limits, find_residual_limit, to_8_bit, write

if TYPE_CHECKING:
    from PIL import ImageDraw

LARGEST_SIDE = 640
"""Side in pixels of the overviews; larger images are reduced."""
CROP, ZOOM = 64, 4
"""Side in pixels of a crop at most, and how much it is enlarged."""
MARGIN, LINE = 8, 20
"""Pixels between images, and the height of a line of text."""
COLOURS = ("#e6550d", "#3182bd")
"""Frames of the crops."""

Picture = NDArray[np.uint8]


def compare(
    noisy: NDArray[Any],
    denoised: NDArray[Any],
    *,
    channel_axis: int | None = None,
    channels: Channels = "auto",
    name: str | None = None,
    missing: NDArray[np.bool_] | None = None,
) -> bytes:
    """Draw before, after and the residual, and two enlarged crops: most detail, and most structure in the residual.

    Parameters
    ----------
    noisy, denoised : ndarray
        Images of one shape, grey (H, W) or with channels along `channel_axis`. 8 bits are shown as they are; all
        else is stretched between percentiles, each crop by itself.
    channel_axis : int or None
        Axis of the channels; None for a grey image.
    channels : {"auto", "rgb", "independent", "joint"}
        As in `denoise`. RGB is drawn in colour; of channels that are not colour, the mean is.
    name : str or None
        A title, such as which plane of a stack it is.
    missing : ndarray of bool or None
        True for pixels without data, as for `denoise`: they are drawn as NaN is.

    Returns
    -------
    bytes
        A PNG file.

    Raises
    ------
    InputError
        If the shapes differ or no value is finite.
    UsageError
        As `denoise`, for `channels`.
    """
    if noisy.shape != denoised.shape:
        raise InputError(f"images of different shapes cannot be compared ({noisy.shape} and {denoised.shape})")
    noisy = mask_missing(noisy, missing, channel_axis=channel_axis)
    if not (held := holds_data(noisy)).any():
        raise InputError("nothing finite to show")
    first = noisy[None] if channel_axis is None else np.moveaxis(noisy, channel_axis, 0)
    is_rgb = decide_channels(first, channels) == "rgb"
    pair = noisy, mask_missing(denoised, ~held)
    before, after = (_channels_last(array, channel_axis, is_rgb=is_rgb) for array in pair)
    residual = before - after
    crops = _choose_crops(after, residual)
    most = find_residual_limit(residual)
    scale = f"black -{most:.3g}, white +{most:.3g}"
    windows = [np.s_[:, :], *(np.s_[top : top + side, left : left + side] for _, top, left, side in crops)]
    limits = [(0.0, 255.0) if noisy.dtype == np.uint8 else find_limits(before[window]) for window in windows]
    shown = {
        title: [to_8_bit(values[window], pair) for window, pair in zip(windows, pairs, strict=True)]
        for title, values, pairs in (
            ("before" + (f": {name}" if name else ""), before, limits),
            ("after", after, limits),
            (f"residual, before - after: grey 0, {scale}", residual, [(-most, most)] * len(windows)),
        )
    }
    return _draw(shown, crops)


def _channels_last(array: NDArray[Any], channel_axis: int | None, *, is_rgb: bool) -> NDArray[np.float64]:
    """(H, W) or (H, W, 3), NaN where not finite."""
    values = with_nan(array)
    if channel_axis is None:
        return values
    return as_shown(np.moveaxis(values, channel_axis, -1), is_rgb=is_rgb)


def _choose_crops(after: NDArray[np.float64], residual: NDArray[np.float64]) -> list[tuple[str, int, int, int]]:
    """Name, top, left and side of the crops: the parts where the result, and the smoothed residual, vary most."""
    side = min(CROP, *after.shape[:2])
    planes = [np.nan_to_num(_grey(values)) for values in (after, uniform_filter(np.nan_to_num(_grey(residual)), 5))]
    crops: list[tuple[str, int, int, int]] = []
    for name, plane in zip(("most detail", "most structure in the residual"), planes, strict=True):
        mean = uniform_filter(plane, side)
        variance = uniform_filter(plane * plane, side) - mean * mean
        for _, top, left, _ in crops:  # not the same place again
            around = (slice(max(0, start - side // 2), start + 3 * side // 2) for start in (top, left))
            variance[*around] = -1.0
        inside = variance[side // 2 : plane.shape[0] - (side - 1) // 2, side // 2 : plane.shape[1] - (side - 1) // 2]
        row, column = np.unravel_index(inside.argmax(), inside.shape)
        crops.append((name, int(row), int(column), side))
    return crops


def _grey(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values if values.ndim == 2 else np.asarray(values.mean(axis=2))


def _draw(shown: dict[str, list[Picture]], crops: list[tuple[str, int, int, int]]) -> bytes:
    """A PNG: a row of overviews with the crops framed and a scale bar, and a row for each crop."""
    from PIL import Image, ImageDraw

    height, width = next(iter(shown.values()))[0].shape[:2]
    scale = min(1.0, LARGEST_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    zoomed = ZOOM * crops[0][3]
    column = max(size[0], zoomed, 320) + MARGIN
    row = LINE + zoomed + MARGIN
    top_of_crops = 2 * LINE + size[1] + MARGIN
    sheet = Image.new("RGB", (MARGIN + len(shown) * column, top_of_crops + len(crops) * row), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (name, pictures) in enumerate(shown.items()):
        left = MARGIN + index * column
        whole, *parts = map(Image.fromarray, pictures)
        write(draw, left, 2, name)
        sheet.paste(whole.resize(size, Image.Resampling.BOX), (left, LINE))
        _draw_scale(draw, left, LINE + size[1], width=width, scale=scale)
        for number, ((crop_name, y, x, side), part, colour) in enumerate(zip(crops, parts, COLOURS, strict=True)):
            frame = [left + x * scale, LINE + y * scale, left + (x + side) * scale - 1, LINE + (y + side) * scale - 1]
            draw.rectangle(frame, outline=colour)
            top = top_of_crops + number * row
            if index == 0:
                write(draw, left, top + 2, f"{crop_name}: {side} pixels at ({x}, {y}), {ZOOM}x", colour=colour)
            sheet.paste(part.resize((zoomed, zoomed), Image.Resampling.NEAREST), (left, top + LINE))
            draw.rectangle([left, top + LINE, left + zoomed - 1, top + LINE + zoomed - 1], outline=colour)
    return encode_png(sheet)


def _draw_scale(draw: "ImageDraw.ImageDraw", left: int, top: int, *, width: int, scale: float) -> None:
    """A bar of a round number of image pixels, at most a third of the width."""
    digits = 10 ** int(np.log10(max(width / 3, 1)))
    length = next(factor * digits for factor in (5, 2, 1) if factor * digits <= max(width / 3, 1))
    end = left + max(1, round(length * scale))
    draw.rectangle([left, top + 8, end, top + 11], fill="black")
    write(draw, end + 6, top + 2, f"{length} pixels")
