"""A model: networks fitted to a few pictures of one kind, to denoise all of the kind.

The pictures it is fitted to lie one below another in a mosaic, invalid rows between them: for the method that is one
picture, and the masking ratio, the scale of the values and the noise are those of all of them together. Applied to
each picture with the same masks, what it does changes from picture to picture as little as it can.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from mashpix.arrays.normalization import Array, Door, find_scale, open_door, to_picture
from mashpix.errors import InputError
from mashpix.method.mash import Fitted, Result, apply_networks, fit_networks, side_multiple
from mashpix.method.masking_ratio import Masking
from mashpix.method.network import UNet
from mashpix.method.relations import Groups, group_channels
from mashpix.picture import Picture
from mashpix.refine.refining import Noises
from mashpix.refine.residual_noise import NoiseModel
from mashpix.report import Step
from mashpix.settings import Settings

MOST_PICTURES = 4
"""Pictures that a model is fitted to."""
MOST_FITTED = 2**22
"""Pixels of a mosaic, about: of larger pictures fewer are taken, but one at least."""


@dataclass(frozen=True)
class Model:
    """What it takes to denoise pictures of one kind.

    settings : of the fit
    dtype : of the pictures
    low, high : float64 (C,), the values that the network sees as 0 and 1
    masking : the masking ratio, and what it was read off
    shuffled_fraction : of the pixels that were fitted
    networks : one per fit
    is_rgb : whether the channels are the colours of one scene
    noises : the noise that each of them left in the pictures; None where a picture's own has to be measured
    """

    settings: Settings
    dtype: str
    low: Array
    high: Array
    masking: Masking
    shuffled_fraction: float
    networks: tuple[UNet, ...]
    noises: tuple[Noises | None, ...]
    is_rgb: bool = False

    @property
    def channels(self) -> int:
        """Channels of the pictures."""
        return len(self.low)


def on_device(model: Model, device: torch.device) -> Model:
    """The same model with its weights and spectra on a device."""

    def move(noise: NoiseModel | None) -> NoiseModel | None:
        return noise and noise._replace(psd=noise.psd.to(device))

    noises = [found and Noises(*map(move, found)) for found in model.noises]  # type: ignore[arg-type]
    return replace(model, networks=tuple(network.to(device) for network in model.networks), noises=tuple(noises))


def make_doors(
    arrays: Sequence[Array], *, data_range: float | None, settings: Settings, is_rgb: bool = False
) -> list[Door]:
    """Doors of pictures (C, H, W), all with one scale; channels or dtypes that differ raise `InputError`."""
    kinds = sorted({f"{len(array)} channels of {array.dtype}" for array in arrays})
    if len(kinds) > 1:
        raise InputError(f"pictures of several kinds ({', '.join(kinds)}; one network serves one kind)")
    doors = [open_door(array, channel_axis=0, data_range=data_range, scale=settings.scale) for array in arrays]
    values = np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)
    low, high = find_scale(values, data_range=data_range, scale=settings.scale)
    return [replace(door, low=low, high=high, is_rgb=is_rgb) for door in doors]


def fit_to_doors(
    doors: Sequence[Door], *, share_noise: bool, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, Model]:
    """Fit networks to pictures of one kind; with `share_noise` the noise measured in them is taken for that of all.

    Planes of a stack share it and flicker less for it; single pictures may look alike and have other noise: each has
    its own measured when the model is applied.
    """
    multiple = side_multiple(settings)
    mosaic = _join([to_picture(door, multiple=multiple, device=generator.device) for door in doors], gap=multiple)
    fitted = yield from fit_networks(mosaic, share_noise=share_noise, settings=settings, generator=generator)
    door = doors[0]
    return Model(settings, str(door.array.dtype), door.low, door.high, *fitted, door.is_rgb)


def find_groups(doors: Sequence[Door], *, settings: Settings) -> Groups:
    """Which channels of pictures that are let in with one scale help each other."""
    multiple = side_multiple(settings)
    pictures = [to_picture(door, multiple=multiple, device=torch.device("cpu")) for door in doors]
    return group_channels(_join(pictures, gap=multiple), settings=settings)


def _join(pictures: list[Picture], *, gap: int) -> Picture:
    """Pictures one below another, with invalid rows between them, as one picture."""
    if len(pictures) == 1:
        return pictures[0]
    width = max(picture.pixels.shape[3] for picture in pictures)
    paddings = [(0, width - picture.pixels.shape[3], 0, gap) for picture in pictures]
    pixels = [F.pad(picture.pixels, padding) for picture, padding in zip(pictures, paddings, strict=True)]
    valid = [F.pad(picture.valid, padding) for picture, padding in zip(pictures, paddings, strict=True)]
    return Picture(torch.cat(pixels, dim=2), torch.cat(valid, dim=2), pictures[0].unit, pictures[0].is_rgb)


def open_like(array: Array, model: Model) -> Door:
    """Door of a picture (C, H, W) with the scale of a model; other channels or another dtype raise `InputError`."""
    found = f"{len(array)} channels of {array.dtype}"
    wanted = f"{model.channels} channels of {model.dtype}"
    if found != wanted:
        raise InputError(f"not like the pictures that the model was fitted to ({found}; {wanted} needed)")
    door = open_door(array, channel_axis=0, data_range=None, scale="data-range")
    return replace(door, low=model.low, high=model.high, is_rgb=model.is_rgb)


def apply_to_door(model: Model, door: Door, *, generator: torch.Generator) -> Generator[Step, None, Result]:
    """Denoise a picture that `open_like` let in."""
    picture = to_picture(door, multiple=side_multiple(model.settings), device=generator.device)
    fitted = Fitted(model.masking, model.shuffled_fraction, model.networks, model.noises)
    return apply_networks(fitted, picture, settings=model.settings, generator=generator)
