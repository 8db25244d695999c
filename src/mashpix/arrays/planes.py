"""The planes of a stack: read when their turn comes, denoised by one network or one each, given back in steps."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from mashpix.arrays.denoising import check_memory, denoise_steps, describe, expected_cost, present
from mashpix.arrays.model import (
    MOST_FITTED,
    MOST_PICTURES,
    Model,
    apply_model,
    find_groups,
    fit_model,
    make_doors,
    open_like,
)
from mashpix.arrays.normalization import MOST_HOLES, Array, spread_to_array, to_array
from mashpix.axes import Index, samples_axis
from mashpix.method.relations import Groups
from mashpix.report import Report, Step
from mashpix.settings import Settings
from mashpix.steps import numbered, scaled

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


@dataclass(frozen=True)
class Work:
    """What all planes have in common."""

    stack: Indexable
    axes: str
    data_range: float | None
    settings: Settings
    seed: int
    device: torch.device


def read_picture(stack: Indexable, axes: str, planes: Planes) -> Array:
    """A picture (C, H, W) of one or several planes."""
    axis, arrays = samples_axis(axes), [np.asarray(stack[plane]) for plane in planes]
    return np.concatenate([array[None] if axis is None else np.moveaxis(array, axis, 0) for array in arrays])


def run(
    work: Work, groups: list[list[Planes]], denoise_group: Callable[[list[Planes]], Generator[Step, None, None]]
) -> Generator[Step, None, None]:
    """All planes, kind by kind, then the report of all."""
    reports: list[Report] = []
    for number, group in enumerate(groups):
        for step in denoise_group(group):
            if step.report is not None:
                reports.append(step.report)
            yield replace(step, fraction=(number + step.fraction) / len(groups))
    yield Step("done", 1, 1, 1.0, report=_summarise(reports, shape=tuple(work.stack.shape)))


def fit_each(work: Work, group: list[Planes]) -> Generator[Step, None, None]:
    """Each picture with a network of its own."""
    for index, planes in enumerate(group):
        picture, spread, report = read_picture(work.stack, work.axes, planes), None, None
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
            picture, spread, report = step.denoised, step.spread, step.report
        end = Step("plane", index + 1, len(group), (index + 1) / len(group), spread=spread, report=report)
        yield from _finish(work, planes, picture, end)


def fit_once(work: Work, group: list[Planes]) -> Generator[Step, None, None]:
    """All pictures with one network, fitted to some of them."""
    lengths = dict(zip(work.axes, work.stack.shape, strict=True))
    plans = plan_model(lengths["Y"] * lengths["X"], min(len(group), MOST_PICTURES), work.settings, share_noise=True)
    seconds: dict[str, float] = {}
    share = sum(plans[0].values()) / (sum(plans[0].values()) + len(group) * sum(plans[1].values()))
    generator = torch.Generator(work.device).manual_seed(work.seed)
    chosen = choose_pictures(lambda index: read_picture(work.stack, work.axes, group[index]), len(group))
    model = None
    if chosen:
        doors = make_doors(chosen, data_range=work.data_range, settings=work.settings)
        del chosen
        channels = find_groups(doors, settings=work.settings) if samples_axis(work.axes) is None else ()
        if len(channels) > 1:
            del doors
            yield from _fit_apart(work, group, channels)
            return
        fitting = fit_model(doors, share_noise=True, settings=work.settings, generator=generator)
        model = yield from scaled(present(fitting, doors[0], plan=plans[0], seconds=seconds), 0.0, share)
        del doors, fitting
    yield from apply_to_all(work, group, model, plan=plans[1], start=share, seconds=seconds)


def _fit_apart(work: Work, group: list[Planes], channels: Groups) -> Generator[Step, None, None]:
    """Channels that do not help each other one group after another, each with a network of its own."""
    for number, chosen in enumerate(channels):
        planes = [tuple(picture[channel] for channel in chosen) for picture in group]
        yield from scaled(fit_once(work, planes), number / len(channels), 1 / len(channels))


def apply_to_all(
    work: Work,
    group: list[Planes],
    model: Model | None,
    *,
    plan: dict[str, float],
    start: float,
    seconds: dict[str, float],
) -> Generator[Step, None, None]:
    """All pictures through one model; None where all are blank. `start` is the fraction that is done."""
    part = (1 - start) / len(group)
    for index, planes in enumerate(group):
        picture, spread, report = read_picture(work.stack, work.axes, planes), None, None
        if model is not None and not is_blank(picture):
            door = open_like(picture, model)
            generator = torch.Generator(work.device).manual_seed(work.seed)  # the same masks for all do not flicker
            applying = present(apply_model(model, door, generator=generator), door, plan=plan, seconds=seconds)
            result = yield from scaled(applying, start + part * index, part)
            report = describe(door, result, device=work.device, seconds=seconds)
            picture, spread, seconds = to_array(result.denoised, door), spread_to_array(result.spread, door), {}
        end = Step("plane", index + 1, len(group), start + part * (index + 1), spread=spread, report=report)
        yield from _finish(work, planes, picture, end)


def choose_pictures(read: Callable[[int], Array], count: int) -> list[Array]:
    """Pictures (C, H, W) spread over so many, blank ones left out, to fit a network to."""
    middle = read(count // 2)
    most = min(max(MOST_FITTED // middle[0].size, 1), MOST_PICTURES)
    spread = [int((index + 0.5) * count / most) for index in range(most)]
    chosen: list[Array] = []
    for index in dict.fromkeys([*spread, *range(count)]):
        picture = read(index)
        if not is_blank(picture):
            chosen.append(picture)
        if len(chosen) == most:
            break
    check_memory(sum(picture.size for picture in chosen))
    return chosen


def plan_model(
    pixels: int, fitted: int, settings: Settings, *, share_noise: bool
) -> tuple[dict[str, float], dict[str, float]]:
    """Expected cost of each stage of fitting a model to so many pictures, and of applying it to one of them."""
    plan = expected_cost(pixels, settings)
    fitting = {stage: cost for stage, cost in plan.items() if stage.startswith(("probe", "fit"))}
    applying = {stage: cost for stage, cost in plan.items() if stage not in fitting}
    if settings.refine and share_noise:  # the noise is measured once, in the pictures that are fitted
        indices = range(settings.fits)
        fitting |= {numbered("predict", index): plan[numbered("predict", index)] * fitted for index in indices}
        fitting |= {numbered("shrink", index): applying.pop(numbered("shrink", index)) * fitted for index in indices}
    return fitting, applying


def _finish(work: Work, planes: Planes, picture: Array, end: Step) -> Generator[Step, None, None]:
    """A step for each plane of a picture (C, H, W) that is done; a blank one has neither spread nor report yet."""
    if end.report is None:
        threads = torch.get_num_threads()
        report = Report(picture.shape, str(picture.dtype), str(work.device), threads, constant=True)
        end = replace(end, spread=np.zeros(picture.shape, np.float32), report=report)
    axis = samples_axis(work.axes)
    parts = (np.split(array, len(planes)) for array in (picture, np.asarray(end.spread)))
    for plane, *both in zip(planes, *parts, strict=True):
        denoised, spread = (part[0] if axis is None else np.moveaxis(part, 0, axis) for part in both)
        last = plane is planes[-1]
        yield replace(end, denoised=denoised, spread=spread, plane=plane, report=end.report if last else None)


def is_blank(picture: Array) -> bool:
    """Whether a picture (C, H, W) holds nothing to denoise: one value, or hardly a finite one."""
    finite = np.isfinite(picture)
    if finite.mean() < 1 - MOST_HOLES:
        return True
    return all(np.ptp(plane[held]) == 0 for plane, held in zip(picture, finite, strict=True) if held.any())


def _summarise(reports: list[Report], *, shape: tuple[int, ...]) -> Report:
    """One report of all pictures: what was decided for the first, means (of errors RMS), and times added up."""
    worked = [report for report in reports if not report.constant] or reports
    seconds: dict[str, float] = {}
    for report in worked:
        for stage, spent in report.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    spreads = [report.mean_spread for report in worked if report.mean_spread is not None]
    squares = [report.held_out_error**2 for report in worked if report.held_out_error is not None]
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
        held_out_error=fmean(squares) ** 0.5 if squares else None,
        seconds=seconds,
        notes=tuple(notes),
    )
