"""Combine what a file and a request say about channels into an option of the functions on arrays."""

from typing import Literal

import numpy as np

from mashpix.arrays.colour import Channels, Kind, decide_channels, decide_stack_channels
from mashpix.axes import Index, middle_plane, samples_axis, window_of
from mashpix.errors import UsageError
from mashpix.files import OpenFile
from mashpix.missing import mask_missing

ModelChannels = Literal["auto", "rgb", "joint"]
"""The kinds of channels that a model can have: it denoises all of them together."""
PART = 2048
"""Side of the part of a large plane that is looked at, pixels."""
LARGE = 2**24
"""Largest width x height of a plane that is looked at as a whole."""


def channels_of(opened: OpenFile, said: Channels = "auto") -> Channels:
    """Return the kind of channels: the caller's choice, unless that is "auto"; then what the file says.

    Samples (axis S) that the file says nothing about are "auto": the image shows whether they are one scene; in
    a stack, the middle plane does.
    """
    if said != "auto" or "S" not in opened.axes:
        return said
    if opened.is_rgb is None:
        return _measure(opened) or "auto" if opened.is_stack else "auto"
    samples = dict(zip(opened.axes, opened.shape, strict=True))["S"]
    return "rgb" if opened.is_rgb and samples == 3 else "independent"


def channels_of_model(opened: OpenFile, said: Channels) -> ModelChannels:
    """Return the kind of channels for a model; `UsageError` if the caller wants independent samples."""
    channels = channels_of(opened, said)
    if said == "independent" and "S" in opened.axes:
        raise UsageError("independent channels need a model each (`channels`: joint makes one for all)")
    return "joint" if channels == "independent" else channels


def decide_file_channels(opened: OpenFile, said: Channels) -> tuple[Kind | None, bool]:
    """Decide how the channels of a file will be denoised, and whether those along C belong together.

    As `decide_stack_channels`; the samples of a single image are measured if nothing is known about them.
    """
    channels = channels_of(opened, said)
    if channels == "auto" and "S" in opened.axes and not opened.is_stack:
        return _measure(opened), False
    return decide_stack_channels(opened.axes, tuple(opened.shape), channels)


def middle_part(opened: OpenFile) -> Index:
    """Return the index of the plane in the middle, or of the middle of that plane where it is large."""
    middle, lengths = middle_plane(opened.axes, opened.shape), dict(zip(opened.axes, opened.shape, strict=True))
    starts = [max(lengths[letter] - PART, 0) // 2 for letter in "YX"]
    if lengths["Y"] * lengths["X"] <= LARGE:
        return middle
    return window_of(middle, opened.axes, *(slice(start, start + PART) for start in starts))


def _measure(opened: OpenFile) -> Kind | None:
    """Measure the samples of the middle plane."""
    middle, axis = middle_part(opened), samples_axis(opened.axes)
    plane = mask_missing(opened[middle], opened.missing(middle))
    return None if axis is None else decide_channels(np.moveaxis(plane, axis, 0), "auto")
