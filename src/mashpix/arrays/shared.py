"""Denoise the images of a group with shared networks: fit them to some images, and apply them to all."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import numpy as np
import torch

from mashpix.arrays.costs import check_memory, model_costs
from mashpix.arrays.kept import Fit
from mashpix.arrays.model import (
    MAX_FITTED_IMAGES,
    MAX_FITTED_PIXELS,
    Model,
    apply_to_image,
    find_groups,
    fit_to_images,
    normalize_alike,
    normalize_like,
    on_device,
)
from mashpix.arrays.normalization import Array, Normalized, is_blank
from mashpix.arrays.planes import Part, Planes, StackJob, finish
from mashpix.arrays.presenting import finished, present
from mashpix.arrays.summary import join_reports
from mashpix.report import Report, Step
from mashpix.steps import scaled

DenoiseImage = Callable[..., Generator[Step, None, Step]]
"""Denoises an image with the arguments of `denoise_image`, and returns its last step."""


def denoise_shared(job: StackJob, group: list[Planes], todo: list[Planes]) -> Generator[Step, None, None]:
    """Denoise images with networks that are fitted to some of their group."""
    fitting, applying = model_costs(
        job.length("Y") * job.length("X"),
        min(len(group), MAX_FITTED_IMAGES),
        job.settings,
        share_noise=True,
        joint_channels=job.count_joint(group),
    )

    def choose(part: Part) -> list[Array]:
        return choose_pictures(lambda index: job.read(group[index])[part], len(group))

    yield from fit_and_apply(job, todo, choose, fitting=fitting, applying=applying, count=len(todo))


def fit_and_apply(
    job: StackJob,
    todo: list[Planes],
    choose: Callable[[Part], list[Array]],
    *,
    fitting: dict[str, float],
    applying: dict[str, float],
    count: float,
    denoise: DenoiseImage | None = None,
) -> Generator[Step, None, None]:
    """Denoise images with networks that are fitted to those that `choose` reads of each of `job.parts`.

    `fitting` and `applying` are the costs of a fit and of one of `count` parts of the images; `denoise` as in
    `apply_models`.
    """
    costs, seconds = (sum(fitting.values()), count * sum(applying.values())), dict[str, float]()
    share = costs[0] / sum(costs)
    job, models = yield from fit_parts(job, choose, plan=fitting, share=share, seconds=seconds)
    yield from apply_models(job, todo, models, plan=applying, start=share, seconds=seconds, denoise=denoise)


def fit_parts(
    job: StackJob,
    choose: Callable[[Part], list[Array]],
    *,
    plan: dict[str, float],
    share: float,
    seconds: dict[str, float],
) -> Generator[Step, None, tuple[StackJob, list[Model | None]]]:
    """Return one model for each of `job.parts`, None where all is blank, and the job with the groups of its channels.

    Those that another run has kept are taken; else they are fitted to the images that `choose` reads of each part.
    `share` is the fraction of the run that this is.
    """
    fit = job.kept.fit_of(job.number)
    if fit is None:
        fit = yield from _fit_parts(job, choose, plan=plan, share=share, seconds=seconds)
        if job.early_stop is None or not job.early_stop.each:  # one that was stopped is not the fit of another run
            fit = job.kept.keep_fit(job.number, fit)
    groups, models = fit
    return replace(job, groups=groups), [model and on_device(model, job.device) for model in models]


def _fit_parts(
    job: StackJob,
    choose: Callable[[Part], list[Array]],
    *,
    plan: dict[str, float],
    share: float,
    seconds: dict[str, float],
) -> Generator[Step, None, Fit]:
    """Fit the models of `fit_parts`."""

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
    return job.groups, models


def apply_models(
    job: StackJob,
    todo: list[Planes],
    models: Sequence[Model | None],
    *,
    plan: dict[str, float],
    start: float = 0.0,
    seconds: dict[str, float] | None = None,
    denoise: DenoiseImage | None = None,
) -> Generator[Step, None, None]:
    """Denoise images with one model for each of `job.parts`; None where all are blank.

    `start` is the fraction already done, `seconds` the time that fitting took: it is reported with the first image.
    """
    share, denoise, seconds = (1 - start) / len(todo), denoise or denoise_image, seconds or {}
    for index, planes in enumerate(todo):
        steps = denoise(job, planes, models, plan=plan, seconds=seconds)
        done = yield from scaled(steps, start + share * index, share)
        seconds = {} if done.report else seconds
        fraction = start + share * (index + 1)
        yield from finish(job, planes, replace(done, index=index + 1, total=len(todo), fraction=fraction))


def denoise_image(
    job: StackJob,
    planes: Planes,
    models: Sequence[Model | None],
    *,
    plan: dict[str, float],
    seconds: dict[str, float],
) -> Generator[Step, None, Step]:
    """Denoise one image, and return its last step: see `apply_parts`."""
    return apply_parts(job, job.read(planes), models, plan=plan, seconds=seconds)


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
