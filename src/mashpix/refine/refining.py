"""Put prediction and picture together: what stands out of the measured noise comes back from the picture.

The network never sees a pixel's own value, so its prediction p of the noisy picture y loses fine detail. What it lost
is in the residual y - p, together with all the noise; in flat blocks the residual is noise alone, and the noise can be
measured there (spectrum.measure_noise). With it, in an opponent colour space:

    1. Shrink: coefficients of y in overlapping blocks that stand out of the noise are the pilot of a Wiener filter.
       Its result tells where the prediction had missed structure, so the noise is measured once more (`settle`), and
       y is shrunk with that, at full and at half size, where blocks reach twice as far: that gives the slow part.
    2. Group: similar blocks are shrunk together (grouping.filter_groups), with 1 as their pilot.
    3. Restore: p + Wiener(y - p), the signal taken to be half of what 2 finds beside p. This is smoother than 2, but
       only as good as the prediction.
    4. Result: 3 where 2 and the prediction agree, since two estimates that err in different ways agree where both
       are right; 2 elsewhere.

Except in RGB, the mean of each block is that of y all along: intensities are kept.

An empirical Wiener filter behind a thresholding step, and step 2, are those of BM3D (Dabov et al., IEEE TIP 2007); the
slow part from a smaller picture is in the spirit of Pierazzo and Facciolo, "Multi-scale DCT denoising", IPOL 2017. The
measured noise in all of them, 3 and 4 are ours.
"""

from collections.abc import Callable, Generator
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine import block_matching as grouping
from mashpix.refine import stages
from mashpix.refine.block_matching import filter_groups
from mashpix.refine.dct import analyse, brightness, main_channel, opponent_colours, synthesise, wiener_gain
from mashpix.refine.residual_noise import CONSTANT, Noise, measure_noise, settle
from mashpix.report import Step
from mashpix.settings import Settings
from mashpix.tiling import tile_count, tiles

SIDE = 16
"""Side in pixels of the blocks that are shrunk one by one."""
MULTIPLE = 2 * SIDE
"""What both sides of a picture must be multiples of."""
CAUTION = 1.2
"""What the variance of the noise is multiplied by in shrinking: noise left over is worse than detail lost."""
LARGEST_TILE = 320
"""Side in pixels of the largest tiles that are refined: overlapping blocks hold each pixel many times over."""
SLOW_WINDOW = 5
"""Side in pixels of the windows that a picture of half the size is averaged over to give the slow part: odd."""
AGREEMENT_WINDOW = 8
"""Side in pixels of the windows in which two estimates are compared, averaged twice."""
DISAGREEMENT = 0.05
"""Squared difference of two estimates, in variances of the noise, at which either counts for half."""


class Noises(NamedTuple):
    """The noise of a picture as the stages of refining need it.

    missed : in the residual of the prediction, with some of the texture that it missed
    single, grouped : between the prediction and the shrunk picture, in the blocks of each stage
    slow : like `single` at half the size; None where it cannot be measured
    """

    missed: Noise
    single: Noise
    grouped: Noise
    slow: Noise | None = None


def refine(
    picture: Picture, prediction: Tensor, *, settings: Settings, noises: Noises | None = None
) -> Generator[Step, None, Tensor]:
    """Bring the detail back that a prediction lost, as far as it stands out of the measured noise.

    Parameters
    ----------
    picture : Picture
        The noisy picture; its sides are multiples of `MULTIPLE`.
    prediction : Tensor
        (1, C, H, W): mean of the network's predictions.
    noises : Noises or None
        Noise measured before, in pictures of this kind and on the same scale; None measures it in this one.

    Yields
    ------
    Step
        One per tile and stage; the generator returns the refined picture (1, C, H, W), which is the prediction
        itself where no block of the picture is fit to measure the noise in.
    """
    noises = (yield from measure_noises(picture, prediction, settings=settings)) if noises is None else noises
    if noises is None:
        return prediction
    observed, predicted = _in_opponent_colours(picture, prediction)
    by_tiles, shrink = partial(_by_tiles, settings=settings), partial(_shrink, threshold=settings.threshold)
    pilot = yield from by_tiles(partial(shrink, noise=noises.single), observed, stage=stages.SHRINK_AGAIN)
    if noises.slow is not None:
        slow = yield from by_tiles(partial(shrink, noise=noises.slow), halve(observed), stage=stages.SHRINK_SLOW)
        pilot = _with_slow_part(pilot, slow)
    group = partial(filter_groups, noise=noises.grouped, caution=CAUTION)
    grouped = yield from by_tiles(group, observed, pilot, stage=stages.GROUP, context=grouping.CONTEXT)
    grouped = _with_slow_part(grouped, halve(pilot))
    del pilot
    restore = partial(_restore, noise=noises.missed)
    refined = yield from by_tiles(restore, observed, predicted, grouped, stage=stages.RESTORE)
    del observed, predicted, grouped
    from_opponent = torch.linalg.inv(opponent_colours(picture.unit, is_rgb=picture.is_rgb))
    result: Tensor = torch.tensordot(from_opponent, refined, dims=1)[None]
    return result


