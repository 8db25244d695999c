"""Whether a fit has learnt to predict a channel; where it has not, the average of the neighbours takes its place.

Refining takes the prediction for nearly right: blocks that the prediction shows as flat stand for the noise. A network
that has not learnt a channel yet, after too few updates, can be worse there than no network at all. The test: its
held-out error against that of a plain average of the visible neighbours, with masks of the same ratio, and against the
variance of the channel, the error of a constant. Ours; limits chosen by the measurements in docs/experiments.md.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mashpix.method.masking import draw_hidden
from mashpix.method.network import repeatable
from mashpix.method.predicting import Prediction
from mashpix.picture import Picture
from mashpix.refine.few_blocks import fine_variance
from mashpix.settings import Settings
from mashpix.tiling import tiles

WIDTHS: tuple[float, ...] = (0.7, 1.0, 1.5, 2.5)
"""Standard deviations of the Gaussian weights that neighbours are averaged with, pixels."""
TESTED = (0.7, 1.5)
"""Those that a network is compared with: a narrow average fails at high masking ratios, a wide one at edges."""
MAX_ERROR = 2.0
"""Mean squared error of a network, over the larger one of the averages compared with, up to which it is believed."""
MAX_UNEXPLAINED = 0.5
"""Mean squared error of a network, over the variance of the channel, up to which it is believed in any case."""
MAX_MASKING_RATIO = 0.5
"""Masking ratio beyond which every prediction is believed, except of small images. The noise is correlated then:
averages of the neighbours hold the noise of the pixel, and stand in for a prediction badly."""
SMALL = 2**13
"""Pixels up to which an image is small: it has hardly a flat block, and what looks like correlated noise is texture.
A network that predicts worse than the averages is not ready there; the narrowest one loses least."""
REACH = 4
"""Standard deviations at which the weights end."""
MEAN_WEIGHT = 1e-3
"""Weight of the mean of the channel in an average: what is left where no neighbour is visible."""
CAUTION = 0.5
"""Part of the least-squares share of a prediction in a mix: the noise of few pixels is known to a factor of two."""
BAND = 512
"""Side in pixels of the tiles that errors are measured in: bounds the memory."""


@torch.no_grad()
def replace_unready(
    prediction: Prediction, picture: Picture, masking_ratio: float, *, settings: Settings
) -> Prediction:
    """Replace what a network that is not ready has predicted by an average of the neighbours, channel by channel.

    `masking_ratio` is the fraction that was hidden from the network. Returns the very same prediction where every
    channel is ready; else its `averaged` names the channels that were replaced.
    """
    max_error, widths = MAX_ERROR, WIDTHS
    if masking_ratio > MAX_MASKING_RATIO:
        if picture.valid[0, 0].sum() > SMALL:
            return prediction
        max_error, widths = 1.0, WIDTHS[:1]
    pixels, valid = picture.pixels[0], picture.valid[0]
    counts = torch.stack([held.count_nonzero() for held in valid])  # a sum would hold each pixel in 8 bytes
    means = pixels.sum(dim=(1, 2)) / counts
    squares = [((plane - mean) * held).square_().sum() for plane, mean, held in zip(pixels, means, valid, strict=True)]
    variance = torch.stack(squares) / (counts - 1)
    unready = prediction.held_out > MAX_UNEXPLAINED * variance
    if unready.any():
        reference = held_out_of_averages(picture, masking_ratio, TESTED, settings=settings).amax(dim=0)
        unready &= prediction.held_out > max_error * reference
    channels = tuple(int(channel) for channel in unready.nonzero()[:, 0])
    if not channels:
        return prediction
    errors = held_out_of_averages(picture, masking_ratio, widths, settings=settings)
    mean = prediction.mean.clone()
    for channel in channels:
        width = widths[int(errors[:, channel].argmin())]
        here = slice(channel, channel + 1)
        mean[:, here] = average_neighbours(picture.pixels[:, here], picture.valid[:, here], width=width)
    return prediction._replace(mean=mean, averaged=channels)


def mix(prediction: Prediction, picture: Picture) -> Tensor:
    """Mix prediction p and image y, (1, C, H, W), where the noise cannot be measured in blocks.

    y - s (y - p): least squares has s = variance of the noise over the mean squared error of p at hidden pixels, where
    the errors of y and p are independent. `CAUTION` of that is no worse than y as long as the variance is not
    overestimated fourfold.
    """
    pixels, valid = picture.pixels, picture.valid
    error = prediction.held_out.clone()
    for channel in prediction.averaged:  # an average never sees the pixel itself: all its errors are held out
        error[channel] = (prediction.mean - pixels)[0, channel][valid[0, channel]].square().mean()
    share = CAUTION * fine_variance(pixels[0], valid[0]) / error.clamp(min=torch.finfo(error.dtype).tiny)
    mixed = torch.lerp(pixels, prediction.mean, share.clamp(max=1)[None, :, None, None])
    return torch.where(valid, mixed, prediction.mean)


def held_out_of_averages(
    picture: Picture, masking_ratio: float, widths: tuple[float, ...], *, settings: Settings
) -> Tensor:
    """Mean squared error of averages of the visible neighbours at hidden pixels, (widths, C).

    One mask is drawn from a generator of its own, so that measuring changes nothing of the result.
    """
    generator = torch.Generator(picture.pixels.device).manual_seed(0)
    shape, shared = picture.pixels.shape, settings.mask_channels
    hidden = draw_hidden(shape, masking_ratio, mask_channels=shared, generator=generator) & picture.valid
    visible = ~hidden & picture.valid
    errors = picture.pixels.new_zeros((len(widths), shape[1]))
    for tile in tiles(shape[2], shape[3], tile_size=BAND, context=REACH * int(max(widths) + 1)):
        pixels, seen = (planes[:, :, *tile.source] for planes in (picture.pixels, visible))
        for index, width in enumerate(widths):
            missed = (average_neighbours(pixels, seen, width=width) - pixels)[:, :, *tile.inside]
            errors[index] += (missed * hidden[:, :, *tile.target]).square().sum(dim=(0, 2, 3))
    return errors / hidden.sum(dim=(0, 2, 3)).clamp(min=1)


def average_neighbours(pixels: Tensor, visible: Tensor, *, width: float) -> Tensor:
    """Gaussian average of the visible neighbours of each pixel, without the pixel itself; (1, C, H, W) each.

    Examples
    --------
    >>> pixels = torch.tensor([[[[1.0, 9.0, 1.0, 1.0]]]])
    >>> average_neighbours(pixels, pixels < 9, width=0.7).round(decimals=1)
    tensor([[[[1., 1., 1., 1.]]]])
    """
    weight = visible.to(pixels)
    seen = pixels * weight
    mean = seen.sum(dim=(2, 3), keepdim=True) / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    own = float(_weights(width).max()) ** 2
    total = _smooth(seen, width) - own * seen + MEAN_WEIGHT * mean
    return total / (_smooth(weight, width) - own * weight + MEAN_WEIGHT)


def _weights(width: float) -> Tensor:
    """Gaussian weights along one axis, of sum 1."""
    reach = int(REACH * width + 0.5)
    weights = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * width**2))
    return weights / weights.sum()


def _smooth(planes: Tensor, width: float) -> Tensor:
    """Planes (1, C, H, W) convolved with a Gaussian, zeros around them."""
    weights = _weights(width).to(planes)
    reach, channels = len(weights) // 2, planes.shape[1]
    with repeatable():
        for shape, padding in (((1, 1, -1, 1), (reach, 0)), ((1, 1, 1, -1), (0, reach))):
            kernel = weights.view(shape).expand(channels, -1, -1, -1)
            planes = F.conv2d(planes, kernel, padding=padding, groups=channels)
    return planes
