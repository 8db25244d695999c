"""Stacks: RGB jointly, channels each for themselves, planes along Z and T one by one with one network for all."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.axes import WITHIN, Index, check_axes, plane_groups
from mashpix.denoising import check_memory, denoise_steps, describe, make_plan, present
from mashpix.devices import choose_device
from mashpix.errors import UsageError
from mashpix.images import MOST_HOLES, Array, Door, to_array
from mashpix.method import numbered
from mashpix.model import MOST_FITTED, MOST_PICTURES, apply_model, fit_model, make_doors, open_like
from mashpix.report import Report, Step
from mashpix.settings import Settings, preset

FITS = ("once", "each")
"""One network for all planes of one kind, or one for each plane."""

Returned = TypeVar("Returned")
Planes = tuple[Index, ...]
"""Planes that are denoised together as one picture: one, or with `joint` one of each channel."""


class Indexable(Protocol):
    """An array, or anything that gives planes when it is indexed: a file that is read plane by plane."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def dtype(self) -> Any: ...  # noqa: D102

    def __getitem__(self, index: Any) -> Any:
        """A plane."""
        ...


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
        and results that do not flicker. "each" fits one to each plane, as `denoise` does.
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
        `stack[step.plane]`. The last has the stage "done" and holds the report.
    """
    settings = preset(settings) if isinstance(settings, str) else settings
    axes = check_axes(axes, tuple(stack.shape))
    if fit not in FITS:
        raise UsageError(f"fit: unknown choice ({fit!r}; one of {', '.join(FITS)})")
    chosen, _ = choose_device(device)
    within = [letter for letter in axes if letter in WITHIN]
    samples_axis = within.index("S") if "S" in within else None
    work = _Work(stack, axes, samples_axis, data_range, settings, seed, chosen)
    return _run(work, plane_groups(axes, tuple(stack.shape), joint=joint), fit=fit)


@dataclass(frozen=True)
class _Work:
    """What all planes have in common; `samples_axis` is that of S within a plane, if there is one."""

    stack: Indexable
    axes: str
    samples_axis: int | None
    data_range: float | None
    settings: Settings
    seed: int
    device: torch.device


def _read(work: _Work, planes: Planes) -> Array:
    """A picture (C, H, W) of one or several planes."""
    axis, arrays = work.samples_axis, [np.asarray(work.stack[plane]) for plane in planes]
    return np.concatenate([array[None] if axis is None else np.moveaxis(array, axis, 0) for array in arrays])


def _run(work: _Work, groups: list[list[Planes]], *, fit: str) -> Generator[Step, None, None]:
    """All planes, kind by kind, then the report of all."""
    reports: list[Report] = []
    for number, group in enumerate(groups):
        steps = _fit_once(work, group) if fit == "once" and len(group) > 1 else _fit_each(work, group)
        for step in steps:
            if step.report is not None:
                reports.append(step.report)
            yield replace(step, fraction=(number + step.fraction) / len(groups), report=None)
    yield Step("done", 1, 1, 1.0, report=_summarise(reports, shape=tuple(work.stack.shape)))


def _fit_each(work: _Work, group: list[Planes]) -> Generator[Step, None, None]:
    """Each picture with a network of its own."""
    for index, planes in enumerate(group):
        picture, report = _read(work, planes), None
        if not is_blank(picture):
            steps = denoise_steps(
                picture,
                channel_axis=0,
                data_range=work.data_range,
                settings=work.settings,
                seed=work.seed,
                device=str(work.device),
                preview_every=0,
            )
            for step in steps:
                if step.report is None:
                    yield replace(step, fraction=(index + step.fraction) / len(group))
            picture, report = step.denoised, step.report
        fraction = (index + 1) / len(group)
        yield from _finish(work, planes, picture, report, index=index, count=len(group), fraction=fraction)


def _fit_once(work: _Work, group: list[Planes]) -> Generator[Step, None, None]:
    """All pictures with one network, fitted to some of them."""
    plans = _plan(work, group)
    seconds: dict[str, float] = {}
    share = sum(plans[0].values()) / (sum(plans[0].values()) + len(group) * sum(plans[1].values()))
    generator = torch.Generator(work.device).manual_seed(work.seed)
    doors = _choose_doors(work, group)
    model = None
    if doors:
        fitting = present(
            fit_model(doors, settings=work.settings, generator=generator), doors[0], plan=plans[0], seconds=seconds
        )
        model = yield from _scaled(fitting, 0.0, share)
    del doors
    for index, planes in enumerate(group):
        picture, report = _read(work, planes), None
        if model is not None and not is_blank(picture):
            door = open_like(picture, model)
            generator.manual_seed(work.seed)  # the same masks for all: they do not flicker
            applying = present(apply_model(model, door, generator=generator), door, plan=plans[1], seconds=seconds)
            result = yield from _scaled(applying, share + (1 - share) * index / len(group), (1 - share) / len(group))
            report = describe(door, result, device=work.device, seconds=seconds)
            picture, seconds = to_array(result.denoised, door), {}
        fraction = share + (1 - share) * (index + 1) / len(group)
        yield from _finish(work, planes, picture, report, index=index, count=len(group), fraction=fraction)


def _choose_doors(work: _Work, group: list[Planes]) -> list[Door]:
    """Pictures spread over a group, blank ones left out, to fit a network to."""
    lengths = dict(zip(work.axes, work.stack.shape, strict=True))
    most = min(max(MOST_FITTED // (lengths["Y"] * lengths["X"]), 1), MOST_PICTURES)
    spread = [int((index + 0.5) * len(group) / most) for index in range(most)]
    chosen: list[Array] = []
    for index in dict.fromkeys([*spread, *range(len(group))]):
        picture = _read(work, group[index])
        if not is_blank(picture):
            chosen.append(picture)
        if len(chosen) == most:
            break
    check_memory(sum(picture.size for picture in chosen))
    return make_doors(chosen, data_range=work.data_range, settings=work.settings) if chosen else []


def _plan(work: _Work, group: list[Planes]) -> tuple[dict[str, float], dict[str, float]]:
    """Expected cost of each stage of fitting a model, and of applying it to one picture."""
    lengths = dict(zip(work.axes, work.stack.shape, strict=True))
    plan = make_plan(lengths["Y"] * lengths["X"], work.settings)
    fitting = {stage: cost for stage, cost in plan.items() if stage.startswith(("probe", "fit"))}
    applying = {stage: cost for stage, cost in plan.items() if stage not in fitting}
    if work.settings.refine:  # the noise is measured once, in the pictures that are fitted
        indices, fitted = range(work.settings.fits), min(len(group), MOST_PICTURES)
        fitting |= {numbered("predict", index): plan[numbered("predict", index)] * fitted for index in indices}
        fitting |= {numbered("shrink", index): applying.pop(numbered("shrink", index)) * fitted for index in indices}
    return fitting, applying


def _scaled(steps: Generator[Step, None, Returned], start: float, share: float) -> Generator[Step, None, Returned]:
    """The steps of one part of the work, with the fraction of the whole that is done."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            result: Returned = stop.value
            return result
        yield replace(step, fraction=start + share * step.fraction)


