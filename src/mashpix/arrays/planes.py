"""The planes of a stack: read, denoised one by one, each alone or as `shared` does, and given back."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.colour import Kind
from mashpix.arrays.denoising import denoise_steps
from mashpix.arrays.kept import NOTHING, Kept, Place
from mashpix.arrays.normalization import Array, is_blank
from mashpix.arrays.summary import summarise
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
    """The options that all planes share; `channels` is how those of C and S are denoised, None for a single one.

    `kept` is what other runs have done, and `number` that of the group of images that is denoised.
    """

    stack: Indexable
    axes: str
    data_range: float | None
    settings: Settings
    seed: int
    device: torch.device
    channels: Kind | None = None
    groups: Groups = ()
    early_stop: EarlyStop | None = None
    kept: Kept = NOTHING
    number: int = 0

    @property
    def parts(self) -> list[Part]:
        """Channels of an image (C, H, W) that are denoised together: all, some, or each by itself."""
        if self.groups:
            return [list(group) for group in self.groups]
        if self.channels != "independent":
            return [slice(None)]
        return [slice(index, index + 1) for index in range(self.length("S"))]

    def count_joint(self, group: list[Planes]) -> int:
        """Number of the channels of an image that are denoised jointly, 1 if they are not."""
        return len(group[0]) * self.length("S") if self.channels == "joint" else 1

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
    job: StackJob,
    groups: list[list[Planes]],
    denoise_group: Callable[[StackJob, list[Planes], list[Planes]], Generator[Step, None, None]],
    *,
    cut: Callable[[list[Planes]], list[Planes]] = lambda group: group,
) -> Generator[Step, None, None]:
    """Denoise all images, group by group, then yield the report of all.

    `denoise_group` gets a group, and those of its images (or of the blocks that `cut` makes of them) that are to be
    done: wanted, and not done already.
    """
    reports, count = list[Report](), 0
    for number, group in enumerate(groups):
        todo = list[Planes]()
        for planes in cut(group):
            place, count = Place(count, number, planes[-1]), count + 1
            if not job.kept.is_wanted(place):
                continue
            if (known := job.kept.report_of(place.index)) is None:
                todo.append(planes)
            else:
                reports.append(known)
        for step in denoise_group(replace(job, number=number), group, todo) if todo else ():
            if step.report is not None:
                reports.append(step.report)
            yield replace(step, fraction=(number + step.fraction) / len(groups))
    if reports:
        report = summarise(reports, shape=tuple(job.stack.shape), channels=job.channels)
        yield Step("done", 1, 1, 1.0, report=report)


def collect(steps: Generator[Step, None, None], stack: Indexable) -> NDArray[Any]:
    """Collect the planes of all steps in one array."""
    result = np.empty(stack.shape, stack.dtype)
    for step in steps:
        if step.plane is not None:
            result[step.plane] = step.denoised
    return result


def denoise_alone(job: StackJob, group: list[Planes], todo: list[Planes]) -> Generator[Step, None, None]:
    """Denoise each image with networks of its own."""
    for index, planes in enumerate(todo):
        picture = job.read(planes)
        end = Step("plane", index + 1, len(todo), (index + 1) / len(todo), denoised=picture)
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
            for step in scaled(steps, index / len(todo), 1 / len(todo)):
                if step.report is None:
                    yield step
            end = replace(end, denoised=step.denoised, spread=step.spread, report=step.report)
        yield from finish(job, planes, end)


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
