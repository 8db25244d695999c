"""Stacks: RGB jointly, channels each for themselves, planes along Z and T one by one with one network for all."""

from collections.abc import Generator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels, Kind, check_choice, decide_channels, decide_stack_channels
from mashpix.arrays.costs import model_costs
from mashpix.arrays.denoising import present
from mashpix.arrays.model import Model, fit_to_doors, make_doors, on_device, open_like
from mashpix.arrays.normalization import Array
from mashpix.arrays.planes import Indexable, Work, apply_to_all, fit_each, fit_once, read_picture, run
from mashpix.axes import FITS, Networks, check_axes, plane_groups
from mashpix.deprecation import warn_renamed
from mashpix.devices import choose_device
from mashpix.errors import UsageError
from mashpix.report import Step
from mashpix.settings import Settings, preset
from mashpix.steps import drain


def denoise_stack(
    stack: Indexable,
    *,
    axes: str,
    networks: Networks = "shared",
    channels: Channels = "auto",
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
    fit: Literal["once", "each"] | None = None,
    joint: bool | None = None,
) -> NDArray[Any]:
    """Denoise a stack plane by plane.

    Parameters
    ----------
    stack : ndarray
        Or anything with `shape` and `dtype` that gives planes when indexed, such as a mapped file: planes are
        read when their turn comes.
    axes : str
        One letter per axis, as tifffile writes them, such as "TZCYX". Y and X are the plane, S its samples, C
        channels; along all other axes lie planes of one kind.
    networks : {"shared", "each"}
        "shared" fits one network to up to four planes of a kind, spread over the stack, and applies it to all:
        faster, and equal planes stay equal. "each" fits one network per plane, as `denoise` does.
    channels : {"auto", "rgb", "independent", "joint"}
        As in `denoise`, of the axes S and C together. "auto": three samples along S are RGB; samples of any other
        number, and all channels along C, are independent. Nothing is measured.
    data_range, settings, seed, device
        As in `denoise`.
    fit, joint
        Deprecated: `networks` ("once" is "shared") and `channels="joint"`.

    Returns
    -------
    ndarray
        Shape and dtype of `stack`. Planes that are blank, or hardly hold a finite value, are returned unchanged.

    Raises
    ------
    InputError, UsageError, DeviceError
        As `denoise`; `UsageError` for axes that do not fit too.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(100, 10, (3, 32, 32)).astype(np.float32)
    >>> quick = Settings(masking_ratio=0.5, steps=3)
    >>> denoise_stack(noisy, axes="TYX", settings=quick, device="cpu").shape
    (3, 32, 32)
    """
    steps = denoise_stack_steps(
        stack,
        axes=axes,
        networks=networks,
        channels=channels,
        data_range=data_range,
        settings=settings,
        seed=seed,
        device=device,
        fit=fit,
        joint=joint,
    )
    return _collect(steps, stack)


def denoise_stack_steps(
    stack: Indexable,
    *,
    axes: str,
    networks: Networks = "shared",
    channels: Channels = "auto",
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
    fit: Literal["once", "each"] | None = None,
    joint: bool | None = None,
) -> Generator[Step, None, None]:
    """Denoise a stack step by step: the generator behind `denoise_stack`, with the same parameters and errors.

    It holds one picture at a time, and the planes that a network is fitted to while it is.

    Yields
    ------
    Step
        One per update, and one with the stage "plane" for each plane that is finished: its `denoised` is to go to
        `stack[step.plane]`, and `spread` and `report` are those of the plane (with `joint`, the report comes with the
        last plane of a picture). The last has the stage "done" and holds the report of all.
    """
    settings = preset(settings) if isinstance(settings, str) else settings
    axes = check_axes(axes, tuple(stack.shape))
    networks, channels = _formerly(networks, channels, axes, fit=fit, joint=joint)
    if networks not in get_args(Networks):
        raise UsageError(f"`networks`: unknown choice ({networks!r}; one of {', '.join(get_args(Networks))})")
    kind, together = decide_stack_channels(axes, tuple(stack.shape), channels)
    chosen, _ = choose_device(device)
    work = Work(stack, axes, data_range, settings, seed, chosen, kind)
    groups = plane_groups(axes, tuple(stack.shape), joint=together)
    shared = networks == "shared"
    return run(work, groups, lambda group: (fit_once if shared and len(group) > 1 else fit_each)(work, group))


