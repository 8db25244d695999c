"""Whether channels are the colours of one scene, independent of each other, or to be denoised jointly."""

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import UsageError
from mashpix.missing import with_nan

Channels = Literal["auto", "rgb", "independent", "joint"]
"""What a caller can say about channels: see `decide_channels`."""
Kind = Literal["rgb", "independent", "joint"]
"""What was decided."""

SCALES = (1, 2, 4, 8, 16)
"""Sides in pixels of the blocks whose differences are correlated. Demosaicing shows at 1, scenes in noise at 8."""
MIN_CORRELATION = 0.1
"""Correlation of two channels from which they show the same thing. [ours] Unrelated channels stay below 0.08."""
CHANCE = 8.0
"""The correlation has to exceed so many times 1 / sqrt(number of differences). [ours] Sparse images reach 4."""
SHIFTED = 4.0
"""It has to exceed as many times the RMS correlation of the channels shifted against each other. [ours] A channel that
is mirrored shows how far smooth structure gets by chance: 2 of 124 exceed 4; 5 costs colour images in strong noise."""
MAX_RATIO = 6.0
"""Largest ratio of the contrasts of two channels in one unit. [ours] Cameras reach 3.9, other units start at 10."""
OUTLIERS = 0.05
"""Fraction of the differences, the largest ones, that are clipped: no single edge decides."""
MAX_SIDE = 1024
"""Side in pixels of the centre that is looked at."""


def check_choice(channels: str) -> None:
    """Refuse what is none of `Channels`."""
    if channels not in get_args(Channels):
        raise UsageError(f"`channels`: unknown choice ({channels!r}; one of {', '.join(get_args(Channels))})")


def decide_channels(array: NDArray[Any], channels: Channels) -> Kind | None:
    """Decide how the channels of a noisy image (C, H, W) are denoised, as `denoise` has it; None for a single one.

    "auto" is "rgb" where the image shows that its three channels are one scene in one unit (`show_one_scene`), else
    "independent". An unknown choice, and "rgb" with other than three channels, raise `UsageError`.
    """
    check_choice(channels)
    if channels == "rgb" and len(array) != 3:
        raise UsageError(f"`channels`: RGB has three channels ({len(array)} found; independent or joint fits)")
    if len(array) == 1:
        return None
    if channels == "auto":
        return "rgb" if show_one_scene(array) else "independent"
    return channels


def decide_stack_channels(axes: str, shape: tuple[int, ...], channels: Channels) -> tuple[Kind | None, bool]:
    """How the channels of a stack are denoised (None for a single one), and whether those along C belong together.

    Examples
    --------
    >>> decide_stack_channels("TYXS", (5, 64, 64, 3), "auto")
    ('rgb', False)
    >>> decide_stack_channels("TCYX", (5, 3, 64, 64), "auto")
    ('independent', False)
    >>> decide_stack_channels("TCYX", (5, 3, 64, 64), "rgb")
    ('rgb', True)
    """
    check_choice(channels)
    lengths = dict(zip(axes, shape, strict=True))
    samples, dyes = lengths.get("S", 1), lengths.get("C", 1)
    if channels == "rgb" and 3 not in (samples, samples * dyes):
        raise UsageError(f"`channels`: RGB has three channels ({axes}, shape {shape}; independent or joint fits)")
    if channels == "rgb" or (channels == "auto" and samples == 3):
        return "rgb", samples == 1
    if samples * dyes == 1:
        return None, False
    return ("joint", True) if channels == "joint" else ("independent", False)


def explain(kind: Kind, count: int) -> str:
    """Why the channels of an image are what "auto" decided, for its report.

    Examples
    --------
    >>> explain("independent", 3)
    'channels: independent (three channels, but they do not show one scene in one unit)'
    """
    if kind == "rgb":
        return "channels: rgb (three channels that show one scene in one unit)"
    if count != 3:
        return f"channels: {kind} ({count} of them, and RGB has three)"
    return f"channels: {kind} (three channels, but they do not show one scene in one unit)"


