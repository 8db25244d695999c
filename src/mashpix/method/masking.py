"""Blind-spot masks and the loss on hidden pixels: Eq. 3 and 4 of MASH (CVPR 2024, arXiv 2404.09389)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mashpix.settings import Loss, MaskChannels

DRAWN_AT_ONCE = 2**20
"""Pixels of a mask that are drawn together: bounds the memory."""
MASK_TILE = 256
"""Side in pixels of the tiles that the mask of a large plane is drawn in: another number gives other masks."""


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
    device = generator.device
    hidden = torch.empty((batch, drawn, height, width), dtype=torch.bool, device=device)
    at_once = DRAWN_AT_ONCE if device.type == "cpu" else hidden.numel()  # only there, it makes no difference
    for part in torch.split(hidden.view(-1), at_once):
        part.copy_(torch.rand(len(part), generator=generator, device=device) < masking_ratio)
    return hidden.expand(batch, channels, height, width)


def draw_window(
    shape: Sequence[int],
    masking_ratio: float,
    *,
    origin: tuple[int, int],
    mask_channels: MaskChannels,
    generator: torch.Generator,
) -> Tensor:
    """As `draw_hidden`, for a window of a plane that starts at `origin`: every window of the plane sees the same mask.

    The mask is drawn tile by tile of the plane, each from a generator of its own.
    """
    key = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    hidden = torch.empty(tuple(shape), dtype=torch.bool, device=generator.device)
    (top, left), (height, width) = origin, shape[2:]
    for row in range(top // MASK_TILE, -(-(top + height) // MASK_TILE)):
        for column in range(left // MASK_TILE, -(-(left + width) // MASK_TILE)):
            seed = np.random.SeedSequence((key, row, column)).generate_state(1, np.uint64)[0]
            own = torch.Generator(generator.device).manual_seed(int(seed) >> 1)
            size = (*shape[:2], MASK_TILE, MASK_TILE)
            drawn = draw_hidden(size, masking_ratio, mask_channels=mask_channels, generator=own)
            down, right = row * MASK_TILE - top, column * MASK_TILE - left  # of the tile, in the window
            inside = slice(max(-down, 0), height - down), slice(max(-right, 0), width - right)
            target = slice(max(down, 0), down + MASK_TILE), slice(max(right, 0), right + MASK_TILE)
            hidden[:, :, *target] = drawn[:, :, *inside]
    return hidden


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
