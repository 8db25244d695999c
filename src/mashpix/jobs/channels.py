"""What a file, and who asks for a job, say about channels: as the functions on arrays take it."""

from typing import Literal

from mashpix.arrays.colour import Channels
from mashpix.files import OpenFile

ModelChannels = Literal["auto", "rgb", "joint"]
"""What the channels of a model can be: it serves all of them together."""


def channels_of(opened: OpenFile, *, joint: bool = False) -> Channels:
    """What channels are: "joint" if those along C are to be denoised together, else what the file knows of samples.

    Samples (axis S) that the file says nothing about are "auto": the image shows whether they are one scene.
    """
    if joint and "C" in opened.axes:
        return "joint"
    if "S" not in opened.axes or opened.is_rgb is None:
        return "auto"
    samples = dict(zip(opened.axes, opened.shape, strict=True))["S"]
    return "rgb" if opened.is_rgb and samples == 3 else "independent"


def channels_of_model(opened: OpenFile, *, joint: bool) -> ModelChannels:
    """The same for a model."""
    channels = channels_of(opened, joint=joint)
    return "joint" if channels == "independent" else channels
