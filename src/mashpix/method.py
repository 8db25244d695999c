"""MASH, masked and shuffled blind-spot denoising of one picture, from top to bottom.

Chihaoui and Favaro, "Masked and Shuffled Blind Spot Denoising for Real-World Images", CVPR 2024,
arXiv 2404.09389. y is the noisy picture, f the network, m a mask with 0 at hidden pixels, "." the
element-wise product. The equations, and where each is:

    (1)   min sum_i (f(y with pixel i hidden)[i] - y[i])^2       the principle behind (4)
    (2)   covariance of the noise in studies                     noise
    (3)   m[i] = 0 with probability tau, the masking ratio       masking.draw_hidden
    (4)   loss = mean of ((1 - m) . (f(m . y) - y))^2            masking.hidden_loss
    (5)   y_sh = c . Gamma(y) + (1 - c) . y                      shuffling.shuffle_tiles
    (6)   (4) with y_sh as the target                            fitting.fit
    (7)   c[i] = 1 where the prediction is flat                  shuffling.flat_regions
    (8)   sigma_tau = RMS of f(m . y) - y                        correlation.noise_level
    (9)   gap = |sigma_0.8 - sigma_0.2|                          correlation.correlation_gap
    (10)  the gap chooses tau, and whether to shuffle            correlation.choose_ratio
    (11)  the mean of the predictions from K masks               predicting.predict

The published presets end there. What grows out of it: the noise spectrum that the prediction's residual shows in
flat regions tells what of the residual is picture, and brings it back (refining.refine).
"""

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mashpix.correlation import Masking, choose_masking
from mashpix.fitting import fit, new_network
from mashpix.images import Picture
from mashpix.network import UNet
from mashpix.predicting import Prediction, drain, predict
from mashpix.refining import refine
from mashpix.report import Step
from mashpix.settings import Settings

PREVIEW_MASKS = 2
"""Masks averaged for a look at the picture during the fit."""


class Result(NamedTuple):
    """What `mash` returns: the picture and the spread over the masks, the decision, and the fraction shuffled."""

    denoised: Tensor
    spread: Tensor
    masking: Masking
    shuffled_fraction: float


def mash(
    picture: Picture, *, settings: Settings, generator: torch.Generator, preview_every: int = 0
) -> Generator[Step, None, Result]:
    """MASH on one picture: choose the masking ratio, fit a network, average its predictions."""
    masking = yield from choose_masking(picture, settings=settings, generator=generator)  # Eq. 8-10
    network = new_network(picture, settings=settings, generator=generator)
    fitting = fit(  # Eq. 3-7
        network,
        picture,
        masking.masking_ratio,
        shuffle=masking.shuffle,
        steps=settings.steps,
        stage="fit",
        settings=settings,
        generator=generator,
    )
    look = partial(_look, network, picture, masking.masking_ratio, settings=settings)
    shuffled_fraction = yield from _with_previews(fitting, look, every=preview_every)
    prediction = yield from estimate(network, picture, masking.masking_ratio, settings=settings, generator=generator)
    return Result(prediction.mean, prediction.spread, masking, shuffled_fraction)


def estimate(
    network: UNet, picture: Picture, masking_ratio: float, *, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, Prediction]:
    """The picture that a fitted network gives: the mean over random masks (Eq. 11), refined if the settings say so."""
    prediction = yield from predict(network, picture, masking_ratio, settings=settings, generator=generator)
    if not settings.refine:
        return prediction
    refined = yield from refine(picture, prediction.mean, settings=settings)
    return Prediction(refined, prediction.spread)


def _look(network: UNet, picture: Picture, masking_ratio: float, *, settings: Settings) -> Tensor:
    """The picture as it stands, from few masks and a generator of its own: looking changes nothing."""
    generator = torch.Generator(picture.pixels.device).manual_seed(0)
    few = settings.replace(masks=PREVIEW_MASKS)
    return drain(estimate(network, picture, masking_ratio, settings=few, generator=generator)).mean


def _with_previews(
    steps: Generator[Step, None, float], look: Callable[[], Tensor], *, every: int
) -> Generator[Step, None, float]:
    """Pass the steps of a fit on, every so often with the picture as it stands."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            result: float = stop.value
            return result
        wanted = every and step.stage == "fit" and step.index % every == 0
        yield replace(step, denoised=look()) if wanted else step
