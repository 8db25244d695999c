"""Fit one network to one picture by predicting hidden pixels (Eq. 4 and 6): a generator of `Step`."""

import math
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mashpix.errors import MashpixError
from mashpix.images import Picture
from mashpix.masking import draw_hidden, hidden_loss, hide
from mashpix.network import UNet, make_network, repeatable
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
    attempt = partial(
        _fit,
        picture,
        masking_ratio,
        shuffle=shuffle,
        steps=steps,
        stage=stage,
        generator=generator,
        preview_every=preview_every,
    )
    for learning_rate in (settings.learning_rate, settings.learning_rate * RESTART_FACTOR):
        try:
            return (yield from attempt(settings=replace(settings, learning_rate=learning_rate)))
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
    channels = picture.pixels.shape[1]
    network = make_network(channels, channels=settings.channels, depth=settings.depth, generator=generator)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    target, shuffled_fraction = picture.pixels, 0.0
    for index in range(steps):
        if shuffle and index == settings.shuffle_start:
            intermediate = yield from predict(
                network,
                picture,
                masking_ratio,
                stage=f"{stage}: flat regions",
                settings=settings,
                generator=generator,
            )
            flat = flat_regions(intermediate.mean, picture.valid, flat_threshold=settings.flat_threshold)
            target = shuffle_tiles(picture.pixels, flat, block_size=settings.block_size, generator=generator)
            shuffled_fraction = float((target != picture.pixels).any(dim=1).float().mean())
        loss = _update(network, optimiser, picture, target, masking_ratio, settings=settings, generator=generator)
        if index % CHECK_EVERY == 0 and not math.isfinite(loss):
            raise Diverged
        annealing.step()
        preview = None
        if preview_every and (index + 1) % preview_every == 0:
            preview = _preview(network, picture, masking_ratio, settings=settings, seed=index)
        yield Step(stage, index + 1, steps, loss=loss, denoised=preview)
    if not math.isfinite(loss):
        raise Diverged
    return Fit(network, shuffled_fraction)


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
    """One update (Eq. 4 and 6) on the whole picture, or on a random window of a large one; returns the loss."""
    rows, columns = (
        _draw_span(side, settings.window_size, network.multiple, generator) for side in picture.pixels.shape[2:]
    )
    window = (slice(None), slice(None), rows, columns)
    pixels, valid = picture.pixels[window], picture.valid[window]
    hidden = draw_hidden(pixels.shape, masking_ratio, mask_channels=settings.mask_channels, generator=generator)
    with repeatable():
        prediction = network(hide(pixels, hidden | ~valid))
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


def _preview(network: UNet, picture: Picture, masking_ratio: float, *, settings: Settings, seed: int) -> Tensor:
    """A quick look that leaves the randomness of the fit alone."""
    generator = torch.Generator(picture.pixels.device).manual_seed(seed)
    return drain(
        predict(network, picture, masking_ratio, masks=PREVIEW_MASKS, settings=settings, generator=generator)
    ).mean
