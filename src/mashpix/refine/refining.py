"""Refining: restore detail above the measured noise from the noisy image. Relations R1 to R10, top to bottom.

The network of MASH never sees a pixel's own value, so its prediction p of the noisy image y loses fine detail. What it
lost is in the residual y - p, together with all the noise; in flat blocks the residual is noise alone, and the noise
can be measured there. D is the orthonormal cosine transform of overlapping blocks, k a coefficient, b the brightness
of a block. The relations, and where each is:

    (R1)   channels of independent noise: y = M y_rgb                                colour.to_channels
    (R2)   noise model: var (D n)(k) = S(k) v(b), v(b) = max(offset + slope b, floor)  variance_model, residual_noise
    (R3)   S_p(k) = mean over flat blocks of |D(y - p)(k)|^2 / v(b); S_1 with y1     residual_noise.measure_noise
    (R4)   y1 = shrink(y; S_p): keep |D y| > t sigma, then Wiener with that as pilot shrinking.shrink
    (R5)   S = sqrt(S_p S_1) + floor as far as flat blocks understate the noise      reconciling.reconcile
    (R6)   y2 = shrink(y; S), its slow part from half the size                       shrinking.with_slow_part
    (R7)   g = Wiener filter of groups of similar blocks, y2 as pilot                block_matching
    (R8)   r = p + W(y - p), the signal of W being half of g - p                     blending.restore
    (R9)   a = 1 / (1 + (d / 0.05 sigma^2)^2), d the local mean of |g - p|^2         blending.agreement
    (R10)  x = a r + (1 - a) g                                                       blending.blend

R11 to R14 undo the bias of a tone curve in the result, see tone_bias. R15 and R16 measure the noise in y itself, see
blind_noise; R2 to R5 are for what is left: processed photos, whose noise R17 to R19 correct, and images of few
blocks. R20 restores stars, see compact. R21 takes the place of R6 where the noise is known to be white: y2 is y after a
hard threshold of groups found in y itself, and R7 and R9 trust it more, see block_matching.

Except in RGB, the mean of each block is that of y all along: intensities are kept. A figure of the data flow, a strip
of images and the reason of each relation are in docs/method.md. The Wiener filter behind a threshold and the groups
are those of BM3D (Dabov et al., IEEE TIP 2007); measuring the noise, R5 and R8 to R10 are ours.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine import block_matching, stages, strips
from mashpix.refine.blending import blend, restore
from mashpix.refine.blind_noise import BlindNoise, measure_blind_noise
from mashpix.refine.block_matching import collaborative_filter, is_white
from mashpix.refine.colour import from_channels, is_grey, to_channels
from mashpix.refine.compact import restore_compact
from mashpix.refine.few_blocks import fine_variance, has_few_blocks, limit
from mashpix.refine.few_photons import counts_few_photons
from mashpix.refine.jpeg_blocks import blockiness
from mashpix.refine.narrow import continue_narrow
from mashpix.refine.reconciling import measure_again
from mashpix.refine.residual_noise import NoiseModel, brightness_limit, measure_noise, ramp, sensor_likeness
from mashpix.refine.shrinking import SIDE, halve, shrink, with_slow_part
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.refine.variance_model import CONSTANT
from mashpix.report import Step
from mashpix.settings import Settings
from mashpix.tiling import tile_count, tiles

MULTIPLE = 2 * SIDE
"""The number that both sides of an image must be multiples of: blocks of 16 pixels at half the size."""
REACH, BLEND_REACH = 144, 28
"""Distance beyond which no pixel of the noisy image, and none of the prediction, can change the refined image."""
BRIGHTNESS = math.sqrt(3)
"""The first opponent colour of white over white."""
MAX_TILE = 320
"""Side in pixels of the largest tiles that are refined: overlapping blocks hold each pixel many times over."""


class Noises(NamedTuple):
    """The noise of an image as the stages of refining need it.

    in_prediction : S_p, in the residual of the prediction, with some of the texture that it missed
    in_blocks16, in_blocks8 : S, reconciled, in the blocks of R6 and of R7
    in_half_size : like `in_blocks16` at half the size; None where it cannot be measured
    """

    in_prediction: NoiseModel
    in_blocks16: NoiseModel
    in_blocks8: NoiseModel
    in_half_size: NoiseModel | None = None


def refine(
    picture: Picture,
    prediction: Tensor,
    *,
    settings: Settings,
    noises: Noises | None = None,
    tuning: RefineSettings = TUNED,
) -> Generator[Step, None, Tensor]:
    """Restore the detail that a prediction lost, as far as it exceeds the measured noise: a step per tile and stage.

    picture : the noisy image; its sides are multiples of `MULTIPLE`
    prediction : (1, C, H, W), mean of the network's predictions
    settings : `threshold` and `tile_size` count here
    noises : measured before, in images of this kind and on the same scale; None measures them in this one
    tuning : other than the default in benchmarks and tests only

    Returns the refined image (1, C, H, W), which is the prediction itself where no block is fit to measure noise in.
    """
    if noises is None:
        noises = yield from measure_noises(picture, prediction, settings=settings, tuning=tuning)  # R2 to R5
    if noises is None:
        return prediction
    picture, p = continue_narrow(picture, prediction)
    del prediction
    y, p = to_channels(picture, p, tuning=tuning)  # R1
    y2 = yield from shrink_again(y, noises, settings=settings, tuning=tuning)  # R6 or R21
    g = yield from group(y, y2, noises, settings=settings, tuning=tuning)  # R7
    del y2
    noise = noises.in_prediction
    if noises.in_blocks8.is_white:
        tuning = replace(tuning, disagreement=tuning.white_disagreement)
    # values that are measurements keep their local mean; the blotches of RGB have to go
    keep_means = not noise.is_rgb or counts_few_photons(picture)
    r = yield from restore_blocks(y, p, g, noise=noise, keep_means=keep_means, settings=settings, tuning=tuning)  # R8
    del y
    x = yield from by_tiles(  # R9 and R10
        partial(blend, noise=noise, tuning=tuning), p, g, r, stage=stages.BLEND, settings=settings
    )
    del p, g, r
    x = from_channels(x, picture, opponent=tuning.opponent_colours)
    if picture.origin is not None:  # a window of a plane, which does not show whether others hold stars
        return x
    return restore_compact(picture, x, noise=noises.in_blocks8, tuning=tuning)  # R20


def measure_noises(
    picture: Picture, prediction: Tensor, *, settings: Settings, tuning: RefineSettings = TUNED
) -> Generator[Step, None, Noises | None]:
    """R2 to R5 and R17 to R19, or R15 and R16: measure the noise; None where no block is fit for that.

    Parameters as of `refine`.
    """
    is_small = has_few_blocks(picture, tuning=tuning)
    picture, prediction = continue_narrow(picture, prediction)
    y, p = to_channels(picture, prediction, tuning=tuning)  # R1
    usable, is_rgb = picture.valid[0].all(dim=0), picture.is_rgb
    in_prediction = measure_noise(y, p, usable, side=SIDE, is_rgb=is_rgb, tuning=tuning)  # R3: S_p
    if in_prediction is None:
        return None
    blind = None if is_small else measure_blind_noise(picture, y, tuning=tuning)  # R15 and R16
    if blind is not None:
        known = _known(blind, y, counts=counts_few_photons(picture), tuning=tuning)
        if known.in_prediction.power().sum() <= tuning.max_blind_excess * in_prediction.power().sum():
            return known  # else the prediction explains what it takes for noise
    y1 = yield from shrink_blocks(y, noise=in_prediction, stage=stages.SHRINK, settings=settings, tuning=tuning)  # R4
    follow = in_prediction.variance_model != CONSTANT
    measure = partial(measure_again, is_rgb=is_rgb, follow=follow, tuning=tuning)  # R3: S_1, and R5: S
    whole = halve(usable[None].float())[0] == 1
    in_blocks16 = measure(y, p, y1, usable, side=SIDE, in_prediction=in_prediction)
    in_blocks8 = measure(y, p, y1, usable, side=block_matching.SIDE)
    in_half_size = measure(halve(y), halve(p), halve(y1), whole, side=SIDE)
    if in_blocks16 is None or in_blocks8 is None:
        return None
    reconciled, capped = in_blocks16
    noises = Noises(capped, reconciled, in_blocks8[0], in_half_size[0] if in_half_size else None)
    if is_small:
        return _limited(noises, y, usable)
    if is_rgb and tuning.opponent_colours and not is_grey(y) and not counts_few_photons(picture):
        likeness = sensor_likeness(y, p, usable, noise=in_prediction, tuning=tuning)  # R19
        noises = _of_photo(noises, likeness=likeness, white=picture.white, tuning=tuning)  # R17
        across = _across_groups(y[0], white=picture.white, tuning=tuning)  # R18
        noises = noises._replace(in_blocks8=noises.in_blocks8._replace(across=across))
    return noises


def _known(noise: BlindNoise, y: Tensor, *, counts: bool, tuning: RefineSettings) -> Noises:
    """The noise of R15 and R16; where it is the same at any brightness, it is known well and calls for no caution.

    Groups found in the noisy image need some light: `counts` of few photons keep R6.
    """
    in_blocks16, in_blocks8 = noise.model(SIDE, y), noise.model(block_matching.SIDE, y)
    half = noise.model(SIDE, y, half_size=True)
    caution = tuning.caution if noise.variance_model.slope == 0 else 1.0
    in_blocks8 = in_blocks8._replace(is_white=not counts and is_white(in_blocks8, tuning=tuning))
    return Noises(in_blocks16, *(model._replace(psd=model.psd / caution) for model in (in_blocks16, in_blocks8, half)))


def _limited(noises: Noises, y: Tensor, usable: Tensor) -> Noises:
    """Limit the noise to what neighbouring pixels show; at half the size white noise has a quarter of its variance."""
    variance = fine_variance(y, usable)
    in_prediction, in_blocks16, in_blocks8 = (limit(noise, variance) for noise in noises[:3])
    half = noises.in_half_size and limit(noises.in_half_size, variance / 4)
    return Noises(in_prediction, in_blocks16, in_blocks8, half)


def _of_photo(noises: Noises, *, likeness: float, white: float, tuning: RefineSettings) -> Noises:
    """R17 and R19: limit the noise of the brightness, and trust it by its likeness to that of a sensor."""
    power = noises.in_blocks16.power()[0]
    limit = brightness_limit(noises.in_blocks16, white=white, tuning=tuning)
    likeness = likeness if power <= limit else 0.0
    factor = torch.full_like(noises.in_blocks16.psd[:, :1], tuning.sensor_factor**likeness)
    factor[0] *= tuning.other_factor ** (1 - likeness) * (limit / power).clamp(max=1)
    in_prediction, in_blocks16, in_blocks8 = (noise._replace(psd=noise.psd * factor) for noise in noises[:3])
    half = noises.in_half_size and noises.in_half_size._replace(psd=noises.in_half_size.psd * factor)
    return Noises(in_prediction, in_blocks16, in_blocks8, half)


def _across_groups(brightness: Tensor, *, white: float, tuning: RefineSettings) -> float:
    """R18: how much harder what the blocks of a group differ by is shrunk, by the blocks of JPEG that are seen."""
    share = ramp(blockiness(brightness / BRIGHTNESS, white=white), *tuning.seen_blockiness)
    return 1 + (tuning.max_across - 1) * share


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
    """R6 or R21: the pilot y2, y shrunk by the reconciled noise, its slow part by that at half the size."""
    if noises.in_blocks8.is_white and tuning.groups:
        return (
            yield from filter_groups(
                y, noise=noises.in_blocks8, stage=stages.SHRINK_AGAIN, settings=settings, tuning=tuning
            )
        )
    by = partial(shrink_blocks, settings=settings, tuning=tuning)
    y2 = yield from by(y, noise=noises.in_blocks16, stage=stages.SHRINK_AGAIN)
    if noises.in_half_size is None:
        return y2
    slow = yield from by(halve(y), noise=noises.in_half_size, stage=stages.SHRINK_SLOW)
    return with_slow_part(y2, slow, tuning=tuning)


def group(
    y: Tensor, y2: Tensor, noises: Noises, *, settings: Settings, tuning: RefineSettings = TUNED
) -> Generator[Step, None, Tensor]:
    """R7: the groups g, y filtered with y2 as the pilot; the slow part stays that of y2, but for white noise."""
    if not tuning.groups:
        return y2
    noise = noises.in_blocks8
    if noise.is_white:
        noise = noise._replace(psd=noise.psd * tuning.white_share)
    g = yield from filter_groups(y, y2, noise=noise, stage=stages.GROUP, settings=settings, tuning=tuning)
    return g if noise.is_white else with_slow_part(g, halve(y2), tuning=tuning)


def filter_groups(
    *images: Tensor, noise: NoiseModel, stage: str, settings: Settings, tuning: RefineSettings
) -> Generator[Step, None, Tensor]:
    """R7 of y and its pilot, R21 of y."""
    if images[0].is_cpu:
        return strips.collaborative_filter(*images, noise=noise, stage=stage, tuning=tuning)
    by = partial(collaborative_filter, noise=noise, tuning=tuning)
    return by_tiles(by, *images, stage=stage, settings=settings, context=block_matching.context(tuning))


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
    """R8: the prediction, restored from y."""
    if y.is_cpu:
        return strips.restore(y, p, g, noise=noise, keep_means=keep_means, stage=stages.RESTORE, tuning=tuning)
    by = partial(restore, noise=noise, keep_means=keep_means, tuning=tuning)
    return by_tiles(by, y, p, g, stage=stages.RESTORE, settings=settings)


def by_tiles(
    function: Callable[..., Tensor], *pictures: Tensor, stage: str, settings: Settings, context: int = 2 * SIDE
) -> Generator[Step, None, Tensor]:
    """Apply a function of images (C, H, W), which reaches no farther than `context`, tile by tile."""
    result = torch.empty_like(pictures[0])
    height, width = result.shape[1:]
    tile_size = -(-min(settings.tile_size, MAX_TILE) // SIDE) * SIDE
    count = tile_count(height, width, tile_size=tile_size)
    for index, tile in enumerate(tiles(height, width, tile_size=tile_size, context=context)):
        part = function(*(picture[:, *tile.source] for picture in pictures))
        result[:, *tile.target] = part[:, *tile.inside]
        yield Step(stage, index + 1, count)
    return result
