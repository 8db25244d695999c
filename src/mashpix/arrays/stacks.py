"""Stacks: RGB jointly, channels each for themselves, planes along Z and T one by one with one network for all."""

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.costs import model_costs
from mashpix.arrays.denoising import present
from mashpix.arrays.model import Model, fit_model, make_doors, on_device, open_like
from mashpix.arrays.normalization import Array
from mashpix.arrays.planes import Indexable, Work, apply_to_all, fit_each, fit_once, read_picture, run
from mashpix.axes import FITS, check_axes, plane_groups
from mashpix.devices import choose_device
from mashpix.errors import UsageError
from mashpix.report import Step
from mashpix.settings import Settings, preset


def denoise_stack(
    stack: Indexable,
    *,
    axes: str,
    fit: str = "once",
    joint: bool = False,
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
) -> NDArray[Any]:
    """Denoise a stack plane by plane.

    Parameters
    ----------
    stack : ndarray
        Or anything with `shape` and `dtype` that gives planes when indexed, such as a mapped file: planes are
        read when their turn comes.
    axes : str
        A letter for each axis, as tifffile writes them, such as "TZCYX". Y and X are the plane. S (RGB) is denoised
        jointly, C channel by channel; along all other axes lie planes of one kind.
    fit : {"once", "each"}
        "once" fits one network to up to four planes of a kind, spread over the stack, and applies it to all: faster,
        and equal planes stay equal. "each" fits one to each plane, as `denoise` does.
    joint : bool
        Denoise all channels of C together.
    data_range, settings, seed, device
        As in `denoise`.

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
        stack, axes=axes, fit=fit, joint=joint, data_range=data_range, settings=settings, seed=seed, device=device
    )
    result = np.empty(stack.shape, stack.dtype)
    for step in steps:
        if step.plane is not None:
            result[step.plane] = step.denoised
    return result


def denoise_stack_steps(
    stack: Indexable,
    *,
    axes: str,
    fit: str = "once",
    joint: bool = False,
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
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
    if fit not in FITS:
        raise UsageError(f"fit: unknown choice ({fit!r}; one of {', '.join(FITS)})")
    chosen, _ = choose_device(device)
    work = Work(stack, axes, data_range, settings, seed, chosen)
    groups = plane_groups(axes, tuple(stack.shape), joint=joint)
    once = fit == "once"
    return run(work, groups, lambda group: (fit_once if once and len(group) > 1 else fit_each)(work, group))


def fit_model_steps(
    pictures: Sequence[Array],
    *,
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
) -> Generator[Step, None, Model]:
    """Fit a model to a few pictures (C, H, W) of one kind, such as `planes.choose_pictures` takes out of many.

    Yields
    ------
    Step
        One per update; the generator returns the model, for `apply_model_steps`.
    """
    settings = preset(settings) if isinstance(settings, str) else settings
    chosen, _ = choose_device(device)
    doors = make_doors(pictures, data_range=data_range, settings=settings)
    generator = torch.Generator(chosen).manual_seed(seed)
    plan = model_costs(pictures[0][0].size, len(pictures), settings, share_noise=False)[0]
    fitting = fit_model(doors, share_noise=False, settings=settings, generator=generator)
    model = yield from present(fitting, doors[0], plan=plan, seconds={})
    return model


def apply_model_steps(
    model: Model, stack: Indexable, *, axes: str, joint: bool = False, seed: int = 0, device: str = "auto"
) -> Generator[Step, None, None]:
    """Denoise a stack, or a picture, with a model: steps as those of `denoise_stack_steps`, nothing is fitted.

    Raises
    ------
    InputError
        If its channels or its dtype are not those of the model.
    """
    axes = check_axes(axes, tuple(stack.shape))
    chosen, _ = choose_device(device)
    work = Work(stack, axes, None, model.settings, seed, chosen)
    groups = plane_groups(axes, tuple(stack.shape), joint=joint)
    first = read_picture(stack, axes, groups[0][0])
    open_like(first, model)
    share_noise = any(noises is not None for noises in model.noises)
    model, plan = on_device(model, chosen), model_costs(first[0].size, 1, model.settings, share_noise=share_noise)[1]
    return run(work, groups, lambda group: apply_to_all(work, group, model, plan=plan, start=0.0, seconds={}))