def measure_noises(picture: Picture, prediction: Tensor, *, settings: Settings) -> Generator[Step, None, Noises | None]:
    """The first half of step 1: measure the noise; None where no block is fit for that. Parameters as `refine`."""
    observed, predicted = _in_opponent_colours(picture, prediction)
    usable = picture.valid[0].all(dim=0)
    missed = measure_noise(observed, predicted, usable, side=SIDE, is_rgb=picture.is_rgb)
    if missed is None:
        return None
    shrink = partial(_shrink, threshold=settings.threshold, noise=missed)
    first = yield from _by_tiles(shrink, observed, stage=stages.SHRINK, settings=settings)
    measure = partial(settle, is_rgb=picture.is_rgb, follow=missed.law != CONSTANT)
    single, grouped = (measure(observed, predicted, first, usable, side=side) for side in (SIDE, grouping.SIDE))
    if single is None or grouped is None:
        return None
    usable_halved = halve(usable[None].float())[0] == 1
    slow = measure(halve(observed), halve(predicted), halve(first), usable_halved, side=SIDE)
    noise, missed = single
    return Noises(missed, noise, grouped[0], slow[0] if slow else None)


def _in_opponent_colours(picture: Picture, prediction: Tensor) -> tuple[Tensor, Tensor]:
    """Picture, its holes filled, and prediction, within the range of its values: (C, H, W) each."""
    low, high = picture.pixels[picture.valid].min(), picture.pixels[picture.valid].max()
    predicted = prediction[0].clamp(low, high)
    observed = torch.where(picture.valid[0], picture.pixels[0], predicted)
    to_opponent = opponent_colours(picture.unit, is_rgb=picture.is_rgb)
    observed, predicted = (torch.tensordot(to_opponent, pixels, dims=1) for pixels in (observed, predicted))
    return observed, predicted


def halve(pixels: Tensor) -> Tensor:
    """(C, H, W) at half the size: means of 2 x 2 pixels."""
    return F.avg_pool2d(pixels, 2)


def _shrink(observed: Tensor, *, noise: Noise, threshold: float) -> Tensor:
    """Step 1 at one scale: hard thresholding, then the Wiener filter that it is the pilot of."""
    size = observed.shape[1], observed.shape[2]
    coefficients = analyse(observed, SIDE)
    variance = CAUTION * noise.variance(brightness(coefficients, is_rgb=noise.is_rgb))
    keep = _keep_mean((coefficients.square() > threshold**2 * variance).to(coefficients))
    pilot = synthesise(coefficients, keep, variance, size)
    return synthesise(coefficients, _keep_mean(wiener_gain(analyse(pilot, SIDE), variance)), variance, size)


def _restore(observed: Tensor, predicted: Tensor, grouped: Tensor, *, noise: Noise) -> Tensor:
    """Steps 3 and 4."""
    size = observed.shape[1], observed.shape[2]
    variance = noise.variance(brightness(analyse(predicted, SIDE), is_rgb=noise.is_rgb))
    gain = wiener_gain(analyse((grouped - predicted) / 2, SIDE), variance)
    if not noise.is_rgb:  # values that are measurements keep their local mean; the blotches of RGB have to go
        _keep_mean(gain)
    restored = predicted + synthesise(analyse(observed - predicted, SIDE), gain, variance, size)
    return torch.lerp(grouped, restored, _agreement(grouped, predicted, noise))


def _agreement(grouped: Tensor, predicted: Tensor, noise: Noise) -> Tensor:
    """How far two estimates agree at each pixel (H, W), 1 to 0: their difference against the noise there."""
    difference = (grouped - predicted).square().sum(dim=0)
    expected = noise.spectrum[:, 1:].mean(dim=1).sum() * noise.law.ratio(main_channel(predicted, is_rgb=noise.is_rgb))
    difference, expected = _average(torch.stack([difference, expected]))
    relative = difference / (DISAGREEMENT * expected).clamp(min=torch.finfo(expected.dtype).tiny)
    return torch.reciprocal(1 + relative.square())


def _average(planes: Tensor) -> Tensor:
    """Means of (C, H, W) over windows around each pixel, averaged twice."""
    padded = F.pad(planes, (AGREEMENT_WINDOW - 1,) * 4, mode="reflect")
    for _ in range(2):
        padded = F.avg_pool2d(padded, AGREEMENT_WINDOW, stride=1)
    return padded


def _with_slow_part(pixels: Tensor, slow: Tensor) -> Tensor:
    """A picture (C, H, W) whose slow part is replaced by that of one of half the size."""
    change = F.pad(slow - halve(pixels), (SLOW_WINDOW // 2,) * 4, mode="replicate")
    change = F.interpolate(F.avg_pool2d(change, SLOW_WINDOW, stride=1)[None], scale_factor=2, mode="bilinear")
    return pixels + change[0]


def _keep_mean(gain: Tensor) -> Tensor:
    """Let the mean of each block through, its first coefficient."""
    gain[:, 0] = 1
    return gain


def _by_tiles(
    function: Callable[..., Tensor], *pictures: Tensor, stage: str, settings: Settings, context: int = 2 * SIDE
) -> Generator[Step, None, Tensor]:
    """Apply a function of pictures (C, H, W), which reaches no farther than `context`, tile by tile."""
    result = torch.empty_like(pictures[0])
    height, width = result.shape[1:]
    tile_size = -(-min(settings.tile_size, LARGEST_TILE) // SIDE) * SIDE
    count = tile_count(height, width, tile_size=tile_size)
    for index, tile in enumerate(tiles(height, width, tile_size=tile_size, context=context)):
        top, bottom, left, right = tile.read
        part = function(*(picture[:, top:bottom, left:right] for picture in pictures))
        rows, columns = (slice(*pair) for pair in (tile.keep[:2], tile.keep[2:]))
        inside = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        result[:, rows, columns] = part[:, *inside]
        yield Step(stage, index + 1, count)
    return result
