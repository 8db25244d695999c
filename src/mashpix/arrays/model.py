"""A model: networks fitted to a few images of one kind, to denoise all of that kind.

The images are stacked vertically in a mosaic, with invalid rows between them. To the method that is one image, with
one masking ratio, one scale of values and one noise. A model is applied to each image with the same masks, so that its
result changes as little as possible from image to image.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from mashpix.arrays.normalization import Array, Normalized, find_scale, normalize, to_picture
from mashpix.errors import InputError
from mashpix.method.early_stop import EarlyStop
from mashpix.method.mash import Fitted, Result, apply_networks, fit_networks, side_multiple
from mashpix.method.masking_ratio import Masking
from mashpix.method.network import UNet
from mashpix.method.relations import Groups, group_channels
from mashpix.missing import join
from mashpix.picture import Picture
from mashpix.refine.residual_noise import NoiseModel, Noises
from mashpix.report import Step
from mashpix.settings import Settings

MAX_FITTED_IMAGES = 4
"""Images that a model is fitted to, at most."""
MAX_FITTED_PIXELS = 2**22
"""Pixels of a mosaic, about: fewer images are taken where they are larger, but at least one."""


@dataclass(frozen=True)
class Model:
    """Fitted networks and the scale of their values: enough to denoise images of one kind.

    settings : of the fit
    dtype : of the images
    low, high : float64 (C,), the values that the network sees as 0 and 1
    masking : the masking ratio, and the measurement behind it
    shuffled_fraction : of the pixels that were fitted
    networks : one per fit
    noises : one per network, the noise in its residual; None where it has to be measured in each image
    is_rgb : whether the channels are the colours of one scene
    notes : remarks on the fit, one line each; they are not written to files
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
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Number of channels of the images."""
        return len(self.low)


def on_device(model: Model, device: torch.device) -> Model:
    """Move the weights and spectra of a model to a device."""

    def move(noise: NoiseModel | None) -> NoiseModel | None:
        return noise and noise._replace(psd=noise.psd.to(device))

    noises = [found and Noises(*map(move, found)) for found in model.noises]  # type: ignore[arg-type]
    return replace(model, networks=tuple(network.to(device) for network in model.networks), noises=tuple(noises))


def normalize_alike(
    arrays: Sequence[Array], *, data_range: float | None, settings: Settings, is_rgb: bool = False
) -> list[Normalized]:
    """Normalize images (C, H, W) to one scale; channels or dtypes that differ raise `InputError`."""
    kinds = sorted({f"{len(array)} channels of {array.dtype}" for array in arrays})
    if len(kinds) > 1:
        raise InputError(f"images of several kinds ({', '.join(kinds)}; one network serves one kind)")
    images = [
        normalize(
            array,
            channel_axis=0,
            data_range=data_range,
            scale=settings.scale,
            find=settings.find_defects,
            stripes=settings.stripes,
        )
        for array in arrays
    ]
    values = join([item.sound.reshape(len(item.array), -1) for item in images], axis=1)
    low, high = find_scale(values, data_range=data_range, scale=settings.scale)
    return [replace(normalized, low=low, high=high, is_rgb=is_rgb) for normalized in images]


def fit_to_images(
    images: Sequence[Normalized],
    *,
    share_noise: bool,
    settings: Settings,
    generator: torch.Generator,
    early_stop: EarlyStop | None = None,
) -> Generator[Step, None, Model]:
    """Fit networks to images of one kind; with `share_noise` their noise is measured here and taken for that of all.

    Planes of a stack share it and flicker less. Single images of one kind may differ in their noise: there it is
    measured in each image when the model is applied.
    """
    multiple = side_multiple(settings)
    mosaic = _join(
        [to_picture(normalized, multiple=multiple, device=generator.device) for normalized in images], gap=multiple
    )
    fitted = yield from fit_networks(
        mosaic, share_noise=share_noise, settings=settings, generator=generator, early_stop=early_stop
    )
    normalized = images[0]
    return Model(settings, str(normalized.array.dtype), normalized.low, normalized.high, *fitted, normalized.is_rgb)


def find_groups(images: Sequence[Normalized], *, settings: Settings) -> Groups:
    """Group the channels that help to predict each other, in images of one scale."""
    multiple = side_multiple(settings)
    pictures = [to_picture(normalized, multiple=multiple, device=torch.device("cpu")) for normalized in images]
    return group_channels(_join(pictures, gap=multiple), settings=settings)


def _join(pictures: list[Picture], *, gap: int) -> Picture:
    """Join images vertically, with invalid rows between them."""
    if len(pictures) == 1:
        return pictures[0]
    width = max(picture.pixels.shape[3] for picture in pictures)
    pixels, valid = (
        torch.cat([F.pad(planes, (0, width - planes.shape[3], 0, gap)) for planes in several], dim=2)
        for several in zip(*((picture.pixels, picture.valid) for picture in pictures), strict=True)
    )
    return replace(pictures[0], pixels=pixels, valid=valid)


def normalize_like(array: Array, model: Model) -> Normalized:
    """Normalize an image (C, H, W) to the scale of a model; other channels or another dtype raise `InputError`."""
    found = f"{len(array)} channels of {array.dtype}"
    wanted = f"{model.channels} channels of {model.dtype}"
    if found != wanted:
        raise InputError(f"not like the images that the model was fitted to ({found}; {wanted} needed)")
    settings = model.settings
    normalized = normalize(
        array,
        channel_axis=0,
        data_range=None,
        scale="data-range",
        find=settings.find_defects,
        repair=settings.repair_defects,
        stripes=settings.stripes,
    )
    return replace(normalized, low=model.low, high=model.high, is_rgb=model.is_rgb)


def apply_to_image(
    model: Model, normalized: Normalized, *, generator: torch.Generator, origin: tuple[int, int] | None = None
) -> Generator[Step, None, Result]:
    """Denoise an image of `normalize_like`, or the window of a plane that starts at `origin`."""
    picture = to_picture(normalized, multiple=side_multiple(model.settings), device=generator.device)
    picture = replace(picture, origin=origin)
    fitted = Fitted(model.masking, model.shuffled_fraction, model.networks, model.noises)
    return apply_networks(fitted, picture, settings=model.settings, generator=generator)
