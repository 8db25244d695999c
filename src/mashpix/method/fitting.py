"""Fit a network to one image by predicting hidden pixels (Eq. 4 and 6): a generator of `Step`."""

import math
from collections.abc import Generator
from copy import deepcopy

import torch
from torch import Tensor

from mashpix.errors import MashpixError
from mashpix.method.early_stop import EarlyStop
from mashpix.method.masking import draw_hidden, hidden_loss, hide
from mashpix.method.network import UNet, make_network, repeatable
from mashpix.method.predicting import predict
from mashpix.method.shuffling import flat_regions, shuffle_tiles
from mashpix.picture import Picture
from mashpix.report import Step
from mashpix.settings import Settings

CHECK_EVERY = 50
"""Updates between two checks of the loss for divergence: each check waits for the device."""
RESTART_FACTOR = 0.1
"""Factor on the learning rate when a fit that diverged is started again."""


class Diverged(MashpixError):
    """The loss became infinite or NaN."""


def new_network(picture: Picture, *, settings: Settings, generator: torch.Generator) -> UNet:
    """Make a network with fresh weights for an image."""
    return make_network(picture.pixels.shape[1], channels=settings.channels, depth=settings.depth, generator=generator)


def fit(
    network: UNet,
    picture: Picture,
    masking_ratio: float,
    *,
    shuffle: bool,
    steps: int,
    stage: str,
    settings: Settings,
    generator: torch.Generator,
    early_stop: EarlyStop | None = None,
) -> Generator[Step, None, Tensor]:
    """Fit a network with fresh weights to an image, in place: one step, with its loss, per update.

    With `shuffle`, flat regions of the target are shuffled from update `settings.shuffle_start` on (Eq. 5 to 7).
    `early_stop` may end the fit before its last update. Returns the target of the last update: the image, or the
    shuffled image. A fit that diverges is started once more, from the first weights with a tenth of the learning rate;
    if it diverges again, that raises `MashpixError`.
    """
    first_weights = deepcopy(network.state_dict())
    for learning_rate in (settings.learning_rate, settings.learning_rate * RESTART_FACTOR):
        network.load_state_dict(first_weights)
        target = picture.pixels
        on_gpu = picture.pixels.is_cuda  # there, starting many small kernels is what an update costs
        optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=on_gpu)
        annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        try:
            for index in range(steps):
                if shuffle and index == settings.shuffle_start:
                    flat_stage = f"{stage}: flat regions"
                    intermediate = yield from predict(
                        network, picture, masking_ratio, stage=flat_stage, settings=settings, generator=generator
                    )
                    flat = flat_regions(
                        intermediate.mean, picture.valid, flat_threshold=settings.flat_threshold
                    )  # Eq. 7
                redraw = settings.redraw_shuffle and index > settings.shuffle_start
                if shuffle and (redraw or index == settings.shuffle_start):
                    target = shuffle_tiles(picture.pixels, flat, block_size=settings.block_size, generator=generator)
                loss = _update(
                    network, optimiser, picture, target, masking_ratio, settings=settings, generator=generator
                )
                annealing.step()
                is_last = (early_stop is not None and early_stop.ends(index + 1)) or index == steps - 1
                if (index % CHECK_EVERY == 0 or is_last) and not math.isfinite(loss):
                    raise Diverged
                yield Step(stage, index + 1, steps, loss=loss)
                if is_last:
                    break
        except Diverged:
            continue
        return target
    raise MashpixError(f"the fit diverged twice (learning rate {settings.learning_rate:g}; choose a lower one)")


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
    """Make one update (Eq. 4 and 6) on the whole image, or on a random window of a large one; returns the loss."""
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
    """Draw the position of the window along one axis."""
    size = -(-window_size // multiple) * multiple
    if side <= size:
        return slice(0, side)
    start = int(torch.randint(side - size + 1, (), generator=generator, device=generator.device))
    return slice(start, start + size)
