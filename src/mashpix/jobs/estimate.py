"""What denoising a picture will cost, from a few network updates that are timed here."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from mashpix.arrays.denoising import denoise_steps, expected_cost, expected_memory
from mashpix.arrays.model import MOST_PICTURES
from mashpix.arrays.planes import plan_model
from mashpix.settings import Settings

TIMED = 3
"""Updates that are timed, after a first one that is slower."""


@dataclass(frozen=True)
class Estimate:
    """Expected seconds, and bytes of memory, Python and the libraries included."""

    seconds: float
    memory: int


class Estimator(Protocol):
    """Estimates the cost of a picture (H, W) or (H, W, C) from its shape."""

    def __call__(
        self, shape: tuple[int, ...], *, applied: int = 1, fitted: int | None = None, share_noise: bool = False
    ) -> Estimate:
        """Cost of so many pictures: each with a network of its own, or all with one fitted to some of so many.

        `fitted` is 0 where that network is there already; `share_noise` as for `fit_model`.
        """
        ...


def make_estimator(settings: Settings, *, device: str) -> Estimator:
    """A function that estimates what denoising costs.

    Updates are timed once for each number of channels, on one window of noise; the number of updates that a picture
    is worth is that of the progress bar. Pictures denoised at the same time slow each other down: not in the figure.
    """

    @cache
    def seconds_per_update(channels: int) -> float:
        return _time_update(settings, channels, device=device)

    def estimate(
        shape: tuple[int, ...], *, applied: int = 1, fitted: int | None = None, share_noise: bool = False
    ) -> Estimate:
        channels = shape[2] if len(shape) == 3 else 1
        pixels = shape[0] * shape[1]
        if fitted is None:
            updates = applied * _updates(expected_cost(pixels, settings), pixels, settings)
        else:
            fitted = min(fitted, MOST_PICTURES)
            fitting, applying = plan_model(pixels, max(fitted, 1), settings, share_noise=share_noise)
            updates = applied * _updates(applying, pixels, settings)
            updates += _updates(fitting, pixels * fitted, settings) if fitted else 0.0
        memory = expected_memory(pixels * channels * max(fitted or 1, 1))
        return Estimate(updates * seconds_per_update(channels), memory)

    return estimate


def _updates(plan: dict[str, float], pixels: int, settings: Settings) -> float:
    """What a plan costs in updates on a whole window."""
    return sum(plan.values()) * min(pixels / settings.window_size**2, 1.0)


def _time_update(settings: Settings, channels: int, *, device: str) -> float:
    """Seconds of one network update on one window."""
    side = settings.window_size
    noise = np.random.default_rng(0).normal(size=(side, side, channels)).astype(np.float32)
    quick = settings.replace(masking_ratio=0.5, steps=1 + TIMED, fits=1, masks=1, refine=False)
    started = 0.0
    for step in denoise_steps(noise, channel_axis=-1, settings=quick, device=device, preview_every=0):
        if step.stage == "fit":
            float(step.loss)  # waits for a GPU
            started = started if step.index > 1 else time.perf_counter()
            seconds = (time.perf_counter() - started) / TIMED
    return seconds
