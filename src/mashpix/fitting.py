"""Fit one network to one picture by predicting hidden pixels (Eq. 4 and 6): a generator of `Step`."""

import math
from collections.abc import Generator
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from mashpix.errors import MashpixError
from mashpix.images import Picture
from mashpix.masking import draw_hidden, hidden_loss, hide
from mashpix.network import UNet, make_network
from mashpix.predicting import drain, predict
from mashpix.report import Step
from mashpix.settings import Settings
from mashpix.shuffling import flat_regions, shuffle_tiles

CHECK_EVERY = 50
"""Updates between two looks at the loss for divergence: each look waits for the device."""
RESTART_FACTOR = 0.1
"""What the learning rate is multiplied by when a fit that diverged is started again."""
PREVIEW_MASKS = 2
"""Masks averaged for a look at the picture during the fit."""


class Diverged(MashpixError):
    """The loss became infinite or NaN."""


class Fit(NamedTuple):
    """A fitted network, and the fraction of the pixels that were shuffled for it."""

    network: UNet
    shuffled_fraction: float


def fit(
    picture: Picture,
    masking_ratio: float,
    *,
    shuffle: bool,
    steps: int,
    stage: str,
    settings: Settings,
    generator: torch.Generator,
    preview_every: int = 0,
) -> Generator[Step, None, Fit]:
    """Fit a network to a picture; a fit that diverges is started once more with a tenth of the learning rate.

    Parameters
    ----------
    picture : Picture
        The noisy picture.
    masking_ratio : float
        Fraction of the pixels hidden at each update (Eq. 3).
    shuffle : bool
        Whether flat regions of the target are shuffled from update `settings.shuffle_start` on (Eq. 5 to 7).
    steps : int
        Updates.
    stage : str
        Name that the steps carry.
    preview_every : int
        Updates between two pictures in `Step.denoised`, as tensors of the picture's shape; 0: none.

    Yields
    ------
    Step
        One per update, with its loss.

    Raises
    ------
    MashpixError
        If it diverges again.
    """
    for learning_rate in (settings.learning_rate, settings.learning_rate * RESTART_FACTOR):
        attempt = _fit(
            picture,
            masking_ratio,
            shuffle=shuffle,
            steps=steps,
            stage=stage,
            settings=replace(settings, learning_rate=learning_rate),
            generator=generator,
            preview_every=preview_every,
        )
        try:
            return (yield from attempt)
        except Diverged:
            continue
    raise MashpixError(f"the fit diverged twice (learning rate {settings.learning_rate:g}; choose a lower one)")


def _fit(
    picture: Picture,
    masking_ratio: float,
    *,
    shuffle: bool,
    steps: int,
    stage: str,
    settings: Settings,
    generator: torch.Generator,
    preview_every: int,
) -> Generator[Step, None, Fit]:
    network = new_network(picture, settings=settings, generator=generator)
    average = deepcopy(network).requires_grad_(False) if settings.average_decay else network
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    target, shuffled_fraction = picture.pixels, 0.0
    for index in range(steps):
        if shuffle and index == settings.shuffle_start:
            intermediate = yield from predict(
                average,
                picture,
                masking_ratio,
                stage=f"{stage}: flat regions",
                settings=settings,
                generator=generator,
            )
            flat = flat_regions(intermediate.mean, picture.valid, flat_threshold=settings.flat_threshold)
            target = shuffle_tiles(picture.pixels, flat, block_size=settings.block_size, generator=generator)
            shuffled_fraction = float((target != picture.pixels).any(dim=1).float().mean())
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * schedule(index, steps=steps, warmup_steps=settings.warmup_steps)
        loss = _update(network, optimiser, picture, target, masking_ratio, settings=settings, generator=generator)
        if index % CHECK_EVERY == 0 and not math.isfinite(loss):
            raise Diverged
        if settings.average_decay:
            _average_weights(average, network, min(settings.average_decay, (1 + index) / (10 + index)))
        preview = None
        if preview_every and (index + 1) % preview_every == 0:
            preview = _preview(average, picture, masking_ratio, settings=settings, seed=index)
        yield Step(stage, index + 1, steps, loss=loss, denoised=preview)
    if not math.isfinite(loss):
        raise Diverged
    return Fit(average, shuffled_fraction)


def new_network(picture: Picture, *, settings: Settings, generator: torch.Generator) -> UNet:
    """A fresh network with the channels of the picture."""
    channels = picture.pixels.shape[1]
    inputs = 2 * channels if settings.mask_input else channels
    return make_network(inputs, channels, channels=settings.channels, depth=settings.depth, generator=generator)


def schedule(index: int, *, steps: int, warmup_steps: int) -> float:
    """Share of the learning rate at an update: a linear rise, then a half cosine down to 0.

    Examples
    --------
    >>> [round(schedule(index, steps=4, warmup_steps=0), 2) for index in range(4)]
    [1.0, 0.85, 0.5, 0.15]
    """
    rise = min((index + 1) / (warmup_steps + 1), 1.0)
    return rise * 0.5 * (1 + math.cos(math.pi * index / steps))


def _update(
    network: UNet,
    optimiser: torch.optim.Optimizer,
    picture: Picture,
    target: Tensor,
    masking_ratio: float,
    *,
    settings: Settings,
    generator: torch.Generator,
) -> Tensor:
    """One update on the whole picture, or on a random window of a large one; returns the loss."""
    rows, columns = (
        _draw_span(side, settings.window_size, network.multiple, generator) for side in picture.pixels.shape[2:]
    )
    window = (slice(None), slice(None), rows, columns)
    pixels, valid = picture.pixels[window], picture.valid[window]
    hidden = draw_hidden(pixels.shape, masking_ratio, mask_channels=settings.mask_channels, generator=generator)
    prediction = network(hide(pixels, hidden | ~valid, mask_input=settings.mask_input))
    loss = hidden_loss(prediction, target[window], hidden & valid, loss=settings.loss)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.detach()


def _draw_span(side: int, window_size: int, multiple: int, generator: torch.Generator) -> slice:
    """Where along one axis the window lies."""
    size = -(-window_size // multiple) * multiple
    if side <= size:
        return slice(0, side)
    start = int(torch.randint(side - size + 1, (), generator=generator, device=generator.device))
    return slice(start, start + size)


@torch.no_grad()
def _average_weights(average: UNet, network: UNet, decay: float) -> None:
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(weight, 1 - decay)


def _preview(network: UNet, picture: Picture, masking_ratio: float, *, settings: Settings, seed: int) -> Tensor:
    """A quick look that leaves the randomness of the fit alone."""
    generator = torch.Generator(picture.pixels.device).manual_seed(seed)
    looking = predict(
        network,
        picture,
        masking_ratio,
        masks=PREVIEW_MASKS,
        settings=settings,
        generator=generator,
    )
    return drain(looking).mean
