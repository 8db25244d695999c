"""Measure the noise of an image for all stages of refining: R2 to R5 and R17 to R19, or R15 and R16."""

import math
from collections.abc import Generator
from functools import partial

import torch
from torch import Tensor

from mashpix.devices import release_freed_memory
from mashpix.picture import Picture
from mashpix.refine import block_matching, stages
from mashpix.refine.blind_noise import BlindNoise, measure_blind_noise
from mashpix.refine.block_matching import is_nearly_white
from mashpix.refine.colour import is_grey
from mashpix.refine.few_blocks import fine_variance, has_few_blocks, limit
from mashpix.refine.few_photons import counts_few_photons
from mashpix.refine.jpeg_blocks import blockiness
from mashpix.refine.narrow import continue_picture
from mashpix.refine.passes import shrink_blocks
from mashpix.refine.photon_counts import measure_photon_counts
from mashpix.refine.reconciling import measure_again
from mashpix.refine.residual_noise import (
    Likeness,
    Noises,
    Pilot,
    brightness_limit,
    measure_likeness,
    measure_noise,
    ramp,
)
from mashpix.refine.shrinking import SIDE, halve
from mashpix.refine.tuning import TUNED, RefineSettings
from mashpix.refine.variance_model import CONSTANT
from mashpix.report import Step
from mashpix.settings import Settings

BRIGHTNESS = math.sqrt(3)
"""The first opponent colour of white over white."""


def measure_noises(
    picture: Picture, y: Tensor, p: Tensor, *, settings: Settings, tuning: RefineSettings = TUNED
) -> Generator[Step, None, Noises | None]:
    """R2 to R5 and R17 to R19, or R15 and R16: measure the noise; None where no block is fit for that.

    Parameters as of `refine`; y and p are only read.
    """
    is_small = has_few_blocks(picture, tuning=tuning)
    picture = continue_picture(picture)
    usable, is_rgb = picture.valid[0].all(dim=0), picture.is_rgb
    in_prediction = measure_noise(y, p, usable, side=SIDE, is_rgb=is_rgb, tuning=tuning)  # R3: S_p
    if in_prediction is None:
        return None
    counts = None if is_small else measure_photon_counts(picture, tuning=tuning)  # R23
    if counts is not None:
        return _with_pilot(_known(counts, y, tuning=tuning), picture, tuning=tuning)
    blind = None if is_small else measure_blind_noise(picture, y, tuning=tuning)  # R15 and R16
    is_calm = blind is not None and _is_of_calm_parts(blind, y, white=picture.white, tuning=tuning)
    if blind is not None and not is_calm:
        known = _known(blind, y, tuning=tuning)
        if known.in_prediction.power().sum() <= tuning.max_blind_excess * in_prediction.power().sum():
            return _with_pilot(known, picture, tuning=tuning)  # else the prediction explains what it takes for noise
    release_freed_memory()  # of blocks
    y1 = yield from shrink_blocks(y, noise=in_prediction, stage=stages.SHRINK, settings=settings, tuning=tuning)  # R4
    follow = in_prediction.variance_model != CONSTANT
    measure = partial(measure_again, is_rgb=is_rgb, follow=follow, tuning=tuning)  # R3: S_1, and R5: S
    whole = halve(usable[None].float())[0] == 1
    in_blocks16 = measure(y, p, y1, usable, side=SIDE, in_prediction=in_prediction)
    in_blocks8 = measure(y, p, y1, usable, side=block_matching.SIDE)
    if in_blocks16 is None or in_blocks8 is None:
        return None
    reconciled, capped = in_blocks16
    # a quarter of the blocks are too few to show again how the noise follows the brightness
    model = reconciled.variance_model
    y1 = halve(y1)  # nothing reads the whole one again
    in_half_size = measure(halve(y), halve(p), y1, whole, side=SIDE, model=model)
    del y1
    noises = Noises(capped, reconciled, in_blocks8[0], in_half_size[0] if in_half_size else None)
    if is_small:
        return _limited(noises, y, usable)
    if is_rgb and tuning.opponent_colours and not is_grey(y) and not counts_few_photons(picture):
        likeness = measure_likeness(y, p, usable, noise=in_prediction, tuning=tuning)  # R19
        blocks = ramp(blockiness(y[0] / BRIGHTNESS, white=picture.white), *tuning.seen_blockiness)
        likeness = likeness._replace(texture=(1 - blocks) * likeness.texture)
        noises = _of_photo(noises, likeness=likeness, white=picture.white, tuning=tuning)  # R17
        across = 1 + (tuning.max_across - 1) * blocks  # R18: what the blocks of a group differ by is shrunk harder
        pilot: Pilot = "both" if likeness.sensor <= tuning.max_treated_likeness else "blocks"  # R22
        return noises._replace(in_blocks8=noises.in_blocks8._replace(across=across, pilot=pilot))
    if is_calm:  # what R3 to R5 measure then is noise and texture
        noises = _times(noises, tuning.texture_factor)
    return _with_pilot(noises, picture, tuning=tuning)


