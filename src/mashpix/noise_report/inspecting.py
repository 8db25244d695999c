"""Look at the noise of one picture before it is denoised: `inspect`, and the generator behind it."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.costs import expected_costs, expected_memory, time_update
from mashpix.arrays.normalization import Door, is_constant, open_door, to_picture
from mashpix.devices import available_memory, choose_device
from mashpix.method.masking_ratio import Masking, choose_masking
from mashpix.noise_estimation.autocovariance import REACH
from mashpix.noise_estimation.blind_estimate import NoiseLevel, measure_noise_level
from mashpix.noise_report.classification import BLOCKY, find_kind, measure_blockiness
from mashpix.noise_report.report import NoiseReport
from mashpix.picture import Picture
from mashpix.report import Step
from mashpix.settings import Settings, preset
from mashpix.steps import drain

DEPENDENT = 1.5
"""Largest over least variance from which the noise is said to follow the intensity."""
UNCORRELATED = 0.1
"""Correlation below which the correlation length ends."""
FEW_BLOCKS = 400
"""With fewer blocks than this the estimates are rough."""
MOST_CLIPPED = 0.3
"""Fraction of clipped values from which the estimates are rough."""
MOST_VALUES = 2**22
"""About how many values are sorted to find the bit depth and the clipping."""
PILED_UP = 5
"""A value is clipped if it is so many times as frequent as its neighbour."""
LEAST_SIGMA = 0.2
"""Noise level, in steps of whole numbers, below which hardly any noise can be told: rounding alone makes 0.29."""
MOST_BITS = 24
"""More bits than this are those of a float, not of a measurement."""
PROBE_SIDE = 128
"""Side in pixels of the centre that the probes are trained on: the whole picture would take as long as denoising it."""
SMALLEST_PAD = 32
"""Multiple that pictures are padded to for the network, as refining needs it."""

Array = NDArray[Any]


def inspect(image: Array, **options: Any) -> NoiseReport:
    """Tell what the noise of a picture is, and what follows from it, in seconds.

    Parameters
    ----------
    image : ndarray
        As for `denoise`.
    **options
        Those of `inspect_steps`.

    Returns
    -------
    NoiseReport
        Levels in the units of the picture.

    Raises
    ------
    InputError
        For a picture that cannot be denoised.
    UsageError
        For an unknown preset or device.
    DeviceError
        If the device asked for is not there.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(100, 10, (128, 128))
    >>> report = inspect(noisy, device="cpu", time_updates=False)
    >>> report.kind, round(report.sigma)
    ('white', 10)
    """
    return drain(inspect_steps(image, **options))


def inspect_steps(
    image: Array,
    *,
    channel_axis: int | None = None,
    data_range: float | None = None,
    preset_name: str = "default",
    probe: bool = False,
    time_updates: bool = True,
    seed: int = 0,
    device: str = "auto",
) -> Generator[Step, None, NoiseReport]:
    """Inspect a picture step by step; the generator returns the report.

    Parameters
    ----------
    image, channel_axis, data_range, seed, device
        As for `denoise`.
    preset_name : str
        The preset whose masking ratio and cost are told.
    probe : bool
        Train the two probes of the published method on the centre of the picture (minutes) to tell the
        noise level gap: those of the preset if it has them, else those of `scripts`.
    time_updates : bool
        Time a few network updates, to tell how long `denoise` would take.

    Yields
    ------
    Step
        The updates of the probes.
    """
    settings = preset(preset_name)
    chosen, _ = choose_device(device)
    door = open_door(image, channel_axis=channel_axis, data_range=data_range, scale="percentiles")
    report = replace(_facts(door), preset=preset_name, device=str(chosen))
    if is_constant(door):
        return replace(report, notes=("constant picture: no noise to measure",))
    picture = to_picture(door, multiple=SMALLEST_PAD, device=torch.device("cpu"))
    report = replace(report, **_describe(door, picture))
    own = picture if settings.scale == "percentiles" else None
    if own is None or chosen.type != "cpu":
        own_door = open_door(image, channel_axis=channel_axis, data_range=data_range, scale=settings.scale)
        own = to_picture(own_door, multiple=SMALLEST_PAD, device=chosen)
    generator = torch.Generator(chosen).manual_seed(seed)
    report = yield from _decide(report, own, image, settings=settings, probe=probe, generator=generator)
    if time_updates:
        seconds = time_update(own.pixels.shape[1:], settings, device=chosen)
        report = replace(report, seconds=seconds * sum(expected_costs(own.pixels[0, 0].numel(), settings).values()))
    return report


def _facts(door: Door) -> NoiseReport:
    """What needs no estimate: shape, holes, clipping, bit depth, memory."""
    finite = np.isfinite(door.array)
    values = door.array[finite].ravel()
    values = np.sort(values[:: max(values.size // MOST_VALUES, 1)])
    low, high = _clipped_limits(values)
    return NoiseReport(
        shape=door.original.shape,
        dtype=str(door.array.dtype),
        clipped_low=0.0 if low is None else float((door.array == low).sum() / max(finite.sum(), 1)),
        clipped_high=0.0 if high is None else float((door.array == high).sum() / max(finite.sum(), 1)),
        nan_fraction=float(1 - finite.mean()),
        bit_depth=_bit_depth(values),
        memory_bytes=expected_memory(door.array.size),
        memory_free_bytes=available_memory(),
    )


def _clipped_limits(values: Array) -> tuple[Any, Any]:
    """The least and the largest of sorted values if many pile up there, else None."""
    found, count = np.unique(values, return_counts=True)
    if len(found) < 3:
        return None, None
    low = found[0] if count[0] > PILED_UP * max(count[1], 2) else None
    return low, found[-1] if count[-1] > PILED_UP * max(count[-2], 2) else None


def _bit_depth(values: Array) -> int | None:
    """Bits for the steps that sorted values are multiples of; None for values without a common step."""
    found = np.unique(values)
    if len(found) < 2:
        return None
    if found.dtype.kind in "iu":
        distances = np.diff(found.astype(object) if found.dtype.itemsize > 4 else found.astype(np.int64))
        step = np.gcd.reduce(distances)
        return int(
            int(max(abs(int(found[0])), abs(int(found[-1])), int(found[-1]) - int(found[0]))) // step
        ).bit_length()
    distances = np.diff(found.astype(np.float64))
    if distances.min() <= 0 or (found[-1] - found[0]) / distances.min() > 2**MOST_BITS:
        return None
    multiples = distances / distances.min()
    if np.abs(multiples - np.rint(multiples)).max() > 0.01:
        return None
    return round((float(found[-1]) - float(found[0])) / float(distances.min())).bit_length()


def _describe(door: Door, picture: Picture) -> dict[str, Any]:
    """The fields of a report that are estimates of the noise."""
    height, width = door.array.shape[1:]
    pixels, valid = picture.pixels[0, :, :height, :width], picture.valid[0, :, :height, :width]
    limits = [_clipped_limits(np.sort(plane[np.isfinite(plane)])) for plane in door.array]
    clipped = np.stack(
        [(plane == low) | (plane == high) for plane, (low, high) in zip(door.array, limits, strict=True)]
    )
    noise = measure_noise_level(pixels, valid, torch.from_numpy(clipped))
    if noise is None:
        return {"notes": ("no block of 16 x 16 pixels to measure the noise in",)}
    sigma = noise.sigma * door.unit
    notes = []
    if noise.blocks < FEW_BLOCKS:
        notes.append(f"rough: only {noise.blocks} blocks to measure the noise in")
    if clipped.mean() > MOST_CLIPPED:
        notes.append(f"rough: {clipped.mean():.0%} of the values are clipped, and hide their noise")
    found: dict[str, Any] = {
        "sigma": float(np.sqrt(np.square(sigma).mean())),
        "sigma_by_channel": tuple(map(float, sigma)),
        "notes": tuple(notes),
    }
    blockiness = measure_blockiness(pixels, valid)
    if sigma.max() <= (LEAST_SIGMA if door.array.dtype.kind in "iu" else 0.0):
        found["notes"] = ("hardly any noise: less than rounding makes", *notes)
        if blockiness is not None and blockiness > BLOCKY:
            found |= {"kind": "jpeg-blocky", "kind_measures": {"blockiness": blockiness}}
        return found
    kind, measures = find_kind(noise, blockiness)
    return found | {"kind": kind, "kind_measures": measures} | _describe_noise(noise, door)


def _describe_noise(noise: NoiseLevel, door: Door) -> dict[str, Any]:
    """The fields that tell how the noise follows the intensity and how it is correlated."""
    correlation = noise.correlation.mean(axis=0)
    between = tuple(tuple(map(float, row)) for row in noise.between)
    return {
        "noise_by_intensity": _in_units(noise, door),
        "signal_dependent": bool(noise.dependence.max() > DEPENDENT),
        "signal_dependence": float(noise.dependence.max()),
        "lag1": (float(correlation[REACH + 1, REACH]), float(correlation[REACH, REACH + 1])),
        "correlation_length": _length(correlation),
        "autocorrelation": tuple(tuple(map(float, row)) for row in correlation),
        "channel_correlation": between if len(between) > 1 else None,
    }


def _in_units(noise: NoiseLevel, door: Door) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Noise against intensity for each channel, in the units of the picture."""
    return tuple(
        tuple((float(low + unit * place), float(unit * sigma)) for place, sigma in table)
        for table, low, unit in zip(noise.levels, door.low, door.unit, strict=True)
    )


