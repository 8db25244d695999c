"""Images narrower than a block: continued by mirror images, so that there are whole blocks to refine. [ours]

The network must not see mirror images, as they show it hidden pixels. Refining may: mirrored noise has another
spectrum, but it is measured in such blocks too.
"""

from dataclasses import replace

import torch
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine.shrinking import SIDE


def continue_narrow(picture: Picture, prediction: Tensor) -> tuple[Picture, Tensor]:
    """Fill the padding of a picture narrower than `SIDE`, and of its prediction, with mirror images.

    Wider pictures are returned as they are.
    """
    pixels, valid = picture.pixels, picture.valid
    for axis in (2, 3):
        held = picture.valid.any(dim=1).any(dim=4 - axis)[0]
        length = int(held.nonzero().amax()) + 1 if held.any() else SIDE
        if length < SIDE:
            places = mirrored(length, len(held)).to(held.device)
            pixels, valid, prediction = (image.index_select(axis, places) for image in (pixels, valid, prediction))
    return replace(picture, pixels=pixels, valid=valid), prediction


def mirrored(length: int, whole: int) -> Tensor:
    """Indices (whole,) that go back and forth over a length.

    Examples
    --------
    >>> mirrored(3, 8).tolist()
    [0, 1, 2, 2, 1, 0, 0, 1]
    """
    places = torch.arange(whole) % (2 * length)
    return torch.minimum(places, 2 * length - 1 - places)
