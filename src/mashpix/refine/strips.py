"""R4, R7, R8, R21, R22 and R24 on CPUs: an image as strips of rows, each filtered by kernels in its own thread.

Strips depend on the size of the image only and are added up from top to bottom, so the bytes of the result do not
depend on the number of threads.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mashpix.refine import block_matching, gaussian_patches, shrinking
from mashpix.refine.dct import OVERLAP, cosine_matrix
from mashpix.refine.residual_noise import NoiseModel
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.report import Step

PIXELS = 2**17
"""Pixels of a strip, about: some tenths of a second of work, so that a run can be cancelled."""
MAX_STRIP = 64
"""Rows of the highest strips: those of a small image still keep all threads busy."""

Array = NDArray[np.float32]
Strip = tuple[int, Array, Array]
"""Its first row; sum of the weighted blocks, and of their weights, (C, rows, W)."""


def shrink(
    noisy: Tensor, *, noise: NoiseModel, threshold: float, stage: str, tuning: RefineSettings = TUNED
) -> Generator[Step, None, Tensor]:
    """R4: as `shrinking.shrink`."""
    noise = noise._replace(psd=tuning.caution * noise.psd)
    by = partial(_shrink, brightness=noise.brightness(noisy), noise=noise, tuning=tuning)
    pilot = yield from by(lambda rows: (noisy[:, rows],) * 2, threshold=threshold, stage=stage, part=(1, 2))
    return (yield from by(lambda rows: (noisy[:, rows], pilot[:, rows]), stage=stage, part=(2, 2), into=pilot))


def restore(
    noisy: Tensor,
    predicted: Tensor,
    grouped: Tensor,
    *,
    noise: NoiseModel,
    keep_means: bool,
    stage: str,
    in_place: bool = False,
    tuning: RefineSettings = TUNED,
) -> Generator[Step, None, Tensor]:
    """R8: as `blending.restore`; `in_place` of `noisy`."""
    brightness = noise.brightness(predicted)

    def read(rows: slice) -> tuple[Tensor, Tensor]:
        noisy_here, here, grouped_here = (image[:, rows] for image in (noisy, predicted, grouped))
        return noisy_here - here, (grouped_here - here).mul_(tuning.restored_share)

    how: dict[str, Any] = {"noise": noise, "keep_mean": keep_means, "stage": stage, "tuning": tuning}
    restored = yield from _shrink(read, brightness=brightness, into=noisy if in_place else None, **how)
    return restored.add_(predicted)


def _shrink(
    read: Callable[[slice], tuple[Tensor, Tensor]],
    *,
    brightness: Tensor,
    noise: NoiseModel,
    stage: str,
    part: tuple[int, int] = (1, 1),
    threshold: float | None = None,
    keep_mean: bool = True,
    into: Tensor | None = None,
    tuning: RefineSettings,
) -> Generator[Step, None, Tensor]:
    """Shrink blocks of side 16 of an image (C, H, W) by a threshold, or by the Wiener filter that a signal gives.

    `read` returns rows of both; `brightness` (H, W) is what the noise follows; `part` is the number of this pass, and
    of all; `into` as of `_by_strips`.
    """
    from mashpix.refine import kernels

    side, stride = shrinking.SIDE, shrinking.SIDE // OVERLAP
    ratio = noise.variance_model.ratio(F.avg_pool2d(brightness[None], side, stride=stride)[0]).numpy()
    psd, cosine = noise.psd.numpy(), cosine_matrix(side).numpy()
    options = np.float32(-1 if threshold is None else threshold), keep_mean, np.float32(tuning.min_kept_noise)
    channels, (height, width) = len(noise.psd), brightness.shape

    def add_up(first: int, last: int) -> Strip:
        top, rows = first * stride, (last - first - 1) * stride + side
        images = (image.contiguous().numpy() for image in read(slice(top, top + rows)))
        total = np.zeros((channels, rows, width), np.float32)
        weight = np.zeros((channels, rows // stride, width // stride), np.float32)
        kernels.shrink_strip(*images, ratio[first:last], psd, cosine, *options, total, weight)
        return top, total, weight.repeat(stride, axis=1).repeat(stride, axis=2)

    cuts = _cut(len(ratio), stride, width)
    result = torch.empty((channels, height, width)) if into is None else into
    return (yield from _by_strips(add_up, cuts, result, stage=stage, part=part))


def collaborative_filter(
    noisy: Tensor,
    guide: Tensor,
    *,
    noise: NoiseModel,
    by: block_matching.Grouping,
    stage: str,
    in_place: bool = False,
    tuning: RefineSettings = TUNED,
) -> Generator[Step, None, Tensor]:
    """R7, R21 and R22: as `block_matching.collaborative_filter`; `in_place` of `guide` if that is not `noisy`."""
    from mashpix.refine import group_kernels

    threshold = -1 if by.threshold is None else by.threshold
    psd, cosine = (tuning.caution * noise.psd).numpy(), cosine_matrix(block_matching.SIDE).numpy()
    numbers = [np.float32(number) for number in (noise.across, threshold, tuning.min_kept_noise)]

    def add_up(*groups: Any) -> None:
        group_kernels.filter_strip(*groups, psd, cosine, *numbers)

    how: dict[str, Any] = {"noise": noise, "by": by, "stage": stage, "in_place": in_place, "tuning": tuning}
    return (yield from _by_groups(noisy, guide, add_up, **how))


def filter_patches(
    noisy: Tensor,
    pilot: Tensor,
    *,
    noise: NoiseModel,
    stage: str,
    in_place: bool = False,
    tuning: RefineSettings = TUNED,
) -> Generator[Step, None, Tensor]:
    """R24: as `gaussian_patches.filter_patches`; `in_place` of `pilot`."""
    from mashpix.refine import gaussian_kernels

    covariance = gaussian_patches.patch_covariance(noise).numpy()
    least = [np.float32(number) for number in (gaussian_patches.RIDGE, gaussian_patches.LEAST_VARIANCE)]

    def add_up(*groups: Any) -> None:
        gaussian_kernels.filter_strip(*groups, covariance, *least)

    by = gaussian_patches.patch_grouping(tuning)
    how: dict[str, Any] = {"noise": noise, "by": by, "stage": stage, "in_place": in_place, "tuning": tuning}
    return (yield from _by_groups(noisy, pilot, add_up, **how))


def _by_groups(
    noisy: Tensor,
    guide: Tensor,
    add_up: Callable[..., None],
    *,
    noise: NoiseModel,
    by: block_matching.Grouping,
    stage: str,
    in_place: bool,
    tuning: RefineSettings,
) -> Generator[Step, None, Tensor]:
    """Filter groups of similar blocks of an image (C, H, W), found in `guide`, by a kernel `add_up`.

    It takes both images, the members of the groups, v of each, and the top, the sum and the weights of a strip.
    """
    from mashpix.refine.group_kernels import match_strip

    side, radius, step = block_matching.SIDE, tuning.search_radius, by.step
    plane = noise.brightness(guide).contiguous().numpy()
    images = noisy.numpy(), guide.numpy()
    result = guide if in_place else torch.empty_like(noisy)
    channels, height, width = noisy.shape
    rows, columns = (np.arange(0, length - side + 1, step) for length in (height, width))

    def filter_rows(first: int, last: int) -> Strip:
        members, means = match_strip(plane, rows[first:last], columns, radius, by.size)
        ratio = noise.variance_model.ratio(torch.from_numpy(means)).numpy()
        top, bottom = max(rows[first] - radius, 0), min(rows[last - 1] + radius + side, height)
        total, weight = (np.zeros((channels, bottom - top, width), np.float32) for _ in range(2))
        add_up(*images, members, ratio, top, total, weight)
        return int(top), total, weight

    return (yield from _by_strips(filter_rows, _cut(len(rows), step, width), result, stage=stage))


def _cut(count: int, step: int, width: int) -> list[tuple[int, int]]:
    """Cut rows of blocks, `step` pixels apart, into strips: the first row of each, and the one after its last."""
    rows = max(min(PIXELS // width, MAX_STRIP) // step, 1)
    return [(first, min(first + rows, count)) for first in range(0, count, rows)]


def _by_strips(
    add_up: Callable[[int, int], Strip],
    cuts: Sequence[tuple[int, int]],
    image: Tensor,
    *,
    stage: str,
    part: tuple[int, int] = (1, 1),
) -> Generator[Step, None, Tensor]:
    """Weighted mean of the blocks of all strips, whose rows overlap: fills an image, a step per strip.

    Rows are written when no strip reads them any more, so it may be the one that strips are read from.
    """
    result = image.numpy()
    channels, _, width = result.shape
    total, weight = (np.zeros((channels, 0, width), np.float32) for _ in range(2))
    done = 0
    for index, (top, own, own_weight) in enumerate(_in_order(add_up, cuts)):
        finished = top - done
        result[:, done:top] = total[:, :finished] / weight[:, :finished]
        for sums, rest in ((own, total[:, finished:]), (own_weight, weight[:, finished:])):
            sums[:, : rest.shape[1]] += rest
        total, weight, done = own, own_weight, top
        yield Step(stage, index + 1 + (part[0] - 1) * len(cuts), part[1] * len(cuts))
    result[:, done:] = total / weight
    return image


def _in_order(function: Callable[..., Strip], arguments: Sequence[tuple[Any, ...]]) -> Iterator[Strip]:
    """Call a function in as many threads as torch uses; results come in order, few of them ahead of their turn."""
    threads = torch.get_num_threads()
    waiting: deque[Future[Strip]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for values in arguments:
                waiting.append(pool.submit(function, *values))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