def _length(correlation: Array) -> int:
    """Largest lag up to which the correlation along either axis stays above UNCORRELATED."""
    along = np.maximum(correlation[REACH:, REACH], correlation[REACH, REACH:])
    below = np.flatnonzero(along < UNCORRELATED)
    return int(below[0]) - 1 if len(below) else REACH


def _decide(
    report: NoiseReport, picture: Picture, image: Array, *, settings: Settings, probe: bool, generator: torch.Generator
) -> Generator[Step, None, NoiseReport]:
    """Masking ratio and shuffling as the preset would choose them, with the margin; probes if asked for."""
    reads_gap = settings.masking_ratio is None and settings.choose_by == "gap"
    masking: Masking | None = None
    piece = _centre(picture) if probe else picture
    if not reads_gap or probe:
        looked_at = piece if reads_gap else picture
        masking = yield from choose_masking(looked_at, settings=settings, generator=generator)
        report = replace(report, masking_ratio=masking.masking_ratio, shuffle=masking.shuffle)
        report = replace(report, neighbour_correlation=masking.correlation, noise_level_gap=masking.gap)
        value, thresholds = masking.correlation, (settings.low_correlation, settings.high_correlation)
        if reads_gap:
            value, thresholds = masking.gap, (settings.low_gap, settings.high_gap)
        if value is not None:
            report = replace(report, margin=float(min(abs(value - threshold) for threshold in thresholds)))
    if probe and not reads_gap:
        published = preset("scripts")
        probed = yield from choose_masking(piece, settings=published, generator=generator)
        report = replace(report, noise_level_gap=probed.gap)
    if piece.pixels.shape != picture.pixels.shape:
        note = f"gap of the centre of {PROBE_SIDE} x {PROBE_SIDE} pixels; the whole picture may have another"
        report = replace(report, notes=(*report.notes, note))
    return report


def _centre(picture: Picture) -> Picture:
    """The middle of a picture, at most PROBE_SIDE pixels a side."""
    top, left = (max(side - PROBE_SIDE, 0) // 2 for side in picture.pixels.shape[2:])
    window = ..., slice(top, top + PROBE_SIDE), slice(left, left + PROBE_SIDE)
    return replace(picture, pixels=picture.pixels[window], valid=picture.valid[window])
