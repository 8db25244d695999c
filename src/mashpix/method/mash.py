"""MASH, masked and shuffled blind-spot denoising of one image, from top to bottom.

Chihaoui and Favaro, "Masked and Shuffled Blind Spot Denoising for Real-World Images", CVPR 2024,
arXiv 2404.09389. y is the noisy image, f the network, m a mask with 0 at hidden pixels, "." the
element-wise product. The equations, and where each is:

    (1)   min sum_i (f(y with pixel i hidden)[i] - y[i])^2       the principle behind (4)
    (2)   covariance of the noise in studies                     noise
    (3)   m[i] = 0 with probability tau, the masking ratio       masking.draw_hidden
    (4)   loss = mean of ((1 - m) . (f(m . y) - y))^2            masking.hidden_loss
    (5)   y_sh = c . Gamma(y) + (1 - c) . y                      shuffling.shuffle_tiles
    (6)   (4) with y_sh as the target                            fitting.fit
    (7)   c[i] = 1 where the prediction is flat                  shuffling.flat_regions
    (8)   sigma_tau = RMS of f(m . y) - y                        masking_ratio.probe_residual_level
    (9)   gap = |sigma_0.8 - sigma_0.2|                          masking_ratio.correlation_gap
    (10)  the gap chooses tau, and whether to shuffle            masking_ratio.choose_ratio
    (11)  the mean of the predictions from K masks               predicting.predict

The published presets end there. What grows out of it: the noise spectrum that the prediction's residual shows in
flat regions separates detail from noise, and the detail is restored (refining.refine). Channels that a network has
not learnt to predict are replaced first (readiness.replace_unready).
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from mashpix.devices import release_freed_memory
from mashpix.method.early_stop import EarlyStop
from mashpix.method.fitting import fit, new_network
from mashpix.method.masking_ratio import Masking, choose_masking
from mashpix.method.network import UNet
from mashpix.method.predicting import Prediction, pool, predict
from mashpix.method.readiness import mix, replace_unready
from mashpix.picture import Picture
from mashpix.refine.few_blocks import has_few_blocks
from mashpix.refine.few_photons import counts_few_photons
from mashpix.refine.measuring import measure_noises
from mashpix.refine.refining import BLEND_REACH, MULTIPLE, REACH, channels_of, refine
from mashpix.refine.residual_noise import Noises
from mashpix.report import Step
from mashpix.settings import Settings
from mashpix.steps import drain, numbered, numbered_steps, relay

Returned = TypeVar("Returned")

PREVIEW_MASKS = 2
"""Masks that a preview during the fit is averaged over."""


class Result(NamedTuple):
    """The result of `mash`: the image and its spread over the masks, the masking, and the fraction shuffled.

    `held_out` (C,) is the mean squared error of the predictions at hidden pixels; `averaged` are the channels that a
    network had not learnt to predict (see `readiness`); `few_blocks` as `refine.few_blocks` has it.
    """

    denoised: Tensor
    spread: Tensor
    masking: Masking
    shuffled_fraction: float
    held_out: Tensor
    averaged: tuple[int, ...]
    few_blocks: bool


class Fitted(NamedTuple):
    """Networks fitted to one image, or to the mosaic of several, with the masking ratio and noise that go with them.

    noises : one per network, the noise in its residual; None where it has to be measured in each image
    """

    masking: Masking
    shuffled_fraction: float
    networks: tuple[UNet, ...]
    noises: tuple[Noises | None, ...]


def mash(
    picture: Picture,
    *,
    settings: Settings,
    generator: torch.Generator,
    preview_every: int = 0,
    early_stop: EarlyStop | None = None,
) -> Generator[Step, None, Result]:
    """Denoise one image: choose the masking ratio, fit a network, and refine what it predicts."""
    fitted = yield from fit_networks(
        picture, settings=settings, generator=generator, preview_every=preview_every, early_stop=early_stop
    )  # Eq. 3-10
    applying = apply_networks(fitted, picture, settings=settings, generator=generator)  # Eq. 11
    del picture  # whoever applies the last network has it alone, and frees it before refining
    return (yield from applying)


def fit_networks(
    picture: Picture,
    *,
    settings: Settings,
    generator: torch.Generator,
    share_noise: bool = False,
    preview_every: int = 0,
    early_stop: EarlyStop | None = None,
) -> Generator[Step, None, Fitted]:
    """Choose the masking ratio and fit `settings.fits` networks; `share_noise` measures their noise.

    `early_stop` is shared by all fits of a run; a network that ends early is the last of its image.

    With refining, channels that share a network without being colours each add their own updates.
    """
    masking = yield from choose_masking(picture, settings=settings, generator=generator)  # Eq. 8-10
    networks, noises, target = [], [], picture.pixels
    early_stop = early_stop or EarlyStop(settings.stop_after)
    means = settings.refine and counts_few_photons(picture)
    by = settings.replace(loss="squared") if means else settings
    for index in range(settings.fits):
        network = new_network(picture, settings=settings, generator=generator)
        fitting = fit(  # Eq. 3-7
            network,
            picture,
            masking.masking_ratio,
            shuffle=masking.shuffle,
            steps=settings.steps * (1 if picture.is_rgb or not settings.refine else picture.pixels.shape[1]),
            stage=numbered("fit", index),
            settings=by,
            generator=generator,
            early_stop=early_stop,
        )
        preview = partial(_preview, network, picture, masking.masking_ratio, settings=settings)
        target = yield from _with_previews(fitting, preview, every=preview_every)
        measured: Noises | None = None
        if share_noise and settings.refine:
            measured = yield from _measure(network, picture, masking, index, settings=settings, generator=generator)
        networks.append(network)
        noises.append(measured)
        if early_stop.each:
            break
    shuffled = float((target != picture.pixels).any(dim=1).float().mean())
    return Fitted(masking, shuffled, tuple(networks), tuple(noises))


def _measure(
    network: UNet, picture: Picture, masking: Masking, index: int, *, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, Noises | None]:
    """Measure the noise that refining needs; None where that is not possible."""
    ratio = masking.masking_ratio
    prediction = yield from predict_ready(network, picture, ratio, index, settings=settings, generator=generator)
    y, p = channels_of(picture, prediction.mean)
    return (yield from numbered_steps(measure_noises(picture, y, p, settings=settings), index))


def predict_ready(
    network: UNet, picture: Picture, masking_ratio: float, index: int, *, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, Prediction]:
    """Predict an image with the `index`-th network; before refining, what that has not learnt is replaced.

    Not in a window of a plane: whether the network is ready must not differ from window to window.
    """
    stage = numbered("predict", index)
    prediction = yield from predict(
        network, picture, masking_ratio, stage=stage, settings=settings, generator=generator
    )
    if not settings.refine or picture.origin is not None:
        return prediction
    return replace_unready(prediction, picture, masking_ratio, settings=settings)


def apply_networks(
    fitted: Fitted, picture: Picture, *, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, Result]:
    """Average the refined predictions (Eq. 11) of all networks."""
    few_blocks = settings.refine and None in fitted.noises and has_few_blocks(picture)
    passes, last = [], len(fitted.networks) - 1
    for index, (network, noises) in enumerate(zip(fitted.networks, fitted.noises, strict=True)):
        ratio = fitted.masking.masking_ratio
        applying = apply(network, picture, ratio, index=index, settings=settings, generator=generator, noises=noises)
        if index == last:
            del picture
        passes.append((yield from applying))
    predictions, results = zip(*passes, strict=True)
    _, spread, held_out, averaged = pool(predictions)
    denoised = results[0] if len(results) == 1 else torch.stack(results).mean(dim=0)
    return Result(denoised, spread, fitted.masking, fitted.shuffled_fraction, held_out, averaged, few_blocks)


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
    """Predict an image with one fitted network, the `index`-th, and refine the prediction: returns both."""
    prediction = yield from predict_ready(
        network, picture, masking_ratio, index, settings=settings, generator=generator
    )
    if not settings.refine:
        return prediction, prediction.mean
    release_freed_memory()  # of the tiles
    y, p = channels_of(picture, prediction.mean)
    if noises is None:
        noises = yield from numbered_steps(measure_noises(picture, y, p, settings=settings), index)
    if noises is None:
        return prediction, mix(prediction, picture)
    if settings.fits == 1:  # only the pool of several needs the mean: its memory is free for refining
        prediction = prediction._replace(mean=prediction.mean.new_empty(0))
    refining = refine(picture, y, p, noises=noises, settings=settings)
    release_freed_memory()  # of measuring
    del picture, y, p  # they are its own now: it frees each when it needs it no more
    refined = yield from numbered_steps(refining, index)
    release_freed_memory()  # of refining
    return prediction, refined


def side_multiple(settings: Settings) -> int:
    """The number that both sides of an image must be multiples of."""
    return math.lcm(2**settings.depth, MULTIPLE if settings.refine else 1)


def context_of(networks: Sequence[UNet], settings: Settings) -> int:
    """Distance beyond which no pixel can change the result, rounded up to `side_multiple`."""
    reach = max(network.context for network in networks)
    if settings.refine:
        reach = max(reach + BLEND_REACH, REACH)
    return -(-reach // side_multiple(settings)) * side_multiple(settings)


def _preview(network: UNet, picture: Picture, masking_ratio: float, *, settings: Settings) -> Tensor:
    """Preview the result from few masks and a generator of its own, which changes nothing of it."""
    generator = torch.Generator(picture.pixels.device).manual_seed(0)
    few = settings.replace(masks=PREVIEW_MASKS)
    return drain(apply(network, picture, masking_ratio, index=0, settings=few, generator=generator))[1]


def _with_previews(
    steps: Generator[Step, None, Tensor], preview: Callable[[], Tensor], *, every: int
) -> Generator[Step, None, Tensor]:
    """Add a preview to the steps of a fit every so many updates."""

    def with_preview(step: Step) -> Step:
        wanted = every and step.loss is not None and step.index % every == 0
        return replace(step, preview=preview()) if wanted else step

    return relay(steps, with_preview)
