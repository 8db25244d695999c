"""Images narrower than a block: continued by mirror images, so that there are whole blocks to refine. [ours]

The network must not see mirror images, as they show it hidden pixels. Refining may: mirrored noise has another
spectrum, but it is measured in such blocks too.
"""

from dataclasses import replace

import torch
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine.shrinking import SIDE


def continue_narrow(image: Tensor, valid: Tensor) -> Tensor:
    """Fill the padding of an image (1, C, H, W) whose `valid` pixels are narrower than `SIDE` with mirror images.

    A wider image is returned as it is.
    """
    for axis in (2, 3):
        if valid.any() and not valid.narrow(axis, SIDE - 1, valid.shape[axis] - SIDE + 1).any():
            held = valid.any(dim=1).any(dim=4 - axis)[0]
            places = mirrored(int(held.nonzero().amax()) + 1, len(held)).to(held.device)
            image = image.index_select(axis, places)
    return image


def continue_picture(picture: Picture) -> Picture:
    """The picture with `continue_narrow` pixels."""
    pixels, valid = (continue_narrow(image, picture.valid) for image in (picture.pixels, picture.valid))
    return replace(picture, pixels=pixels, valid=valid)


def mirrored(length: int, whole: int) -> Tensor:
    """Indices (whole,) that go back and forth over a length.

    Examples
    --------
    >>> mirrored(3, 8).tolist()
    [0, 1, 2, 2, 1, 0, 0, 1]
    """
    places = torch.arange(whole) % (2 * length)
    return torch.minimum(places, 2 * length - 1 - places)
