"""The planes of a stack: read when their turn comes, denoised by one network or one each, given back in steps."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from mashpix.arrays.colour import Kind
from mashpix.arrays.costs import check_memory, model_costs
from mashpix.arrays.denoising import denoise_steps, describe, present
from mashpix.arrays.model import (
    MOST_FITTED,
    MOST_PICTURES,
    Model,
    apply_to_door,
    find_groups,
    fit_to_doors,
    make_doors,
    open_like,
)
from mashpix.arrays.normalization import MOST_HOLES, Array, spread_to_array, to_array
from mashpix.arrays.summary import summarise
from mashpix.axes import Index, samples_axis
from mashpix.method.relations import Groups
from mashpix.report import Report, Step
from mashpix.settings import Settings
from mashpix.steps import scaled

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
    """What all planes have in common; `channels` is what was decided on those of C and S, None if there is one."""

    stack: Indexable
    axes: str
    data_range: float | None
    settings: Settings
    seed: int
    device: torch.device
    channels: Kind | None = None
    groups: Groups = ()

    @property
    def parts(self) -> list[slice | list[int]]:
        """Channels of a picture (C, H, W) that are denoised together: all, some, or each by itself."""
        if self.groups:
            return [list(group) for group in self.groups]
        if self.channels != "independent":
            return [slice(None)]
        samples = dict(zip(self.axes, self.stack.shape, strict=True)).get("S", 1)
        return [slice(index, index + 1) for index in range(samples)]


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
    report = summarise(reports, shape=tuple(work.stack.shape), channels=work.channels)
    yield Step("done", 1, 1, 1.0, report=report)


def fit_each(work: Work, group: list[Planes]) -> Generator[Step, None, None]:
    """Each picture with a network of its own."""
    for index, planes in enumerate(group):
        picture, spread, report = read_picture(work.stack, work.axes, planes), None, None
        if not is_blank(picture):
            steps = denoise_steps(
                picture,
                channel_axis=0,
                channels=work.channels or "auto",
                data_range=work.data_range,
                settings=work.settings,
                seed=work.seed,
                device=str(work.device),
                preview_every=0,
            )
            for step in steps:
                if step.report is None:
                    yield replace(step, fraction=(index + step.fraction) / len(group))
            assert step.denoised is not None
            picture, spread, report = step.denoised, step.spread, step.report
        end = Step("plane", index + 1, len(group), (index + 1) / len(group), spread=spread, report=report)
        yield from _finish(work, planes, picture, end)


def fit_once(work: Work, group: list[Planes]) -> Generator[Step, None, None]:
    """All pictures with one network, fitted to some of them."""
    lengths = dict(zip(work.axes, work.stack.shape, strict=True))
    plans = model_costs(lengths["Y"] * lengths["X"], min(len(group), MOST_PICTURES), work.settings, share_noise=True)
    seconds: dict[str, float] = {}
    share = sum(plans[0].values()) / (sum(plans[0].values()) + len(group) * sum(plans[1].values()))
    models: list[Model | None] = []
    if work.channels == "joint":
        work = replace(work, groups=_find_groups(work, group))
    for number, part in enumerate(work.parts):
        chosen = choose_pictures(partial(_read_part, work, group, part), len(group))
        if not chosen:
            models.append(None)
            continue
        doors = make_doors(chosen, data_range=work.data_range, settings=work.settings, is_rgb=work.channels == "rgb")
        del chosen
        generator = torch.Generator(work.device).manual_seed(work.seed)
        fitting = fit_to_doors(doors, share_noise=True, settings=work.settings, generator=generator)
        steps = present(fitting, doors[0], plan=plans[0], seconds=seconds)
        models.append((yield from scaled(steps, share * number / len(work.parts), share / len(work.parts))))
        del doors, fitting, steps
    yield from apply_to_all(work, group, models, plan=plans[1], start=share, seconds=seconds)


def _find_groups(work: Work, group: list[Planes]) -> Groups:
    """Which channels help each other, as the pictures show that a network would be fitted to."""
    chosen = choose_pictures(lambda index: read_picture(work.stack, work.axes, group[index]), len(group))
    if not chosen:
        return ()
    groups = find_groups(make_doors(chosen, data_range=work.data_range, settings=work.settings), settings=work.settings)
    return groups if len(groups) > 1 else ()


def _read_part(work: Work, group: list[Planes], part: slice | list[int], index: int) -> Array:
    return read_picture(work.stack, work.axes, group[index])[part]


def apply_to_all(
    work: Work,
    group: list[Planes],
    models: Sequence[Model | None],
    *,
    plan: dict[str, float],
    start: float,
    seconds: dict[str, float],
) -> Generator[Step, None, None]:
    """All pictures through one model for each of `work.parts`; None where all are blank.

    `start` is the fraction that is done, `seconds` the time that fitting took: it is reported with the first picture.
    """
    share = (1 - start) / len(group)
    for index, planes in enumerate(group):
        picture = read_picture(work.stack, work.axes, planes)
        spread, reports = np.zeros(picture.shape, np.float32), []
        for number, (part, model) in enumerate(zip(work.parts, models, strict=True)):
            if model is None or is_blank(picture[part]):
                continue
            door = open_like(picture[part], model)
            generator = torch.Generator(work.device).manual_seed(work.seed)  # the same masks for all do not flicker
            applying = present(apply_to_door(model, door, generator=generator), door, plan=plan, seconds=seconds)
            done = start + share * (index + number / len(work.parts))
            result = yield from scaled(applying, done, share / len(work.parts))
            reports.append(describe(door, result, device=work.device, seconds=seconds))
            picture[part], spread[part] = to_array(result.denoised, door), spread_to_array(result.spread, door)
            seconds = {}
        kind = work.channels if len(picture) > 1 else None
        report = summarise(reports, shape=picture.shape, channels=kind, parts="channels") if reports else None
        report = report and replace(report, channel_groups=work.groups)
        end = Step("plane", index + 1, len(group), start + share * (index + 1), spread=spread, report=report)
        yield from _finish(work, planes, picture, end)


def choose_pictures(read: Callable[[int], Array], count: int) -> list[Array]:
    """Pictures (C, H, W) spread over so many, blank ones left out, to fit a network to."""
    middle = read(count // 2)
    most = count_fitted(middle[0].size)
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


def count_fitted(pixels: int) -> int:
    """How many pictures of so many pixels (height x width) a network is fitted to, at most."""
    return min(max(MOST_FITTED // pixels, 1), MOST_PICTURES)


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
