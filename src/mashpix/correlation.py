"""What the picture tells of its noise, and the masking ratio that follows: Eq. 8 to 10 of MASH."""

from collections.abc import Generator
from typing import NamedTuple

import torch
from torch import Tensor

from mashpix.fitting import fit
from mashpix.images import Picture
from mashpix.predicting import predict
from mashpix.report import Step
from mashpix.settings import Settings

GREY_LEVELS = 255
"""Grey levels of an 8-bit picture: the unit of the published gaps."""


class Masking(NamedTuple):
    """The decision: the ratio, whether to shuffle, and what it was read off.

    `noise_levels` holds the levels at the low and the high probe ratio (Eq. 8) in the units of the picture,
    `gap` their distance (Eq. 9) in the unit of `Settings.gap_unit`; both None where the ratio was given.
    """

    masking_ratio: float
    shuffle: bool
    noise_levels: tuple[float, float] | None = None
    gap: float | None = None


def choose_masking(
    picture: Picture, *, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, Masking]:
    """Train at a low and at a high ratio and choose by the gap of the noise levels that they see (Eq. 8 to 10).

    Where the settings name a ratio, that is taken and nothing is trained; flat regions are then shuffled if the
    ratio is at least that of the high regime.

    Yields
    ------
    Step
        The updates of both probes.
    """
    if settings.masking_ratio is not None:
        high = settings.masking_ratio >= settings.high_ratio
        return Masking(settings.masking_ratio, wants_shuffle(high, settings))
    levels, scaled = [], []
    for ratio in (settings.low_probe_ratio, settings.high_probe_ratio):
        residual = yield from _probe(picture, ratio, settings=settings, generator=generator)
        scaled.append(noise_level(residual, picture.valid, noise_estimate=settings.noise_estimate))
        residual = residual * picture.unit[:, None, None]
        levels.append(noise_level(residual, picture.valid, noise_estimate=settings.noise_estimate))
    gap = correlation_gap(*scaled, gap_unit=settings.gap_unit)
    ratio, high = choose_ratio(gap, settings=settings)
    return Masking(ratio, wants_shuffle(high, settings), (levels[0], levels[1]), gap)


def _probe(
    picture: Picture, ratio: float, *, settings: Settings, generator: torch.Generator
) -> Generator[Step, None, Tensor]:
    """Residual, prediction minus noisy picture, of a network fitted at one ratio."""
    stage = f"probe {ratio:g}"
    fitted = yield from fit(
        picture,
        ratio,
        shuffle=False,
        steps=settings.probe_steps,
        stage=stage,
        settings=settings,
        generator=generator,
    )
    masks = 1 if settings.noise_estimate == "one-pass" else settings.masks
    prediction = yield from predict(
        fitted.network,
        picture,
        ratio,
        masks=masks,
        stage=f"{stage}: noise level",
        settings=settings,
        generator=generator,
    )
    return prediction.mean - picture.pixels


def noise_level(residual: Tensor, valid: Tensor, *, noise_estimate: str) -> float:
    """Noise level in the units of the residual (Eq. 8): its RMS ("one-pass") or standard deviation ("mean").

    Examples
    --------
    >>> residual = torch.tensor([[[[1.0, 3.0, 99.0]]]])
    >>> valid = torch.tensor([[[[True, True, False]]]])
    >>> round(noise_level(residual, valid, noise_estimate="one-pass"), 3)
    2.236
    >>> noise_level(residual, valid, noise_estimate="mean")
    1.0
    """
    values = residual[valid].double()
    if noise_estimate == "mean":
        values = values - values.mean()
    return float(values.square().mean().sqrt())


def correlation_gap(low_level: float, high_level: float, *, gap_unit: str) -> float:
    """Distance of two noise levels (Eq. 9).

    Parameters
    ----------
    low_level, high_level : float
        Noise levels at the low and the high probe ratio, as fractions of the value range.
    gap_unit : {"grey-levels", "relative"}
        Grey levels are 1/255 of the value range, as published; "relative" divides by the low level, so that the
        gap of weak noise counts as much as that of strong noise.

    Examples
    --------
    >>> round(correlation_gap(0.05, 0.06, gap_unit="grey-levels"), 2)
    2.55
    >>> round(correlation_gap(0.05, 0.06, gap_unit="relative"), 2)
    0.2
    """
    gap = abs(high_level - low_level)
    if gap_unit == "grey-levels":
        return gap * GREY_LEVELS
    return gap / low_level if low_level > 0 else 0.0


def choose_ratio(gap: float, *, settings: Settings) -> tuple[float, bool]:
    """Masking ratio for a gap, and whether that is the high regime (Eq. 10).

    Examples
    --------
    >>> [choose_ratio(gap, settings=Settings()) for gap in (1.0, 1.5, 2.5)]
    [(0.1, False), (0.5, False), (0.9, True)]
    """
    if gap <= settings.low_gap:
        return settings.low_ratio, False
    if gap <= settings.high_gap:
        return settings.medium_ratio, False
    return settings.high_ratio, True


def wants_shuffle(high_regime: bool, settings: Settings) -> bool:
    """Whether flat regions of the target are shuffled: in the high regime only, unless the settings say so."""
    return settings.shuffle == "always" or (settings.shuffle == "auto" and high_regime)