def show_one_scene(array: NDArray[Any]) -> bool:
    """Whether three channels (3, H, W) show one scene in one unit, as the colours of a camera do.

    Differences of neighbouring block means are correlated between the channels, from single pixels (demosaicing
    correlates even the noise of a flat image) to blocks of 16 x 16 (where a scene stands out of strong noise). The
    finest scale at which the least of the three correlations is significant decides: it has to be positive, and the
    contrasts of the channels within a factor of 6. What is significant is measured in the image: channels shifted
    against each other are correlated only by chance, the more the smoother they are. Measured by
    benchmarks/channel_decisions.py.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scene = np.kron(rng.uniform(0, 200, (16, 16)), np.ones((8, 8)))
    >>> show_one_scene(scene + rng.normal(0, 20, (3, 128, 128)))
    True
    >>> show_one_scene(rng.normal(0, 20, (3, 128, 128)))
    False
    """
    if len(array) != 3:
        return False
    for correlation, ratio, needed in compare_channels(array):
        if abs(correlation) >= needed:
            return correlation > 0 and ratio <= MAX_RATIO
    return False


def compare_channels(array: NDArray[Any]) -> Iterator[tuple[float, float, float]]:
    """At each of SCALES: least correlation of two channels, largest ratio of contrasts, the correlation to exceed.

    Holes take no part. A scale at which a channel has no contrast is left out.
    """
    height, width = array.shape[1:]
    top, left = max(0, (height - MAX_SIDE) // 2), max(0, (width - MAX_SIDE) // 2)
    centre = array[:, top : top + MAX_SIDE, left : left + MAX_SIDE]
    centre = with_nan(centre)
    for side in SCALES:
        rows, columns = (length // side for length in centre.shape[1:])
        if min(rows, columns) < 2:
            return
        blocks = centre[:, : rows * side, : columns * side].reshape(len(array), rows, side, columns, side)
        means = blocks.mean(axis=(2, 4))
        steps = [np.diff(means, axis=axis) for axis in (1, 2)]
        held = [np.isfinite(part).all(axis=0) for part in steps]
        count = int(sum(mask.sum() for mask in held))
        if count == 0:
            continue
        sizes = np.abs(np.concatenate([part[:, mask] for part, mask in zip(steps, held, strict=True)], axis=1))
        limit = np.quantile(sizes, 1 - OUTLIERS, axis=1)[:, None, None]
        steps = [np.where(mask, np.clip(part, -limit, limit), 0.0) for part, mask in zip(steps, held, strict=True)]
        contrast = np.sqrt(sum(np.square(part).sum(axis=(1, 2)) for part in steps) / count)
        if not contrast.min() > 0:
            continue
        scaled = [part / contrast[:, None, None] for part in steps]
        pairs = np.triu_indices(len(array), 1)
        correlations = sum(np.einsum("aij,bij->ab", part, part) for part in scaled)[pairs] / count
        by_chance = max(CHANCE / count**0.5, SHIFTED * float(_correlate_shifted(scaled, count)[pairs].max()))
        ratio = float(contrast.max() / contrast.min())
        yield float(correlations.min()), ratio, max(MIN_CORRELATION, by_chance)


def _correlate_shifted(scaled: list[NDArray[Any]], count: int) -> NDArray[Any]:
    """RMS over all cyclic shifts of the correlation of two channels (C, C), from their power spectra (Parseval).

    For white channels it is 1 / sqrt(count); for smooth ones more, since there are fewer independent differences.
    """
    square: NDArray[Any] = np.zeros((len(scaled[0]), len(scaled[0])))
    for part in scaled:
        power = np.square(np.abs(np.fft.fft2(part)))
        square += np.einsum("aij,bij->ab", power, power) / (float(part[0].size) * count) ** 2
    return np.asarray(np.sqrt(square))
