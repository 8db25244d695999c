"""Denoise one image: arrays in, arrays out."""

from collections import deque
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.apart import denoise_apart
from mashpix.arrays.colour import Channels, decide_channels, explain
from mashpix.arrays.costs import check_memory, expected_costs
from mashpix.arrays.model import find_groups
from mashpix.arrays.normalization import (
    Normalized,
    is_blank,
    normalize,
    to_picture,
)
from mashpix.arrays.presenting import finished, present, unchanged
from mashpix.devices import choose_device, release_freed_memory
from mashpix.method.early_stop import EarlyStop
from mashpix.method.mash import mash, side_multiple
from mashpix.method.relations import Groups
from mashpix.missing import mask_missing
from mashpix.report import Step
from mashpix.settings import Settings, preset
from mashpix.steps import relay

PREVIEW_INTERVAL = 50
"""Updates between two previews of the image in the steps of `denoise_steps`."""


def denoise(
    image: NDArray[Any],
    *,
    channel_axis: int | None = None,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
) -> NDArray[Any]:
    """Denoise one image from that image alone, by MASH [1]_ and a refinement of its result.

    Parameters
    ----------
    image : ndarray
        Grey (H, W), or with channels along `channel_axis`; any integer or floating dtype, any size from 8 x 8,
        any units. NaN, infinite and masked pixels are ignored and keep their values and places.
    channel_axis : int or None
        Axis of the channels; None for a grey image.
    channels : {"auto", "rgb", "independent", "joint"}
        "rgb": the three channels are the colours of one scene in one unit, as of a camera. "independent": each
        channel is denoised by itself, as if it were alone. "joint": one network for all channels, which are not
        treated as colour. "auto": "rgb" where the image shows that its three channels are one scene, else
        "independent"; the report names the choice.
    missing : ndarray of bool or None
        True for pixels without data, which are ignored and keep their values: the shape of `image`, or (H, W) for all
        channels. A masked array as `image` does the same.
    data_range : float or None
        Distance from black to white in the units of `image`. The published presets measure in it; None takes
        the maximum of an unsigned integer dtype, else the range of the values. `default` measures its own scale and
        ignores it.
    settings : Settings or str
        Settings, or the name of a preset.
    seed : int
        The same image, settings, seed and version give the same bytes on one class of device, and on a CPU
        for one number of threads.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".

    Returns
    -------
    ndarray
        Shape and dtype of `image`, within the range of its values.

    Raises
    ------
    InputError
        For an image that cannot be denoised.
    UsageError
        For an unknown preset, device or choice of channels, or a `data_range` that is not positive.
    DeviceError
        If the device asked for is not available.

    Notes
    -----
    A small U-Net learns to predict pixels that a random mask hides from it; it cannot predict their noise. Correlated
    noise calls for a higher masking ratio, which is chosen by the correlation of neighbouring pixels in flat blocks.
    The mean over several masks is the prediction. It lacks fine detail, which is in the residual, together with the
    noise: the spectrum of the noise is measured in flat blocks of the residual, and what exceeds it is restored by
    transform-domain filters [2]_. `docs/method.md` derives each step.

    The time is about proportional to the updates of the network, and for images larger than a window of 128 pixels
    that of the prediction to the pixels; the memory to the pixels. "default" suits most images; "fast" makes a quarter
    of the updates, for previews and large batches. "paper" and "scripts" are the published method without refining, a
    hundred times slower, for comparisons.

    References
    ----------
    .. [1] H. Chihaoui and P. Favaro, "Masked and Shuffled Blind Spot Denoising for Real-World Images", CVPR 2024.
           :DOI:`10.48550/arXiv.2404.09389`
    .. [2] K. Dabov, A. Foi, V. Katkovnik and K. Egiazarian, "Image denoising by sparse 3-D transform-domain
           collaborative filtering", IEEE Transactions on Image Processing 16, 2007. :DOI:`10.1109/TIP.2007.901238`

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(100, 10, (32, 32)).astype(np.float32)
    >>> quick = Settings(masking_ratio=0.5, steps=3)
    >>> denoised = denoise(noisy, settings=quick, device="cpu")
    >>> denoised.shape, denoised.dtype
    ((32, 32), dtype('float32'))
    """
    steps = denoise_steps(
        image,
        channel_axis=channel_axis,
        channels=channels,
        missing=missing,
        data_range=data_range,
        settings=settings,
        seed=seed,
        device=device,
        preview_every=0,
    )
    (last,) = deque(steps, maxlen=1)
    assert last.denoised is not None
    return last.denoised


