"""The passes over an image, R4, R6 to R8, R21, R22 and R24: by compiled strips on a CPU, by tiles on a GPU.

(R21) Where the noise is nearly white, the pilot of R7 is a hard threshold of groups that are alike in y itself. If the
noise is known, that holds so little of it that R7 takes only a part of the variance.

(R22) In photos whose noise a camera has treated, the pilot is the mean of y2 and of a hard threshold of groups that are
alike in y2; the slow part of g goes half way to that of y2.
"""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mashpix.refine import stages, strips
from mashpix.refine.blending import restore
from mashpix.refine.block_matching import (
    Grouping,
    collaborative_filter,
    context,
    grouping,
    treated_grouping,
    white_grouping,
)
from mashpix.refine.gaussian_patches import filter_patches
from mashpix.refine.residual_noise import NoiseModel, Noises
from mashpix.refine.shrinking import SIDE, halve, shrink, with_slow_part
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.report import Step
from mashpix.settings import Settings
from mashpix.tiling import tile_count, tiles

MAX_TILE = 320
"""Side in pixels of the largest tiles that are refined: overlapping blocks hold each pixel many times over."""


def shrink_blocks(
    y: Tensor, *, noise: NoiseModel, stage: str, settings: Settings, tuning: RefineSettings = TUNED
) -> Generator[Step, None, Tensor]:
    """R4: y shrunk by a noise."""
    if y.is_cpu:
        return strips.shrink(y, noise=noise, threshold=settings.threshold, stage=stage, tuning=tuning)
    by = partial(shrink, noise=noise, threshold=settings.threshold, tuning=tuning)
    return by_tiles(by, y, stage=stage, settings=settings)


def shrink_again(
    y: Tensor, noises: Noises, *, settings: Settings, tuning: RefineSettings = TUNED
) -> Generator[Step, None, Tensor]:
    """R6: y2, y shrunk by the reconciled noise, its slow part by that at half the size."""
    by = partial(shrink_blocks, settings=settings, tuning=tuning)
    y2 = yield from by(y, noise=noises.in_blocks16, stage=stages.SHRINK_AGAIN)
    if noises.in_half_size is None:
        return y2
    slow = yield from by(halve(y), noise=noises.in_half_size, stage=stages.SHRINK_SLOW)
    return with_slow_part(y2, slow, tuning=tuning)


def group(
    y: Tensor, noises: Noises, *, settings: Settings, tuning: RefineSettings = TUNED
) -> Generator[Step, None, Tensor]:
    """R6, R7, R21 and R22: the groups g, y filtered with a pilot of blocks, of groups, or of both."""
    noise = noises.in_blocks8
    by = partial(filter_groups, settings=settings, tuning=tuning)
    for_threshold = noise.times(colours=tuning.threshold_colours)
    if noise.pilot == "groups" and tuning.groups:
        pilot_by = white_grouping(tuning, known=noise.known)
        y2 = yield from by(y, y, noise=for_threshold, by=pilot_by, stage=stages.PILOT)  # R21
        share = tuning.white_share if noise.known else 1.0
        noise = noise.times(share, colours=tuning.wiener_colours)
        return (yield from by(y, y2, noise=noise, by=grouping(tuning), stage=stages.GROUP, in_place=True))  # R7
    y2 = yield from shrink_again(y, noises, settings=settings, tuning=tuning)  # R6
    if not tuning.groups:
        return y2
    pilot, share, slow = y2, 1.0, halve(y2)
    if noise.pilot == "both":
        pilot = yield from by(y, y2, noise=for_threshold, by=treated_grouping(tuning), stage=stages.PILOT)  # R22
        pilot, share = pilot.add_(y2).div_(2), tuning.treated_slow_share
    del y2
    noise = noise.times(colours=tuning.wiener_colours)
    g = yield from by(y, pilot, noise=noise, by=grouping(tuning), stage=stages.GROUP, in_place=True)  # R7
    return with_slow_part(g, slow, share=share, tuning=tuning)


def filter_groups(
    y: Tensor,
    guide: Tensor,
    *,
    noise: NoiseModel,
    by: Grouping,
    stage: str,
    settings: Settings,
    in_place: bool = False,
    tuning: RefineSettings,
) -> Generator[Step, None, Tensor]:
    """R7, R21 and R22 of y, with groups found in `guide`, whose place the result may take: `in_place`."""
    if y.is_cpu:
        return strips.collaborative_filter(y, guide, noise=noise, by=by, stage=stage, in_place=in_place, tuning=tuning)
    function = partial(collaborative_filter, noise=noise, by=by, tuning=tuning)
    return by_tiles(function, y, guide, stage=stage, settings=settings, context=context(tuning))


def group_patches(
    y: Tensor, g: Tensor, *, noise: NoiseModel, settings: Settings, tuning: RefineSettings = TUNED
) -> Generator[Step, None, Tensor]:
    """R24: y, filtered in groups of similar patches with the pilot g, whose place it may take."""
    if not tuning.similar_patches:
        return g
    noise = noise.times(tuning.caution * noise.across * (tuning.known_patch_share if noise.known else 1.0))
    if y.is_cpu:
        return (yield from strips.filter_patches(y, g, noise=noise, stage=stages.PATCHES, in_place=True, tuning=tuning))
    function = partial(filter_patches, noise=noise, tuning=tuning)
    return (yield from by_tiles(function, y, g, stage=stages.PATCHES, settings=settings, context=context(tuning)))


def restore_blocks(
    y: Tensor,
    p: Tensor,
    g: Tensor,
    *,
    noise: NoiseModel,
    keep_means: bool,
    settings: Settings,
    tuning: RefineSettings = TUNED,
) -> Generator[Step, None, Tensor]:
    """R8: the prediction, restored from y, whose place it may take."""
    how: dict[str, Any] = {"noise": noise, "keep_means": keep_means, "tuning": tuning}
    if y.is_cpu:
        return strips.restore(y, p, g, **how, stage=stages.RESTORE, in_place=True)
    by = partial(restore, **how)
    return by_tiles(by, y, p, g, stage=stages.RESTORE, settings=settings)


def by_tiles(
    function: Callable[..., Tensor],
    *pictures: Tensor,
    stage: str,
    settings: Settings,
    context: int = 2 * SIDE,
    into: Tensor | None = None,
) -> Generator[Step, None, Tensor]:
    """Apply a function of images (C, H, W), which reaches no farther than `context`, tile by tile.

    `into` is what the result is written to; it may be an image of which the function takes each pixel for itself.
    """
    result = torch.empty_like(pictures[0]) if into is None else into
    height, width = result.shape[1:]
    tile_size = -(-min(settings.tile_size, MAX_TILE) // SIDE) * SIDE
    count = tile_count(height, width, tile_size=tile_size)
    for index, tile in enumerate(tiles(height, width, tile_size=tile_size, context=context)):
        part = function(*(picture[:, *tile.source] for picture in pictures))
        result[:, *tile.target] = part[:, *tile.inside]
        yield Step(stage, index + 1, count)
    return result
