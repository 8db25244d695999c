"""Arrays in, array out: the public functions, which run the method on one picture and tell what it does."""

import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels, Kind, decide_channels, explain
from mashpix.arrays.costs import check_memory, expected_costs
from mashpix.arrays.model import find_groups
from mashpix.arrays.normalization import (
    Door,
    is_constant,
    open_door,
    restore_axes,
    select_channels,
    spread_to_array,
    to_array,
    to_picture,
)
from mashpix.arrays.summary import describe_averaged, join_reports
from mashpix.devices import choose_device
from mashpix.method.mash import Result, mash, side_multiple
from mashpix.method.relations import Groups
from mashpix.report import Report, Step
from mashpix.settings import Scale, Settings, preset
from mashpix.steps import relay, scaled

Returned = TypeVar("Returned")

PREVIEW_EVERY = 50
"""Updates between two pictures in the steps of `denoise_steps`, unless told otherwise."""


def denoise(
    image: NDArray[Any],
    *,
    channel_axis: int | None = None,
    channels: Channels = "auto",
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
) -> NDArray[Any]:
    """Denoise one picture from that picture alone, by MASH (arXiv 2404.09389).

    Parameters
    ----------
    image : ndarray
        Grey (H, W), or with channels along `channel_axis`; any integer or floating dtype, any size from 8 x 8,
        any units. NaN and infinite pixels are left out and come back at their places.
    channel_axis : int or None
        Axis of the channels; None for a grey picture.
    channels : {"auto", "rgb", "independent", "joint"}
        "rgb": the three channels are the colours of one scene in one unit, as of a camera. "independent": each
        channel is denoised by itself, as if it were alone. "joint": one network for all channels, which are not
        treated as colour. "auto": "rgb" where the image shows that its three channels are one scene, else
        "independent"; the report says which.
    data_range : float or None
        Distance from black to white in the units of `image`. The published presets measure in it; None takes
        what the dtype can hold if that is an unsigned integer, else the range of the values. `default` measures
        its own scale and ignores it.
    settings : Settings or str
        Settings, or the name of a preset.
    seed : int
        The same picture, settings, seed and version give the same bytes on one class of device, and on a CPU
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
        For a picture that cannot be denoised.
    UsageError
        For an unknown preset, device or kind of channels, or a `data_range` that is not positive.
    DeviceError
        If the device asked for is not there.

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
    data_range: float | None = None,
    settings: Settings | str = "default",
    seed: int = 0,
    device: str = "auto",
    preview_every: int = PREVIEW_EVERY,
) -> Generator[Step, None, None]:
    """Denoise one picture step by step: the generator behind `denoise`, with the same parameters and errors.

    Leaving the loop, or `.close()`, stops the work; the last `Step.denoised` seen is the picture by then.

    Parameters
    ----------
    preview_every : int
        Updates between two steps that carry the picture as it stands; 0 for none before the last. The result
        does not depend on it.

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
    settings = preset(settings) if isinstance(settings, str) else settings
    chosen, _ = choose_device(device)
    door = open_door(image, channel_axis=channel_axis, data_range=data_range, scale=settings.scale)
    kind = decide_channels(door.array, channels)
    working = partial(_run, settings=settings, seed=seed, device=chosen, preview_every=preview_every)
    steps = _run_kind(door, kind, working, data_range=data_range, settings=settings)
    if channels != "auto" or kind is None:
        return steps
    return relay(steps, partial(_with_note, note=explain(kind, len(door.array))))


def _with_note(step: Step, *, note: str) -> Step:
    """The step with one more note in its report, if it has one."""
    if step.report is None:
        return step
    return replace(step, report=replace(step.report, notes=(*step.report.notes, note)))


def _run_kind(
    door: Door,
    kind: Kind | None,
    working: Callable[[Door], Generator[Step, None, None]],
    *,
    data_range: float | None,
    settings: Settings,
) -> Generator[Step, None, None]:
    """Channels of a kind: together, in groups, or each by itself. What does not fit into memory is refused at once."""
    if kind == "independent":
        check_memory(door.array[0].size)
        groups: Groups = tuple((channel,) for channel in range(len(door.array)))
        return _run_each(door, groups, working, data_range=data_range, scale=settings.scale)
    check_memory(door.array.size)
    if kind == "joint" and len(groups := find_groups([door], settings=settings)) > 1:
        return _run_each(door, groups, working, data_range=data_range, scale=settings.scale, kind=kind)
    return working(replace(door, is_rgb=kind == "rgb"))


