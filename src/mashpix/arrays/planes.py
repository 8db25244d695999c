"""Denoise the planes of a stack one by one: with shared networks, with networks of their own, or with a model."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.colour import Kind
from mashpix.arrays.costs import check_memory, model_costs
from mashpix.arrays.denoising import denoise_steps, finished, present
from mashpix.arrays.model import (
    MAX_FITTED_IMAGES,
    MAX_FITTED_PIXELS,
    Model,
    apply_to_image,
    find_groups,
    fit_to_images,
    normalize_alike,
    normalize_like,
)
from mashpix.arrays.normalization import Array, Normalized, is_blank
from mashpix.arrays.summary import join_reports, summarise
from mashpix.axes import Index, samples_axis
from mashpix.method.early_stop import EarlyStop
from mashpix.method.relations import Groups
from mashpix.missing import holds_data, join, mask_missing
from mashpix.report import Report, Step
from mashpix.settings import Settings
from mashpix.steps import scaled

Planes = tuple[Index, ...]
"""Planes that are denoised together as one image: one, or with `joint` one of each channel."""
Part = slice | list[int]
"""Some of the channels of an image (C, H, W)."""


class Indexable(Protocol):
    """An array, or anything that returns planes when it is indexed, such as a file that is read plane by plane."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def dtype(self) -> Any: ...  # noqa: D102

    def __getitem__(self, index: Any) -> Any:
        """A plane."""
        ...


@dataclass(frozen=True)
class StackJob:
    """The options that all planes share; `channels` is how those of C and S are denoised, None for a single one."""

    stack: Indexable
    axes: str
    data_range: float | None
    settings: Settings
    seed: int
    device: torch.device
    channels: Kind | None = None
    groups: Groups = ()
    early_stop: EarlyStop | None = None

    @property
    def parts(self) -> list[Part]:
        """Channels of an image (C, H, W) that are denoised together: all, some, or each by itself."""
        if self.groups:
            return [list(group) for group in self.groups]
        if self.channels != "independent":
            return [slice(None)]
        return [slice(index, index + 1) for index in range(self.length("S"))]

    def length(self, axis: str) -> int:
        """Length of the stack along an axis, 1 where it has none of that name."""
        return dict(zip(self.axes, self.stack.shape, strict=True)).get(axis, 1)

    def read(self, planes: Planes) -> Array:
        """Read an image (C, H, W)."""
        return read_picture(self.stack, self.axes, planes)


def read_picture(stack: Indexable, axes: str, planes: Planes) -> Array:
    """Read an image (C, H, W) of one or several planes; it is masked where one of them is."""
    axis, arrays = samples_axis(axes), [np.asanyarray(stack[plane]) for plane in planes]
    return join([array[None] if axis is None else np.moveaxis(array, axis, 0) for array in arrays])


def mask_stack(stack: Indexable, missing: NDArray[np.bool_] | None, axes: str) -> Indexable:
    """Return a stack whose planes carry their pixels without data, as `mask_missing` does for an image."""
    if missing is None:
        return stack
    if np.ndim(missing) < len(axes):
        missing = np.expand_dims(missing, [place for place, letter in enumerate(axes) if letter not in "YX"])
    return mask_missing(np.asanyarray(stack), missing)


def run(
    job: StackJob, groups: list[list[Planes]], denoise_group: Callable[[list[Planes]], Generator[Step, None, None]]
) -> Generator[Step, None, None]:
    """Denoise all planes, group by group, then yield the report of all."""
    reports: list[Report] = []
    for number, group in enumerate(groups):
        for step in denoise_group(group):
            if step.report is not None:
                reports.append(step.report)
            yield replace(step, fraction=(number + step.fraction) / len(groups))
    report = summarise(reports, shape=tuple(job.stack.shape), channels=job.channels)
    yield Step("done", 1, 1, 1.0, report=report)


def collect(steps: Generator[Step, None, None], stack: Indexable) -> NDArray[Any]:
    """Collect the planes of all steps in one array."""
    result = np.empty(stack.shape, stack.dtype)
    for step in steps:
        if step.plane is not None:
            result[step.plane] = step.denoised
    return result


def denoise_alone(job: StackJob, group: list[Planes]) -> Generator[Step, None, None]:
    """Denoise each image with networks of its own."""
    for index, planes in enumerate(group):
        picture = job.read(planes)
        end = Step("plane", index + 1, len(group), (index + 1) / len(group), denoised=picture)
        if not is_blank(picture):
            steps = denoise_steps(
                picture,
                channel_axis=0,
                channels=job.channels or "auto",
                data_range=job.data_range,
                settings=job.settings,
                seed=job.seed,
                device=str(job.device),
                preview_every=0,
                early_stop=job.early_stop,
            )
            for step in scaled(steps, index / len(group), 1 / len(group)):
                if step.report is None:
                    yield step
            end = replace(end, denoised=step.denoised, spread=step.spread, report=step.report)
        yield from finish(job, planes, end)


def denoise_shared(job: StackJob, group: list[Planes]) -> Generator[Step, None, None]:
    """Denoise all images with networks that are fitted to some of them."""
    fitting_costs, applying_costs = model_costs(
        job.length("Y") * job.length("X"),
        min(len(group), MAX_FITTED_IMAGES),
        job.settings,
        share_noise=True,
        joint_channels=len(group[0]) * job.length("S") if job.channels == "joint" else 1,
    )
    fitting, applying = sum(fitting_costs.values()), len(group) * sum(applying_costs.values())
    share, seconds = fitting / (fitting + applying), dict[str, float]()

    def choose(part: Part) -> list[Array]:
        return choose_pictures(lambda index: job.read(group[index])[part], len(group))

    job, models = yield from fit_parts(job, choose, plan=fitting_costs, share=share, seconds=seconds)
    yield from apply_models(job, group, models, plan=applying_costs, start=share, seconds=seconds)


