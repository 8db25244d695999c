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
blind_noise, and R23 knows that of photon counts; R2 to R5 are for what is left: processed photos, whose noise R17 to
R19 correct, and images of few blocks; see measuring. R20 restores stars, see compact. Groups also make the pilot where
the noise is white (R21), and half of it in photos whose noise a camera has treated (R22), see passes. After R7 similar
patches are filtered as samples of one Gaussian (R24), see gaussian_patches.

Except in RGB, the mean of each block is that of y all along: intensities are kept. A figure of the data flow, a strip
of images and the reason of each relation are in docs/method.md. The Wiener filter behind a threshold and the groups
are those of BM3D (Dabov et al., IEEE TIP 2007); measuring the noise, R5 and R8 to R10 are ours.
"""

from collections.abc import Generator
from dataclasses import replace
from functools import partial

from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine import stages
from mashpix.refine.blending import blend
from mashpix.refine.colour import continue_channels, from_channels, to_channels
from mashpix.refine.compact import restore_compact
from mashpix.refine.few_photons import counts_few_photons
from mashpix.refine.narrow import continue_narrow, continue_picture
from mashpix.refine.passes import by_tiles, group, group_patches, restore_blocks
from mashpix.refine.residual_noise import Noises
from mashpix.refine.shrinking import SIDE
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.report import Step
from mashpix.settings import Settings

MULTIPLE = 2 * SIDE
"""The number that both sides of an image must be multiples of: blocks of 16 pixels at half the size."""
REACH, BLEND_REACH = 288, 28
"""Distance beyond which no pixel of the noisy image, and none of the prediction, can change the refined image."""


def channels_of(picture: Picture, prediction: Tensor, *, tuning: RefineSettings = TUNED) -> tuple[Tensor, Tensor]:
    """R1: the noisy y and the prediction p, (C, H, W) each, from a prediction (1, C, H, W): new, so that `refine` may
    overwrite them.
    """
    prediction = continue_narrow(prediction, picture.valid)
    return to_channels(continue_picture(picture), prediction, tuning=tuning)


def refine(
    picture: Picture,
    y: Tensor,
    p: Tensor,
    *,
    noises: Noises,
    settings: Settings,
    tuning: RefineSettings = TUNED,
) -> Generator[Step, None, Tensor]:
    """Restore the detail that a prediction lost, as far as it exceeds the measured noise: a step per tile and stage.

    picture : the noisy image; its sides are multiples of `MULTIPLE`
    y, p : (C, H, W) each, the noisy image and the mean of the network's predictions, as `channels_of` returns them;
        they are overwritten, and freed as soon as they are needed no more if the caller keeps none
    noises : measured in this image (`measuring.measure_noises`), or in others of this kind and on the same scale
    settings : `threshold` and `tile_size` count here
    tuning : other than the default in benchmarks and tests only

    Returns the refined image (1, C, H, W).
    """
    noise, picture = noises.in_prediction, continue_picture(picture)
    # values that are measurements keep their local mean; the blotches of RGB have to go
    keep_means = not noise.is_rgb or counts_few_photons(picture)
    if noises.in_blocks8.is_of_sensor:
        y = continue_channels(y, picture, tuning=tuning)  # R1
    if picture.is_rgb:  # R20, the only relation that reads them again, leaves RGB as it is
        picture = replace(picture, pixels=picture.pixels.new_empty(0))
    g = yield from group(y, noises, settings=settings, tuning=tuning)  # R6, R7, R21 and R22
    hole = ~picture.valid[0]
    y[hole] = g[hole]  # a step between y and what fills a hole would pass for image
    g = yield from group_patches(y, g, noise=noises.in_blocks8, settings=settings, tuning=tuning)  # R24
    if noises.in_blocks8.known and noises.in_blocks8.pilot == "groups":
        tuning = replace(tuning, disagreement=tuning.white_disagreement)
    r = yield from restore_blocks(y, p, g, noise=noise, keep_means=keep_means, settings=settings, tuning=tuning)  # R8
    del y
    x = yield from by_tiles(  # R9 and R10
        partial(blend, noise=noise, tuning=tuning), p, g, r, stage=stages.BLEND, settings=settings, into=r
    )
    del p, g, r
    x = from_channels(x, picture, opponent=tuning.opponent_colours)
    if picture.origin is not None:  # a window of a plane, which does not show whether others hold stars
        return x
    return restore_compact(picture, x, noise=noises.in_blocks8, tuning=tuning)  # R20
