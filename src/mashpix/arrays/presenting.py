"""The steps of the method as callers see them: arrays in their units, the fraction done, and at the end a report."""

import time
from collections.abc import Generator
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from mashpix.arrays.normalization import Normalized, spread_to_array, to_array
from mashpix.arrays.rounding import rounding_loss
from mashpix.arrays.summary import describe
from mashpix.arrays.tones import without_tone_bias
from mashpix.method.mash import Result
from mashpix.report import Step

Returned = TypeVar("Returned")


def present(
    steps: Generator[Step, None, Returned], normalized: Normalized, *, plan: dict[str, float], seconds: dict[str, float]
) -> Generator[Step, None, Returned]:
    """Pass steps on with the fraction done and previews as arrays; add up the time of each stage in `seconds`."""
    whole, done = sum(plan.values()), 0.0
    while True:
        started = time.perf_counter()
        try:
            step = next(steps)
        except StopIteration as stop:
            result: Returned = stop.value
            return result
        seconds[step.stage] = seconds.get(step.stage, 0.0) + time.perf_counter() - started
        done += plan.get(step.stage, 0.0) / step.total
        denoised = None if step.preview is None else to_array(step.preview, normalized)
        yield replace(step, fraction=min(done / whole, 1.0), denoised=denoised, preview=None)


def finished(
    result: Result,
    normalized: Normalized,
    *,
    device: torch.device,
    seconds: dict[str, float],
    tone_correction: bool,
) -> Step:
    """The last step: the result as arrays, its tones corrected if asked for, and its report."""
    unbiased, change = without_tone_bias(result.denoised, normalized) if tone_correction else (result.denoised, None)
    denoised = to_array(unbiased, normalized)
    loss = rounding_loss(denoised, unbiased, normalized)
    result = result._replace(denoised=unbiased.new_empty(0))
    del unbiased
    spread = spread_to_array(result.spread, normalized)
    mean_spread = float(np.nanmean(spread))
    report = describe(
        normalized,
        result,
        device=device,
        seconds=seconds,
        mean_spread=mean_spread,
        tone_change=change,
        rounding_loss=loss,
    )
    return Step("done", 1, 1, 1.0, denoised=denoised, spread=spread, report=report)


def unchanged(normalized: Normalized, *, device: torch.device) -> Step:
    """The last step for an image with nothing to denoise."""
    report = describe(normalized, None, device=device)
    spread = np.zeros(normalized.original.shape, dtype=np.float32)
    return Step("done", 1, 1, 1.0, denoised=normalized.original.copy(), spread=spread, report=report)