def fit_parts(
    job: StackJob,
    choose: Callable[[Part], list[Array]],
    *,
    plan: dict[str, float],
    share: float,
    seconds: dict[str, float],
) -> Generator[Step, None, tuple[StackJob, list[Model | None]]]:
    """Fit one model for each of `job.parts`, None where all is blank, to the images that `choose` reads of that part.

    Returns the job with the groups of its channels, and the models; `share` is the fraction of the run that this is.
    """

    def chosen(part: Part) -> list[Normalized]:
        images, rgb = choose(part), job.channels == "rgb"
        return normalize_alike(images, data_range=job.data_range, settings=job.settings, is_rgb=rgb) if images else []

    if job.channels == "joint":
        images = chosen(slice(None))
        groups = find_groups(images, settings=job.settings) if images else ()
        job = replace(job, groups=groups if len(groups) > 1 else ())
    models: list[Model | None] = []
    for number, part in enumerate(job.parts):
        images = chosen(part)
        if not images:
            models.append(None)
            continue
        generator = torch.Generator(job.device).manual_seed(job.seed)
        fit = fit_to_images(
            images, share_noise=True, settings=job.settings, generator=generator, early_stop=job.early_stop
        )
        steps = present(fit, images[0], plan=plan, seconds=seconds)
        models.append((yield from scaled(steps, share * number / len(job.parts), share / len(job.parts))))
        del images, fit, steps
    return job, models


def apply_models(
    job: StackJob,
    group: list[Planes],
    models: Sequence[Model | None],
    *,
    plan: dict[str, float],
    start: float,
    seconds: dict[str, float],
) -> Generator[Step, None, None]:
    """Denoise all images with one model for each of `job.parts`; None where all are blank.

    `start` is the fraction already done, `seconds` the time that fitting took: it is reported with the first image.
    """
    share = (1 - start) / len(group)
    for index, planes in enumerate(group):
        applying = apply_parts(job, job.read(planes), models, plan=plan, seconds=seconds)
        done = yield from scaled(applying, start + share * index, share)
        seconds = {} if done.report else seconds
        fraction = start + share * (index + 1)
        yield from finish(job, planes, replace(done, index=index + 1, total=len(group), fraction=fraction))


def apply_parts(
    job: StackJob,
    picture: Array,
    models: Sequence[Model | None],
    *,
    plan: dict[str, float],
    seconds: dict[str, float],
    origin: tuple[int, int] | None = None,
) -> Generator[Step, None, Step]:
    """Denoise an image (C, H, W), in place, or the window of a plane that starts at `origin`; return its last step.

    That has no report where all parts are blank.
    """
    spread = np.zeros(picture.shape, np.float32)
    reports, groups = list[Report](), list[tuple[int, ...]]()
    for number, (part, model) in enumerate(zip(job.parts, models, strict=True)):
        if model is None or is_blank(picture[part]):
            continue
        door = normalize_like(picture[part], model)
        generator = torch.Generator(job.device).manual_seed(job.seed)  # the same masks for all do not flicker
        applying = apply_to_image(model, door, generator=generator, origin=origin)
        steps = present(applying, door, plan=plan, seconds=seconds)
        result = yield from scaled(steps, number / len(job.parts), 1 / len(job.parts))
        alone = None in model.noises and origin is None  # planes that share their noise must not flicker
        tones = alone and model.settings.tone_correction
        last = finished(result, door, device=job.device, seconds=seconds, tone_correction=tones)
        assert last.report is not None
        reports.append(last.report)
        groups.append(tuple(np.arange(len(picture))[part].tolist()))
        picture[part], spread[part], seconds = last.denoised, last.spread, {}
    report = reports[0] if reports else None
    if job.channels and len(job.parts) > 1 and reports:
        report = join_reports(reports, tuple(groups), shape=picture.shape, channels=job.channels)
    return Step("plane", 1, 1, 1.0, denoised=picture, spread=spread, report=report)


def choose_pictures(read: Callable[[int], Array], count: int) -> list[Array]:
    """Choose images (C, H, W) to fit a network to: spread over all `count`, none blank."""
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
    """The maximum number of images of `pixels` (height x width) that a network is fitted to."""
    return min(max(MAX_FITTED_PIXELS // pixels, 1), MAX_FITTED_IMAGES)


def finish(job: StackJob, planes: Planes, end: Step) -> Generator[Step, None, None]:
    """Yield a step for each plane of a finished image (C, H, W); a blank one has neither spread nor report yet."""
    image, spread, report = np.asarray(end.denoised), end.spread, end.report
    if report is None:
        spread = np.zeros(image.shape, np.float32)
        holes = float(1 - holds_data(np.asanyarray(end.denoised)).mean())
        report = Report(image.shape, str(image.dtype), str(job.device), torch.get_num_threads(), holes, constant=True)
    axis = samples_axis(job.axes)
    parts = (np.split(np.asarray(array), len(planes)) for array in (image, spread))
    for plane, *both in zip(planes, *parts, strict=True):
        denoised, own = (part[0] if axis is None else np.moveaxis(part, 0, axis) for part in both)
        last = plane is planes[-1]
        yield replace(end, denoised=denoised, spread=own, plane=plane, report=report if last else None)