def _is_of_calm_parts(blind: BlindNoise, y: Tensor, *, white: float, tuning: RefineSettings) -> bool:
    """R15: whether the noise of a grey image is only what JPEG left in its calm parts; other parts hold more."""
    if blind.is_rgb and not is_grey(y):
        return False
    unit = BRIGHTNESS if blind.is_rgb else 1.0  # of y[0], in values of the image
    if float(blind.autocovariance[0][0, 0]) > (tuning.min_jpeg_noise * white * unit) ** 2:
        return False
    return blockiness(y[0] / unit, white=white) >= tuning.seen_blockiness[1]


def _known(noise: BlindNoise, y: Tensor, *, tuning: RefineSettings) -> Noises:
    """The noise of R15 and R16; where it is the same at any brightness, it is known well and calls for no caution."""
    in_blocks16, in_blocks8 = noise.model(SIDE, y), noise.model(block_matching.SIDE, y)
    half = noise.model(SIDE, y, half_size=True)
    caution = tuning.caution if noise.variance_model.slope == 0 else 1.0
    in_blocks8 = in_blocks8._replace(known=True)
    return Noises(in_blocks16, *(model._replace(psd=model.psd / caution) for model in (in_blocks16, in_blocks8, half)))


def _with_pilot(noises: Noises, picture: Picture, *, tuning: RefineSettings) -> Noises:
    """R21, where the noise is white. Groups found in the noisy image need some light: few photons keep R6."""
    noise = noises.in_blocks8
    if counts_few_photons(picture) or not is_nearly_white(noise, tuning=tuning):
        return noises
    return noises._replace(in_blocks8=noise._replace(pilot="groups"))


def _limited(noises: Noises, y: Tensor, usable: Tensor) -> Noises:
    """Limit the noise to what neighbouring pixels show; at half the size white noise has a quarter of its variance."""
    variance = fine_variance(y, usable)
    in_prediction, in_blocks16, in_blocks8 = (limit(noise, variance) for noise in noises[:3])
    half = noises.in_half_size and limit(noises.in_half_size, variance / 4)
    return Noises(in_prediction, in_blocks16, in_blocks8, half)


def _of_photo(noises: Noises, *, likeness: Likeness, white: float, tuning: RefineSettings) -> Noises:
    """R17 and R19: limit the noise of the brightness, and trust it by its likeness to that of a sensor."""
    power = noises.in_blocks16.power()[0]
    share = (brightness_limit(noises.in_blocks16, white=white, tuning=tuning) / power).clamp(max=1)
    sensor = likeness.sensor if share == 1 else 0.0
    share = share * tuning.texture_factor**likeness.texture
    factor = torch.full_like(noises.in_blocks16.psd[:, :1], tuning.sensor_factor**sensor) * share
    factor[0] *= tuning.other_factor ** (1 - sensor)
    return _times(noises, factor)


def _times(noises: Noises, factor: float | Tensor) -> Noises:
    """So many times the noise."""
    in_prediction, in_blocks16, in_blocks8 = (noise._replace(psd=noise.psd * factor) for noise in noises[:3])
    half = noises.in_half_size and noises.in_half_size._replace(psd=noises.in_half_size.psd * factor)
    return Noises(in_prediction, in_blocks16, in_blocks8, half)