def _run_each(
    door: Door,
    groups: Groups,
    working: Callable[[Door], Generator[Step, None, None]],
    *,
    data_range: float | None,
    scale: Scale,
    kind: Kind = "independent",
) -> Generator[Step, None, None]:
    """Each group of channels as if it were alone, then all of them together."""
    shown, spread = door.array.copy(), np.zeros(door.array.shape, np.float32)
    reports: list[Report] = []
    for number, group in enumerate(groups):
        own = select_channels(door, group, data_range=data_range, scale=scale)
        with closing(scaled(working(own), number / len(groups), 1 / len(groups))) as steps:
            for step in steps:
                if step.denoised is not None:
                    shown[list(group)] = step.denoised
                if step.report is not None and step.spread is not None:
                    spread[list(group)] = step.spread
                    reports.append(step.report)
                elif step.denoised is not None:
                    yield replace(step, denoised=restore_axes(shown.copy(), door))
                else:
                    yield step
    report = join_reports(reports, groups, shape=door.original.shape, channels=kind)
    denoised, spread = (restore_axes(array, door) for array in (shown, spread))
    yield Step("done", 1, 1, 1.0, denoised=denoised, spread=spread, report=report)


def _run(
    door: Door, *, settings: Settings, seed: int, device: torch.device, preview_every: int
) -> Generator[Step, None, None]:
    if is_constant(door):
        report = describe(door, None, device=device)
        spread = np.zeros(door.original.shape, dtype=np.float32)
        yield Step("done", 1, 1, 1.0, denoised=door.original.copy(), spread=spread, report=report)
        return
    picture = to_picture(door, multiple=side_multiple(settings), device=device)
    generator = torch.Generator(device).manual_seed(seed)
    seconds: dict[str, float] = {}
    working = mash(picture, settings=settings, generator=generator, preview_every=preview_every)
    plan = expected_costs(picture.pixels[0, 0].numel(), settings)
    result = yield from present(working, door, plan=plan, seconds=seconds)
    report = describe(door, result, device=device, seconds=seconds)
    spread = spread_to_array(result.spread, door)
    yield Step("done", 1, 1, 1.0, denoised=to_array(result.denoised, door), spread=spread, report=report)


def describe(
    door: Door, result: Result | None, *, device: torch.device, seconds: dict[str, float] | None = None
) -> Report:
    """What was measured and decided; None as the result stands for a constant picture."""
    report = Report(
        shape=door.original.shape,
        dtype=str(door.array.dtype),
        device=str(device),
        threads=torch.get_num_threads(),
        hole_fraction=float(1 - np.isfinite(door.array).mean()),
        channels=door.channels,
    )
    if result is None:
        return replace(report, constant=True, notes=("constant picture: returned unchanged",))
    low, high = result.masking.noise_levels or (None, None)
    return replace(
        report,
        low_noise_level=low,
        high_noise_level=high,
        noise_level_gap=result.masking.gap,
        neighbour_correlation=result.masking.correlation,
        masking_ratio=result.masking.masking_ratio,
        shuffled_fraction=result.shuffled_fraction,
        mean_spread=float(np.nanmean(spread_to_array(result.spread, door))),
        held_out_error=float(np.sqrt(np.mean(result.held_out.cpu().numpy() * np.square(door.unit)))),
        averaged_channels=result.averaged,
        seconds=seconds or {},
        notes=describe_averaged(result.averaged, len(door.array)),
    )


def present(
    steps: Generator[Step, None, Returned], door: Door, *, plan: dict[str, float], seconds: dict[str, float]
) -> Generator[Step, None, Returned]:
    """Pass steps on with the fraction done and pictures as arrays; add up the time each stage takes."""
    whole, done = sum(plan.values()), 0.0
    while True:
        started = time.perf_counter()
        try:
            step = next(steps)
        except StopIteration as stop:
            result: Returned = stop.value
            return result
        seconds[step.stage] = seconds.get(step.stage, 0.0) + time.perf_counter() - started
        done += plan.get(step.stage, 0.0) / step.total
        denoised = None if step.preview is None else to_array(step.preview, door)
        yield replace(step, fraction=min(done / whole, 1.0), denoised=denoised, preview=None)
