"""Did it eat my signal? The residual of a finished result shows it, without a clean image.

If a denoised image has lost nothing, its residual (noisy minus denoised) is noise alone: as large in one place as
in another of the same brightness, with the same spectrum, of mean zero, and without a likeness to the picture. The
noise that is expected is measured in flat blocks of that very residual (residual_noise.measure_noise), and once more
in the noisy image alone (residual_level): an error that is everywhere looks like noise in the residual.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels
from mashpix.arrays.normalization import channels_first
from mashpix.arrays.rounding import CHANCE, MAX_LOSS, measure_mean_loss
from mashpix.missing import holds_data, mask_missing
from mashpix.refine.residual_noise import NoiseModel
from mashpix.tiling import window_sums
from mashpix.trust.outcome import Verdict as Verdict
from mashpix.trust.residual_blocks import Place, measure_blocks
from mashpix.trust.residual_level import measure_excess
from mashpix.trust.residual_tails import measure_tails
from mashpix.trust.signal_in_residual import MIN_ERROR, measure_signal
from mashpix.trust.whitened_residual import (
    SIDE,
    ScaledPair,
    kind_of,
    measure_residual,
    to_common_scale,
    whiten,
)

GOOD, LOOK, LOST = "good", "look closer", "signal lost"
"""The verdicts, from best to worst."""
UNCHANGED = "nothing was changed"
"""The reason of a verdict on an image that is the noisy one."""
WINDOW = 32
"""Side in pixels of the windows whose means give the standard error of the mean of the residual."""
MIN_SIGMA_FRACTION = 0.2
"""Noise level that a channel is taken to have at least, as a fraction of the largest: colours of a grey image."""
MAX_MEASURE = 1e9
"""Largest measure: where there is next to no noise, ratios to it have no end, and JSON has no infinity."""


class Rule(NamedTuple):
    """Limits of one measure, and the least values of others, without which it is an accident or does not matter."""

    measure: str
    words: str
    look: float
    lost: float
    least: tuple[tuple[str, float], ...] = ()


RULES = (
    Rule("offset", "brightness changed by {:.2f} noise levels", 0.12, 0.25, (("offset_error", 5.0),)),
    Rule(
        "displacement",
        "picture shifted by {:.2f} pixels",
        0.6,
        1.0,
        (("displacement_error", 5.0), ("displacement_level", 0.2)),
    ),
    Rule(
        "missing_detail", "detail missing, {:.2f} times what is left of it", 0.8, 1.2, (("missing_detail_level", 0.4),)
    ),
    Rule(
        "mean_loss",
        "means of regions changed by {:.0%} of what they differ by",
        MAX_LOSS,
        0.5,
        (("mean_loss_error", CHANCE),),
    ),
    Rule("structure", "a structure in the residual, {:.1f} times the noise", 9.0, 15.0),
    Rule(
        "residual_excess",
        "residual larger than the noise of the noisy image, by {:.0%}",
        0.3,
        0.7,
        (("noise_whiteness", 0.8), ("noise_evenness", 0.1)),
    ),
    Rule(
        "short_tails",
        "texture may have passed for noise: what was removed has short tails, by {:.2f}",
        0.12,
        math.inf,
        (("short_tails_error", 3.0), ("slow_excess", 1.25)),
    ),
)
"""The rules that decide. Limits are chosen on one half of the images of benchmarks/verdicts.csv, see docs/trust.md."""


def check(
    noisy: NDArray[Any],
    denoised: NDArray[Any],
    *,
    channel_axis: int | None = None,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
) -> Verdict:
    """Judge by the residual whether denoising has removed signal; nothing is trained, no clean image is needed.

    Parameters
    ----------
    noisy, denoised : ndarray
        Images of one shape, grey (H, W) or with channels along `channel_axis`, in one unit. NaN, infinite and masked
        pixels are left out.
    channel_axis : int or None
        Axis of the channels; None for a grey picture.
    channels : {"auto", "rgb", "independent", "joint"}
        As for `denoise`. Channels that are not colours are judged one by one: the verdict is that on the worst, and its
        reason names the channel, counted from 0.
    missing : ndarray of bool or None
        True for pixels without data, as for `denoise`.

    Returns
    -------
    Verdict
        "look closer" too where there is no block of 16 x 16 pixels to measure the noise in.

    Raises
    ------
    InputError
        If the shapes differ, or an array is not a valid image.

    Notes
    -----
    The noise is measured in flat blocks of the residual, and once more blindly in the noisy image. Against it are
    compared the mean of the residual, the error that a shift would leave, the detail that a blur would remove, compact
    structures, and the level as a whole; each has one limit for "look closer" and one for "signal lost". It takes
    seconds, on the CPU. The limits and the rates of wrong verdicts are in `docs/trust.md`; signal as weak as the noise
    and spread over the whole image can be lost unnoticed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> clean = np.repeat(np.arange(0, 256, 16.0), 16) * np.ones((256, 1))
    >>> noisy = clean + rng.normal(0, 10, clean.shape)
    >>> check(noisy, clean).verdict
    'good'
    >>> check(noisy, clean + 5).reason
    'brightness changed by 0.50 noise levels'
    """
    noisy = mask_missing(noisy, missing, channel_axis=channel_axis)
    is_rgb = kind_of(noisy, channel_axis=channel_axis, channels=channels) == "rgb"
    if channel_axis is not None and not is_rgb and noisy.shape == np.shape(denoised):
        return _check_each(*(np.moveaxis(array, channel_axis, 0) for array in (noisy, denoised)))
    both = to_common_scale(noisy, denoised, channel_axis=channel_axis, is_rgb=is_rgb)
    if torch.equal(both.noisy, both.denoised):
        return Verdict(GOOD, UNCHANGED)
    noise = measure_residual(both)
    if noise is None:
        return Verdict(LOOK, f"no block of {SIDE} x {SIDE} pixels to measure the noise in")
    residual = both.noisy - both.denoised
    measures = _measure_change(noisy, denoised)
    measures |= _measure_offset(residual, both, noise)
    of_blocks, places = measure_blocks(whiten(residual, both.denoised, both.usable, noise))
    measures |= of_blocks
    measures |= measure_signal(residual, both, noise)
    measures |= _measure_mean_loss(noisy, denoised, channel_axis)
    measures |= measure_excess(both.noisy, residual, both.usable)
    measures |= measure_tails(residual[0], both.usable)
    return _judge({name: float(np.clip(value, -MAX_MEASURE, MAX_MEASURE)) for name, value in measures.items()}, places)


def check_changed(
    noisy: NDArray[Any], denoised: NDArray[Any], *, channel_axis: int | None = None, channels: Channels = "auto"
) -> Verdict:
    """`check`, but an image that came back unchanged is good even if it could not be judged, as a blank one."""
    if np.array_equal(noisy, denoised, equal_nan=True):
        return Verdict(GOOD, UNCHANGED)
    return check(noisy, denoised, channel_axis=channel_axis, channels=channels)


def _check_each(noisy: NDArray[Any], denoised: NDArray[Any]) -> Verdict:
    """The verdict on the worst of several channels (C, H, W)."""
    verdicts = [check_changed(before, after) for before, after in zip(noisy, denoised, strict=True)]
    worst = max(range(len(verdicts)), key=lambda number: severity(verdicts[number]))
    found = verdicts[worst]
    return found if found.reason == UNCHANGED else replace(found, reason=f"channel {worst}: {found.reason}")


def severity(verdict: Verdict) -> tuple[int, float]:
    """Sort key of verdicts from best to worst; of equal ones by the measure that is nearest to its limit."""
    measures = verdict.measures
    nearest = max((measures[rule.measure] / rule.look for rule in counted_rules(measures)), default=0.0)
    return (GOOD, LOOK, LOST).index(verdict.verdict), nearest


def counted_rules(measures: Mapping[str, float]) -> list[Rule]:
    """The rules that count for what was measured."""
    proven = (all(measures.get(name, 0.0) >= least for name, least in rule.least) for rule in RULES)
    return [rule for rule, counts in zip(RULES, proven, strict=True) if counts and rule.measure in measures]


def _judge(measures: dict[str, float], places: Mapping[str, Place]) -> Verdict:
    """The verdict of the first rule that is broken badly, else of the first that is broken at all.

    RULES go from causes to what any loss leaves behind. If none is broken, the one nearest to its limit is named.
    """
    counted = counted_rules(measures)
    for verdict, limit in ((LOST, "lost"), (LOOK, "look")):
        for rule in counted:
            if measures[rule.measure] >= getattr(rule, limit):
                words = rule.words.format(measures[rule.measure])
                return Verdict(verdict, words, measures, places.get(rule.measure))
    nearest = max(counted, key=lambda rule: measures[rule.measure] / rule.look)
    name, value = nearest.measure.replace("_", " "), measures[nearest.measure]
    return Verdict(GOOD, f"{name} {value:.2g}, below {nearest.look:g}", measures, places.get(nearest.measure))


def _measure_change(noisy: NDArray[Any], denoised: NDArray[Any]) -> dict[str, float]:
    """Mean and standard deviation of what was changed, in units of the image."""
    held = holds_data(noisy) & np.isfinite(denoised)
    change = np.zeros(held.shape)
    np.subtract(denoised, np.asarray(noisy), out=change, where=held, dtype=np.float64)
    mean = change.sum() / held.sum()
    change -= mean
    level = np.sqrt(np.square(change, out=change).sum(where=held) / held.sum())
    return {"residual_level": float(level), "mean_change": float(mean)}


def _measure_offset(residual: torch.Tensor, both: ScaledPair, noise: NoiseModel) -> dict[str, float]:
    """Compare the mean of the residual of each channel with the noise and with its own standard error."""
    sigma = noise.power().sqrt().numpy()
    sigma = np.maximum(sigma, MIN_SIGMA_FRACTION * sigma.max())
    values = residual[:, both.usable].numpy()
    mean = values.mean(axis=1, dtype=np.float64)
    counts = window_sums(both.usable.numpy().astype(np.float32), WINDOW)
    enough = counts > WINDOW**2 / 2
    if enough.sum() > 1:
        means = np.stack([window_sums(plane, WINDOW)[enough] / counts[enough] for plane in residual.numpy()])
        error = means.std(axis=1, ddof=1) / np.sqrt(enough.sum())
    else:
        error = values.std(axis=1) / np.sqrt(values.shape[1])
    offset = np.abs(mean) / sigma
    worst = int(offset.argmax())
    return {
        "offset": float(offset[worst]),
        "offset_error": float(offset[worst] / max(error[worst] / sigma[worst], MIN_ERROR)),
    }


def _measure_mean_loss(noisy: NDArray[Any], denoised: NDArray[Any], channel_axis: int | None) -> dict[str, float]:
    """Compare the means of regions, where rounding to whole numbers may have changed them."""
    if denoised.dtype.kind == "f":
        return {}
    found = measure_mean_loss(*(channels_first(array, channel_axis) for array in (noisy, denoised)))
    return {"mean_loss": found.loss, "mean_loss_error": found.error}
