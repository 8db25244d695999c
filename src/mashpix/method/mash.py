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
flat regions tells what of the residual is picture, and brings it back (refining.refine). Refining needs a prediction
that can be believed: channels that do not help each other are fitted apart (relations.group_channels), and what a
network has not learnt is left out (readiness.replace_unready).
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from mashpix.method.fitting import fit, new_network
from mashpix.method.masking_ratio import Masking, choose_masking
from mashpix.method.network import UNet
from mashpix.method.predicting import Prediction, pool, predict
from mashpix.method.readiness import replace_unready
from mashpix.method.relations import Groups
from mashpix.picture import Picture
from mashpix.refine.refining import MULTIPLE, Noises, refine
from mashpix.report import Step
from mashpix.settings import Settings
from mashpix.steps import drain, numbered, numbered_steps, relay

Returned = TypeVar("Returned")

PREVIEW_MASKS = 2
"""Masks averaged for a look at the picture during the fit."""


class Result(NamedTuple):
    """What `mash` returns: the picture and the spread over the masks, the decision, and the fraction shuffled.

    `held_out` (C,) is the mean squared error of the predictions at hidden pixels; `averaged` are the channels that the
    network had not learnt to predict (see `readiness`); `groups` are the channels that shared a network.
    """

    denoised: Tensor
    spread: Tensor
    masking: Masking
    shuffled_fraction: float
    held_out: Tensor
    averaged: tuple[int, ...] = ()
    groups: Groups = ()


def mash(
    picture: Picture,
    *,
    settings: Settings,
    generator: torch.Generator,
    preview_every: int = 0,
    groups: Groups | None = None,
) -> Generator[Step, None, Result]:
    """MASH on one picture: each group of channels as if it were alone, all in one group unless told otherwise.

    Every group starts from the same state of the generator, so the result does not depend on the other groups.
    """
    groups = groups or (tuple(range(picture.pixels.shape[1])),)
    if len(groups) == 1:
        result = yield from _mash_group(picture, settings=settings, generator=generator, preview_every=preview_every)
        return result._replace(groups=groups)
    state, seen, results = generator.get_state(), picture.pixels.clone(), []
    for index, group in enumerate(groups):
        generator.set_state(state)
        steps = _mash_group(
            _select(picture, group),
            first=index * settings.fits,
            settings=settings,
            generator=generator,
            preview_every=preview_every,
        )
        results.append((yield from relay(steps, partial(_among_others, group=group, others=seen))))
        seen[:, group] = results[-1].denoised
    return _join(results, groups)


def _mash_group(
    picture: Picture, *, settings: Settings, generator: torch.Generator, preview_every: int, first: int = 0
) -> Generator[Step, None, Result]:
    """Choose the masking ratio, then fit a network and refine what it predicts.

    With `settings.fits` that is done so many times, and the results averaged; stages are numbered from `first`.
    """
    masking = yield from choose_masking(picture, settings=settings, generator=generator)  # Eq. 8-10
    passes = []
    for index in range(first, first + settings.fits):
        network = new_network(picture, settings=settings, generator=generator)
        fitting = fit(  # Eq. 3-7
            network,
            picture,
            masking.masking_ratio,
            shuffle=masking.shuffle,
            steps=fit_updates(picture, settings),
            stage=numbered("fit", index),
            settings=settings,
            generator=generator,
        )
        look = partial(_look, network, picture, masking.masking_ratio, settings=settings)
        shuffled_fraction = yield from _with_previews(fitting, look, every=preview_every)
        applying = apply(  # Eq. 11
            network, picture, masking.masking_ratio, index=index, settings=settings, generator=generator
        )
        passes.append((yield from applying))
    return average(passes, masking, shuffled_fraction)


def fit_updates(picture: Picture, settings: Settings) -> int:
    """Updates of one fit: channels that are not colours share a network, and each gets the updates it had alone."""
    shared = 1 if picture.is_rgb or not settings.refine else picture.pixels.shape[1]
    return settings.steps * shared


def _select(picture: Picture, group: tuple[int, ...]) -> Picture:
    """Some of the channels of a picture, as a picture."""
    channels = list(group)
    return Picture(picture.pixels[:, channels], picture.valid[:, channels], picture.unit[channels])


def _among_others(step: Step, *, group: tuple[int, ...], others: Tensor) -> Step:
    """A step of a group of channels, with the whole picture where it carries one."""
    if step.denoised is None:
        return step
    whole = others.clone()
    whole[:, group] = step.denoised
    return replace(step, denoised=whole)


def _join(results: Sequence[Result], groups: Groups) -> Result:
    """The results of all groups as one, channels in their order; of the masking the first counts."""
    order = torch.tensor([channel for group in groups for channel in group]).argsort()
    denoised, spread = (
        torch.cat(tensors, dim=1)[:, order]
        for tensors in ([result.denoised for result in results], [result.spread for result in results])
    )
    held_out = torch.cat([result.held_out for result in results])[order]
    averaged = (group[index] for group, result in zip(groups, results, strict=True) for index in result.averaged)
    shuffled_fraction = sum(
        result.shuffled_fraction * len(group) for group, result in zip(groups, results, strict=True)
    ) / len(order)
    return Result(
        denoised, spread, results[0].masking, shuffled_fraction, held_out, tuple(sorted(averaged)), tuple(groups)
    )


def apply(
    network: UNet,
    picture: Picture,
    masking_ratio: float,
    *,
    index: int,
    settings: Settings,
    generator: torch.Generator,
    noises: Noises | None = None,
) -> Generator[Step, None, tuple[Prediction, Tensor]]:
    """What one fitted network, the `index`-th, makes of a picture: its prediction, and that refined."""
    stage = numbered("predict", index)
    prediction = yield from predict(
        network, picture, masking_ratio, stage=stage, settings=settings, generator=generator
    )
    if not settings.refine:
        return prediction, prediction.mean
    prediction = replace_unready(prediction, picture, masking_ratio, settings=settings)
    refining = refine(picture, prediction.mean, settings=settings, noises=noises)
    return prediction, (yield from numbered_steps(refining, index))


def average(passes: Sequence[tuple[Prediction, Tensor]], masking: Masking, shuffled_fraction: float) -> Result:
    """The mean of what several networks made of one picture."""
    predictions, results = zip(*passes, strict=True)
    _, spread, held_out, averaged = pool(predictions)
    return Result(torch.stack(results).mean(dim=0), spread, masking, shuffled_fraction, held_out, averaged)


def side_multiple(settings: Settings) -> int:
    """What both sides of a picture must be multiples of."""
    return math.lcm(2**settings.depth, MULTIPLE if settings.refine else 1)


def _look(network: UNet, picture: Picture, masking_ratio: float, *, settings: Settings) -> Tensor:
    """The picture as it stands, from few masks and a generator of its own: looking changes nothing."""
    generator = torch.Generator(picture.pixels.device).manual_seed(0)
    few = settings.replace(masks=PREVIEW_MASKS)
    prediction = drain(predict(network, picture, masking_ratio, settings=few, generator=generator))
    if not settings.refine:
        return prediction.mean
    prediction = replace_unready(prediction, picture, masking_ratio, settings=settings)
    return drain(refine(picture, prediction.mean, settings=settings))


def _with_previews(
    steps: Generator[Step, None, float], look: Callable[[], Tensor], *, every: int
) -> Generator[Step, None, float]:
    """Pass the steps of a fit on, every so often with the picture as it stands."""

    def with_preview(step: Step) -> Step:
        wanted = every and step.loss is not None and step.index % every == 0
        return replace(step, denoised=look()) if wanted else step

    return relay(steps, with_preview)
