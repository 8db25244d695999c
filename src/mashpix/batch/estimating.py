"""What denoising a picture will cost, from a few network updates that are timed here."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from mashpix.denoising import denoise_steps, expected_cost, expected_memory
from mashpix.settings import Settings

TIMED = 3
"""Updates that are timed, after a first one that is slower."""


@dataclass(frozen=True)
class Estimate:
    """Expected seconds, and bytes of memory, Python and the libraries included."""

    seconds: float
    memory: int


def make_estimator(settings: Settings, *, device: str) -> Callable[[tuple[int, ...]], Estimate]:
    """A function that estimates the cost of a picture (H, W) or (H, W, C) from its shape.

    Updates are timed once for each number of channels, on one window of noise; the number of updates that a picture
    is worth is that of the progress bar. Pictures denoised at the same time slow each other down: not in the figure.
    """

    @cache
    def seconds_per_update(channels: int) -> float:
        return _time_update(settings, channels, device=device)

    def estimate(shape: tuple[int, ...]) -> Estimate:
        channels = shape[2] if len(shape) == 3 else 1
        pixels = shape[0] * shape[1]
        share_of_window = min(pixels / settings.window_size**2, 1.0)
        updates = sum(expected_cost(pixels, settings).values()) * share_of_window
        return Estimate(updates * seconds_per_update(channels), expected_memory(pixels * channels))

    return estimate


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
