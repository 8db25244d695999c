"""Relation R1: channels of independent noise, and the one among them that the noise depends on.

Camera noise of R, G and B is correlated, and so is the picture in them. In the orthonormal opponent colours,
(R + G + B) / sqrt 3, (R - B) / sqrt 2, (R - 2 G + B) / sqrt 6, they separate: nearly all texture is in the first,
the brightness. Other channels are not changed.
"""

import torch
from torch import Tensor

from mashpix.picture import Picture
from mashpix.refine.dct import cosine_matrix
from mashpix.refine.gaussian import continue_smoothly, fill_holes, has_holes
from mashpix.refine.tuning import TUNED, RefineSettings

BAND = 256
"""Rows that are turned together: bounds the memory."""
GREY = 1e-4
"""Most variance of the opponent colours, against that of the brightness, of a grey image that is stored as RGB."""


def opponent_matrix(unit: Tensor, *, is_rgb: bool) -> Tensor:
    """Matrix M (C, C) of R1, from the network's scale (`Picture.unit`) to channels of independent noise."""
    if not is_rgb:
        return torch.eye(len(unit)).to(unit)
    return cosine_matrix(3).to(unit) * (unit / unit.max())


def to_channels(picture: Picture, prediction: Tensor, *, tuning: RefineSettings = TUNED) -> tuple[Tensor, Tensor]:
    """R1: the noisy y, its holes filled, and the prediction p within the range of its values, (C, H, W) each."""
    planes = list(zip(picture.pixels[0], picture.valid[0], strict=True))
    low = torch.stack([torch.where(valid, plane, torch.inf).amin() for plane, valid in planes]).amin()
    high = torch.stack([torch.where(valid, plane, -torch.inf).amax() for plane, valid in planes]).amax()
    predicted = prediction[0].clamp(low, high)
    noisy = fill_holes(picture.pixels[0], predicted, picture.valid[0], width=tuning.fill_width)
    matrix = opponent_matrix(picture.unit, is_rgb=picture.is_rgb and tuning.opponent_colours)
    return turn(matrix, noisy), turn(matrix, predicted)


def continue_channels(y: Tensor, picture: Picture, *, tuning: RefineSettings = TUNED) -> Tensor:
    """R1: y of `to_channels`, in place, its holes continuing what is around them; one that is only padded stays."""
    valid = picture.valid[0]
    if not has_holes(valid):
        return y
    matrix = opponent_matrix(picture.unit, is_rgb=picture.is_rgb and tuning.opponent_colours)
    turn(torch.linalg.inv(matrix), y)  # defects are in each colour by itself
    continue_smoothly(y, valid, widths=tuning.smooth_widths, share=tuning.smooth_share)
    return turn(matrix, y)


def from_channels(pixels: Tensor, picture: Picture, *, opponent: bool = True) -> Tensor:
    """Invert R1, in place: from (C, H, W) to an image (1, C, H, W) on the network's scale."""
    matrix = opponent_matrix(picture.unit, is_rgb=picture.is_rgb and opponent)
    return turn(torch.linalg.inv(matrix), pixels)[None]


def turn(matrix: Tensor, channels: Tensor) -> Tensor:
    """Multiply each pixel of (C, H, W) by a matrix, in place."""
    for band in torch.split(channels, BAND, dim=1):
        band.copy_(torch.tensordot(matrix, band, dims=1))
    return channels


def is_grey(channels: Tensor) -> bool:
    """Whether brightness and opponent colours (3, H, W) are those of a grey image that is stored as RGB."""
    return bool(channels[1:].var() <= GREY * channels[0].var())


def brightness(channels: Tensor, *, is_rgb: bool) -> Tensor:
    """The brightness that the noise depends on, of (C, ...): in RGB the first opponent colour, else the mean."""
    return channels[0] if is_rgb else channels.mean(dim=0)


def low_texture(channels: Tensor, *, is_rgb: bool) -> Tensor:
    """The channels (C', ...) that hold least texture: in RGB the two opponents, else all there are."""
    return channels[1:] if is_rgb else channels