def _finish(
    work: _Work, planes: Planes, picture: Array, report: Report | None, *, index: int, count: int, fraction: float
) -> Generator[Step, None, None]:
    """A step for each plane of a picture that is done; None as the report stands for a blank one."""
    if report is None:
        threads = torch.get_num_threads()
        report = Report(picture.shape, str(picture.dtype), str(work.device), threads, constant=True)
    step = Step("plane", index + 1, count, fraction)
    for part, plane in zip(np.split(picture, len(planes)), planes, strict=True):
        denoised = part[0] if work.samples_axis is None else np.moveaxis(part, 0, work.samples_axis)
        yield replace(step, denoised=denoised, plane=plane, report=report if plane is planes[-1] else None)


def is_blank(picture: Array) -> bool:
    """Whether a picture (C, H, W) holds nothing to denoise: one value, or hardly a finite one."""
    finite = np.isfinite(picture)
    if finite.mean() < 1 - MOST_HOLES:
        return True
    return all(np.ptp(plane[held]) == 0 for plane, held in zip(picture, finite, strict=True) if held.any())


def _summarise(reports: list[Report], *, shape: tuple[int, ...]) -> Report:
    """One report of all pictures: what was decided for the first, means, and times added up."""
    worked = [report for report in reports if not report.constant] or reports
    seconds: dict[str, float] = {}
    for report in worked:
        for stage, spent in report.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    spreads = [report.mean_spread for report in worked if report.mean_spread is not None]
    notes = []
    if blank := sum(report.constant for report in reports):
        notes.append(f"{blank} blank planes left as they were")
    ratios = sorted({report.masking_ratio for report in worked if report.masking_ratio is not None})
    if len(ratios) > 1:
        notes.append(f"masking ratios {', '.join(f'{ratio:g}' for ratio in ratios)}")
    return replace(
        worked[0],
        shape=shape,
        hole_fraction=fmean(report.hole_fraction for report in reports),
        mean_spread=fmean(spreads) if spreads else None,
        seconds=seconds,
        notes=tuple(notes),
    )
