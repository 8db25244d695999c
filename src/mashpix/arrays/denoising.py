"""Arrays in, array out: the public functions, which run the method on one picture and tell what it does."""

import time
from collections import deque
from collections.abc import Generator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.normalization import Door, is_constant, open_door, spread_to_array, to_array, to_picture
from mashpix.devices import available_memory, choose_device
from mashpix.errors import InputError
from mashpix.method.mash import Result, mash, side_multiple
from mashpix.method.relations import Groups, group_channels
from mashpix.report import Report, Step
from mashpix.settings import Settings, preset
from mashpix.steps import numbered

Returned = TypeVar("Returned")

PREVIEW_EVERY = 50
"""Updates between two pictures in the steps of `denoise_steps`, unless told otherwise."""
BYTES_PER_VALUE = 64
"""Memory for each value of a picture, about: see benchmarks/scale.csv."""
BYTES_FOR_TILES = 5 * 2**28
"""Memory for one tile or window in the network, about, and for torch itself."""
REFINING_COST = {"shrink": 7.0, "shrink again": 7.0, "shrink slow": 2.0, "group": 20.0, "restore": 3.0}
"""About how many predictions of a picture cost as much as each stage of refining it."""


def denoise(
    image: NDArray[Any],
    *,
    channel_axis: int | None = None,
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
        For an unknown preset or device.
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
        data_range=data_range,
        settings=settings,
        seed=seed,
        device=device,
        preview_every=0,
    )
    (last,) = deque(steps, maxlen=1)
    denoised: NDArray[Any] = last.denoised
    return denoised


def denoise_steps(
    image: NDArray[Any],
    *,
    channel_axis: int | None = None,
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
    check_memory(door.array.size)
    return _run(door, settings=settings, seed=seed, device=chosen, preview_every=preview_every)


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
    groups = group_channels(picture, settings=settings)
    working = mash(picture, settings=settings, generator=generator, preview_every=preview_every, groups=groups)
    plan = expected_cost(picture.pixels[0, 0].numel(), settings.replace(fits=settings.fits * len(groups)))
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
        channel_groups=result.groups,
        averaged_channels=result.averaged,
        seconds=seconds or {},
        notes=describe_channels(result.groups, result.averaged),
    )


def describe_channels(groups: Groups, averaged: tuple[int, ...]) -> tuple[str, ...]:
    """Notes on what became of the channels, counted from 0.

    Examples
    --------
    >>> describe_channels(((0, 2), (1,)), ())
    ('channels that do not help each other were denoised apart: 0 + 2, 1',)
    """
    notes = []
    if len(groups) > 1:
        listed = ", ".join(" + ".join(map(str, group)) for group in groups)
        notes.append(f"channels that do not help each other were denoised apart: {listed}")
    if averaged:
        names = "the image" if groups == ((0,),) else f"channel {', '.join(map(str, averaged))}"
        notes.append(f"the network had not learnt to predict {names}: an average of neighbours took its place")
    return tuple(notes)


def expected_memory(values: int) -> int:
    """Bytes of memory that a picture of so many values (height x width x channels) needs, about."""
    return values * BYTES_PER_VALUE + BYTES_FOR_TILES


def check_memory(values: int) -> None:
    """Refuse a picture of so many values that it would not fit into memory, before any work is done."""
    needed, free = expected_memory(values), available_memory()
    if free is not None and needed > free:
        raise InputError(
            f"not enough memory (about {needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free; "
            "denoise it in parts)"
        )


def expected_cost(pixels: int, settings: Settings) -> dict[str, float]:
    """Expected cost of each stage for so many pixels (height x width), in network updates on one window."""
    prediction = max(pixels / settings.window_size**2, 1) / 3  # without the way back
    plan: dict[str, float] = {}
    for index in range(settings.fits):
        plan |= {numbered("fit", index): float(settings.steps), numbered("predict", index): settings.masks * prediction}
        if settings.refine:
            plan |= {numbered(stage, index): cost * prediction for stage, cost in REFINING_COST.items()}
    if settings.masking_ratio is None and settings.choose_by == "gap":
        probes = {f"probe {settings.low_probe_ratio:g}", f"probe {settings.high_probe_ratio:g}"}
        plan = dict.fromkeys(sorted(probes), float(settings.probe_steps)) | plan
    return plan


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
        denoised = None if step.denoised is None else to_array(step.denoised, door)
        yield replace(step, fraction=min(done / whole, 1.0), denoised=denoised)