def _formerly(
    networks: Networks, channels: Channels, axes: str, *, fit: str | None, joint: bool | None
) -> tuple[Networks, Channels]:
    """The options that `fit` and `joint`, their former names, stand for."""
    if fit is not None:
        warn_renamed("fit", 'networks="shared" or "each"')
        if fit not in FITS:
            raise UsageError(f"`fit`: unknown choice ({fit!r}; one of {', '.join(FITS)})")
        networks = "each" if fit == "each" else "shared"
    if joint is not None:
        warn_renamed("joint", 'channels="joint"')
        channels = "joint" if joint and "C" in axes else channels
    return networks, channels


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
    """Fit a model to a few images of one kind; `apply_model` denoises others of the kind with it, fast and alike.

    Parameters
    ----------
    images : sequence of ndarray
        Up to about four images of one dtype, grey (H, W) or with channels along `channel_axis`; sizes may differ.
    channels : {"auto", "rgb", "joint"}
        As in `denoise`. One model serves all channels: "auto" is "rgb" where the first image shows one scene, else
        "joint". Independent channels need a model each.
    channel_axis, data_range, settings, seed, device
        As in `denoise`.

    Raises
    ------
    InputError, UsageError, DeviceError
        As `denoise`; `InputError` for images of several kinds too.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(100, 10, (2, 32, 32)).astype(np.float32)
    >>> model = fit_model(noisy, settings=Settings(masking_ratio=0.5, steps=3), device="cpu")
    >>> apply_model(model, noisy[0], axes="YX", device="cpu").shape
    (32, 32)
    """
    arrays = [image[None] if channel_axis is None else np.moveaxis(image, channel_axis, 0) for image in images]
    return drain(
        fit_model_steps(arrays, channels=channels, data_range=data_range, settings=settings, seed=seed, device=device)
    )


def apply_model(
    model: Model,
    stack: Indexable,
    *,
    axes: str,
    channels: Channels = "auto",
    seed: int = 0,
    device: str = "auto",
) -> NDArray[Any]:
    """Denoise an image or a stack with a model; nothing is fitted. Parameters and errors as for `apply_model_steps`.

    Returns
    -------
    ndarray
        Shape and dtype of `stack`.
    """
    return _collect(apply_model_steps(model, stack, axes=axes, channels=channels, seed=seed, device=device), stack)


def _collect(steps: Generator[Step, None, None], stack: Indexable) -> NDArray[Any]:
    """The planes of all steps in one array."""
    result = np.empty(stack.shape, stack.dtype)
    for step in steps:
        if step.plane is not None:
            result[step.plane] = step.denoised
    return result


def fit_model_steps(
    pictures: Sequence[Array],
    *,
    channels: Literal["auto", "rgb", "joint"] = "auto",
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
) -> Generator[Step, None, Model]:
    """Fit a model to a few pictures (C, H, W) of one kind, such as `planes.choose_pictures` takes out of many.

    Parameters
    ----------
    channels : {"auto", "rgb", "joint"}
        As in `denoise`; one model serves all channels, so "auto" is "rgb" where the first picture shows one scene,
        else "joint". Independent channels need a model each.

    Yields
    ------
    Step
        One per update; the generator returns the model, for `apply_model_steps`.
    """
    settings = preset(settings) if isinstance(settings, str) else settings
    chosen, _ = choose_device(device)
    kind = decide_channels(pictures[0], channels)
    doors = make_doors(pictures, data_range=data_range, settings=settings, is_rgb=kind == "rgb")
    generator = torch.Generator(chosen).manual_seed(seed)
    plan = model_costs(pictures[0][0].size, len(pictures), settings, share_noise=False)[0]
    fitting = fit_to_doors(doors, share_noise=False, settings=settings, generator=generator)
    model = yield from present(fitting, doors[0], plan=plan, seconds={})
    return model


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
    """Denoise a stack, or an image, with a model: steps as those of `denoise_stack_steps`, nothing is fitted.

    Parameters
    ----------
    channels : {"auto", "rgb", "independent", "joint"}
        "joint" and "rgb" show the model all channels along C and S at once, "independent" one by one; "auto" the
        samples of S at once unless it has a single channel, those of C one by one. The model knows whether they are
        colours.
    joint
        Deprecated: `channels="joint"`.

    Raises
    ------
    InputError
        If its channels or its dtype are not those of the model.
    UsageError
        For an unknown choice of channels, and for "rgb" if the model is none of RGB images.
    """
    axes = check_axes(axes, tuple(stack.shape))
    _, said = _formerly("shared", channels, axes, fit=None, joint=joint)
    chosen, _ = choose_device(device)
    check_choice(said)
    if said == "rgb" and not model.is_rgb:
        raise UsageError("`channels`: the model is not one of RGB images (auto, independent or joint fits)")
    groups = plane_groups(axes, tuple(stack.shape), joint=said in ("joint", "rgb"))
    first = read_picture(stack, axes, groups[0][0])
    alone = said == "independent" or model.channels == 1
    kind: Kind = "independent" if alone else "rgb" if model.is_rgb else "joint"
    work = Work(stack, axes, None, model.settings, seed, chosen, kind if len(first) * len(groups) > 1 else None)
    for part in work.parts:
        open_like(first[part], model)
    share_noise = any(noises is not None for noises in model.noises)
    model, plan = on_device(model, chosen), model_costs(first[0].size, 1, model.settings, share_noise=share_noise)[1]
    models = [model] * len(work.parts)
    return run(work, groups, lambda group: apply_to_all(work, group, models, plan=plan, start=0.0, seconds={}))
