"""Mean and spread over random masks (Eq. 11); large images by tiles."""

from collections.abc import Generator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mashpix.method.masking import draw_hidden, draw_window, hide
from mashpix.method.network import UNet, repeatable
from mashpix.picture import Picture
from mashpix.report import Step
from mashpix.settings import Settings
from mashpix.tiling import Tile, tile_count, tiles


class Prediction(NamedTuple):
    """Mean and standard deviation over the masks, (1, C, H, W) each, and the error at hidden pixels.

    `held_out` (C,) is the mean square of prediction minus image where a mask hid a valid pixel; `averaged` are the
    channels whose mean is an average of the neighbours instead (see `readiness`). Refining leaves the mean empty where
    it is needed no more.
    """

    mean: Tensor
    spread: Tensor
    held_out: Tensor
    averaged: tuple[int, ...] = ()


def predict(
    network: UNet,
    picture: Picture,
    masking_ratio: float,
    *,
    settings: Settings,
    generator: torch.Generator,
    masks: int | None = None,
    stage: str = "predict",
) -> Generator[Step, None, Prediction]:
    """Predict an image from random masks, `settings.masks` by default, and average (Eq. 11).

    One step per tile and mask. Tiles read as much context as the network can see, so the result does not depend on
    `settings.tile_size`.
    """
    masks = settings.masks if masks is None else masks
    height, width = picture.pixels.shape[2:]
    tile_size = -(-settings.tile_size // network.multiple) * network.multiple
    count = masks * tile_count(height, width, tile_size=tile_size)
    mean, squares = torch.zeros_like(picture.pixels), torch.zeros_like(picture.pixels)
    errors = picture.pixels.new_zeros((2, picture.pixels.shape[1]))  # sum of squares, count
    index = 0
    for mask in range(masks):
        draw = draw_hidden if picture.origin is None else partial(draw_window, origin=picture.origin)
        hidden = draw(
            picture.pixels.shape,
            masking_ratio,
            mask_channels=settings.mask_channels,
            generator=generator,
        )
        for tile in tiles(height, width, tile_size=tile_size, context=network.context):
            _predict_tile(network, picture, hidden, tile, mask, mean, squares, errors)
            index += 1
            yield Step(stage, index, count)
    return Prediction(mean, squares.div_(masks).sqrt_(), errors[0] / errors[1].clamp(min=1))


def pool(predictions: Sequence[Prediction]) -> Prediction:
    """Pool predictions from equally many masks: mean and standard deviation over all masks."""
    if len(predictions) == 1:
        return predictions[0]
    *tensors, averaged = zip(*predictions, strict=True)
    means, spreads, errors = (torch.stack(values) for values in tensors)
    mean = means.mean(dim=0)
    spread = (spreads.square() + (means - mean).square()).mean(dim=0).sqrt()
    return Prediction(mean, spread, errors.mean(dim=0), tuple(sorted({index for some in averaged for index in some})))


@torch.no_grad()
def _predict_tile(
    network: UNet,
    picture: Picture,
    hidden: Tensor,
    tile: Tile,
    mask: int,
    mean: Tensor,
    squares: Tensor,
    errors: Tensor,
) -> None:
    """Add one tile's prediction to the running mean and sum of squared deviations (Welford), and its errors."""
    unseen = hidden[:, :, *tile.source] | ~picture.valid[:, :, *tile.source]
    with repeatable():
        predicted = network(hide(picture.pixels[:, :, *tile.source], unseen), tile.inside)
    kept = (slice(None), slice(None), *tile.target)
    deviation = predicted - mean[kept]
    mean[kept] += deviation / (mask + 1)
    squares[kept] += deviation * (predicted - mean[kept])
    counted = hidden[kept] & picture.valid[kept]
    missed = ((predicted - picture.pixels[kept]) * counted).square()
    errors += torch.stack([missed.sum(dim=(0, 2, 3)), counted.sum(dim=(0, 2, 3)).to(missed)])
