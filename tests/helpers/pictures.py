"""Images as the method sees them, for tests of its parts."""

import torch

from mashpix.picture import Picture


def picture_of(pixels, *, unit=1.0):
    """A picture without holes, of pixels (C, H, W) or (1, C, H, W); three channels are colour."""
    pixels = torch.as_tensor(pixels, dtype=torch.float32)
    pixels = pixels[None] if pixels.ndim == 3 else pixels
    channels = pixels.shape[1]
    return Picture(pixels, torch.ones_like(pixels, dtype=torch.bool), torch.full((channels,), unit), channels == 3)
