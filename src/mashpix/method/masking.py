"""Blind-spot masks and the loss on hidden pixels: Eq. 3 and 4 of MASH (CVPR 2024, arXiv 2404.09389)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mashpix.settings import Loss, MaskChannels


def draw_hidden(
    shape: Sequence[int], masking_ratio: float, *, mask_channels: MaskChannels, generator: torch.Generator
) -> Tensor:
    """Hide each pixel with probability `masking_ratio` (Eq. 3): bool (B, C, H, W), True where m = 0.

    "each" draws one mask per channel, "shared" one that hides a pixel in all channels together; both on the device of
    the generator.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> hidden = draw_hidden((1, 1, 3, 6), 0.5, mask_channels="each", generator=generator)
    >>> for row in hidden[0, 0]:
    ...     print("".join(".#"[int(pixel)] for pixel in row))
    #.###.
    #.#.##
    ###...
    """
    batch, channels, height, width = shape
    drawn = channels if mask_channels == "each" else 1
    hidden = torch.rand((batch, drawn, height, width), generator=generator, device=generator.device) < masking_ratio
    return hidden.expand(batch, channels, height, width)


def hide(pixels: Tensor, hidden: Tensor) -> Tensor:
    """Set hidden pixels to 0: m . y, the input of the network.

    Examples
    --------
    >>> pixels = torch.tensor([[[[0.2, 0.4, 0.6]]]])
    >>> hide(pixels, torch.tensor([[[[False, True, False]]]]))
    tensor([[[[0.2000, 0.0000, 0.6000]]]])
    """
    return pixels.masked_fill(hidden, 0.0)


def hidden_loss(prediction: Tensor, target: Tensor, counted: Tensor, *, loss: Loss) -> Tensor:
    """Average the error over the `counted` pixels, those hidden and valid (Eq. 4; with a shuffled target Eq. 6).

    All are (B, C, H, W). The paper squares the error, its scripts take the absolute value. 0 where no pixel counts.

    Examples
    --------
    >>> target = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    >>> counted = torch.tensor([[[[True, False, True]]]])
    >>> hidden_loss(torch.zeros(1, 1, 1, 3), target, counted, loss="squared")
    tensor(5.)
    """
    error = prediction - target
    error = error.square() if loss == "squared" else error.abs()
    return (error * counted).sum() / counted.sum().clamp(min=1)