def denoise_steps(
    image: NDArray[Any],
    *,
    channel_axis: int | None = None,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
    preview_every: int = PREVIEW_INTERVAL,
    early_stop: EarlyStop | None = None,
) -> Generator[Step, None, None]:
    """Denoise one image step by step: the generator behind `denoise`, with the same parameters and errors.

    Leaving the loop, or `.close()`, stops the work; the last `Step.denoised` seen is the image at that point.

    Parameters
    ----------
    preview_every : int
        Updates between two steps that carry a preview of the image; 0 for none before the last. The result
        does not depend on it.
    early_stop : EarlyStop or None
        Ends the fit when the result is wanted now; None: only as the settings say.

    Yields
    ------
    Step
        One per update; the last has the stage "done" and holds `denoised`, `spread` and `report`.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(100, 10, (32, 32))
    >>> quick = Settings(masking_ratio=0.5, steps=3, masks=2)
    >>> for step in denoise_steps(noisy, settings=quick, device="cpu"):
    ...     print(step.stage, step.index, round(step.fraction, 2))
    fit 1 0.27
    fit 2 0.55
    fit 3 0.82
    predict 1 0.91
    predict 2 1.0
    done 1 1.0
    """
    settings = preset(settings)
    chosen, _ = choose_device(device)
    image = mask_missing(image, missing, channel_axis=channel_axis)
    normalized = normalize(
        image,
        channel_axis=channel_axis,
        data_range=data_range,
        scale=settings.scale,
        find=settings.find_defects,
        repair=settings.repair_defects,
        stripes=settings.stripes,
    )
    kind = decide_channels(normalized.sound, channels)
    count = len(normalized.array)
    run = partial(
        _denoise_together,
        settings=settings,
        seed=seed,
        device=chosen,
        preview_every=preview_every,
        early_stop=early_stop or EarlyStop(settings.stop_after),
    )
    check_memory(normalized.array.size // (count if kind == "independent" else 1))
    groups: Groups = tuple((channel,) for channel in range(count)) if kind == "independent" else ()
    if kind == "joint":
        groups = find_groups([normalized], settings=settings)
    if kind is None or len(groups) < 2:
        steps = run(replace(normalized, is_rgb=kind == "rgb"))
    else:
        steps = denoise_apart(normalized, groups, run, kind=kind)
    if channels != "auto" or kind is None:
        return steps
    note = explain(kind, count)
    return relay(steps, lambda step: step if step.report is None else replace(step, report=step.report.noted(note)))


def _denoise_together(
    normalized: Normalized,
    *,
    settings: Settings,
    seed: int,
    device: torch.device,
    preview_every: int,
    early_stop: EarlyStop,
) -> Generator[Step, None, None]:
    """Denoise all channels with networks in common."""
    if is_blank(normalized.array):
        yield unchanged(normalized, device=device)
        return
    picture = to_picture(normalized, multiple=side_multiple(settings), device=device)
    generator = torch.Generator(device).manual_seed(seed)
    seconds: dict[str, float] = {}
    steps = mash(picture, settings=settings, generator=generator, preview_every=preview_every, early_stop=early_stop)
    joint = 1 if picture.is_rgb else len(normalized.array)
    plan = expected_costs(picture.pixels[0, 0].numel(), settings, joint_channels=joint)
    del picture
    normalized = normalized.without_pattern
    release_freed_memory()  # of looking for defects and stripes
    result = present(steps, normalized, plan=plan, seconds=seconds)
    tones = settings.tone_correction
    yield finished((yield from result), normalized, device=device, seconds=seconds, tone_correction=tones)
