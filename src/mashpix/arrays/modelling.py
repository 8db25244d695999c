"""Fit a model to a few images of one kind, and denoise others with it."""

import warnings
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels, Kind, check_choice, decide_channels
from mashpix.arrays.costs import model_costs
from mashpix.arrays.model import Model, find_groups, fit_to_images, normalize_alike, normalize_like, on_device
from mashpix.arrays.normalization import Array
from mashpix.arrays.planes import Indexable, StackJob, collect, read_picture, run
from mashpix.arrays.presenting import present
from mashpix.arrays.shared import apply_models
from mashpix.axes import check_axes, plane_groups
from mashpix.deprecation import channels_from
from mashpix.devices import choose_device
from mashpix.errors import UsageError
from mashpix.report import Step
from mashpix.settings import Settings, preset
from mashpix.steps import drain

UNRELATED = "channels that do not help to predict each other share one network (a model for each of them is better)"
"""Note of a model: the fit of an image would denoise such channels apart, but a model serves all of them together."""


def fit_model(
    images: Sequence[Array],
    *,
    channel_axis: int | None = None,
    channels: Literal["auto", "rgb", "joint"] = "auto",
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
) -> Model:
    """Fit a model to a few images of one kind, to denoise others of that kind with `apply_model`.

    Parameters
    ----------
    images : sequence of ndarray
        Up to about four images of one dtype, grey (H, W) or with channels along `channel_axis`; sizes may differ.
    channels : {"auto", "rgb", "joint"}
        As for `denoise`. One model serves all channels: "auto" is "rgb" where the first image shows one scene, else
        "joint". Independent channels need one model each.
    channel_axis, data_range, settings, seed, device
        As for `denoise`.

    Returns
    -------
    Model
        It holds the networks, the scale of the values and the masking ratio.

    Raises
    ------
    InputError, UsageError, DeviceError
        As `denoise`; `InputError` also for images of several kinds.

    Warns
    -----
    UserWarning
        If channels do not help to predict each other: a model for each would be better.

    Notes
    -----
    The networks are fitted to a mosaic of the images, so masking ratio and scale are common to all of them. Applying a
    model takes a prediction and refining, no fit: a fraction of the time of `denoise`. The noise is measured anew in
    each image. A model suits images of the same camera, exposure and content; on others its result is worse than that
    of `denoise`, and `check` reports it only in part. For presets and references see `denoise`.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(100, 10, (2, 32, 32)).astype(np.float32)
    >>> model = fit_model(noisy, settings=Settings(masking_ratio=0.5, steps=3), device="cpu")
    >>> apply_model(model, noisy[0], axes="YX", device="cpu").shape
    (32, 32)
    """
    arrays = [image[None] if channel_axis is None else np.moveaxis(image, channel_axis, 0) for image in images]
    model = drain(
        fit_model_steps(arrays, channels=channels, data_range=data_range, settings=settings, seed=seed, device=device)
    )
    for note in model.notes:
        warnings.warn(note, stacklevel=2)
    return model


def apply_model(
    model: Model,
    stack: Indexable,
    *,
    axes: str,
    channels: Channels = "auto",
    seed: int = 0,
    device: str = "auto",
) -> NDArray[Any]:
    """Denoise an image or a stack with a model; nothing is fitted.

    Parameters
    ----------
    model : Model
        As `fit_model` returns it.
    stack, axes, seed, device
        As for `denoise_stack`.
    channels : {"auto", "rgb", "independent", "joint"}
        "joint" and "rgb" give the model all channels along C and S together, "independent" one by one; "auto" the
        samples of S together unless the model has a single channel, those of C one by one. The model knows whether they
        are colours.

    Returns
    -------
    ndarray
        Shape and dtype of `stack`.

    Raises
    ------
    InputError, UsageError, DeviceError
        As `denoise_stack`; `InputError` also if the channels or the dtype are not those of the model, `UsageError` for
        "rgb" with a model that is not one of RGB images.
    """
    return collect(apply_model_steps(model, stack, axes=axes, channels=channels, seed=seed, device=device), stack)


def fit_model_steps(
    pictures: Sequence[Array],
    *,
    channels: Literal["auto", "rgb", "joint"] = "auto",
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
) -> Generator[Step, None, Model]:
    """Fit a model step by step: as `fit_model`, to images (C, H, W), such as `shared.choose_pictures` selects.

    Yields
    ------
    Step
        One per update; the generator returns the model, for `apply_model_steps`.
    """
    settings = preset(settings)
    chosen, _ = choose_device(device)
    kind = decide_channels(pictures[0], channels)
    images = normalize_alike(pictures, data_range=data_range, settings=settings, is_rgb=kind == "rgb")
    generator = torch.Generator(chosen).manual_seed(seed)
    joint = len(pictures[0]) if kind == "joint" else 1
    size, count = pictures[0][0].size, len(pictures)
    plan = model_costs(size, count, settings, share_noise=False, joint_channels=joint)[0]
    fitting = fit_to_images(images, share_noise=False, settings=settings, generator=generator)
    model = yield from present(fitting, images[0], plan=plan, seconds={})
    unrelated = kind == "joint" and len(find_groups(images, settings=settings)) > 1
    return replace(model, notes=(UNRELATED,)) if unrelated else model


def apply_model_steps(
    model: Model,
    stack: Indexable,
    *,
    axes: str,
    channels: Channels = "auto",
    seed: int = 0,
    device: str = "auto",
    joint: bool | None = None,
) -> Generator[Step, None, None]:
    """Apply a model step by step: the generator behind `apply_model`, with the steps of `denoise_stack_steps`.

    Parameters
    ----------
    joint
        Deprecated: `channels="joint"`.
    """
    axes = check_axes(axes, tuple(stack.shape))
    channels = channels_from(channels, joint, axes=axes)
    chosen, _ = choose_device(device)
    check_choice(channels)
    if channels == "rgb" and not model.is_rgb:
        raise UsageError("`channels`: the model is not one of RGB images (auto, independent or joint fits)")
    groups = plane_groups(axes, tuple(stack.shape), joint=channels in ("joint", "rgb"))
    first = read_picture(stack, axes, groups[0][0])
    alone = channels == "independent" or model.channels == 1
    kind: Kind = "independent" if alone else "rgb" if model.is_rgb else "joint"
    job = StackJob(stack, axes, None, model.settings, seed, chosen, kind if len(first) * len(groups) > 1 else None)
    for part in job.parts:
        normalize_like(first[part], model)
    share_noise = any(noises is not None for noises in model.noises)
    model, plan = on_device(model, chosen), model_costs(first[0].size, 1, model.settings, share_noise=share_noise)[1]
    models = [model] * len(job.parts)
    return run(job, groups, lambda job, _, todo: apply_models(job, todo, models, plan=plan))
