"""Inspect the noise of one image before it is denoised: `inspect`, and the generator behind it."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.colour import Channels, Kind, decide_channels
from mashpix.arrays.costs import expected_costs, expected_memory, seconds_before, time_update
from mashpix.arrays.normalization import Array, is_blank, normalize, to_picture
from mashpix.arrays.summary import describe_defects, describe_stripes
from mashpix.deprecation import warn_renamed
from mashpix.devices import choose_device
from mashpix.method.mash import side_multiple
from mashpix.method.masking_ratio import Masking, choose_masking
from mashpix.missing import mask_missing
from mashpix.noise_report.estimates import estimate_noise
from mashpix.noise_report.image_facts import image_facts
from mashpix.noise_report.report import NoiseReport, NoiseStep
from mashpix.picture import Picture
from mashpix.report import Step
from mashpix.settings import PRESETS, Settings, preset
from mashpix.steps import drain

PROBE_SIDE = 128
"""Side in pixels of the centre crop that the probes are trained on: the whole image takes as long as denoising."""


def inspect(
    image: Array,
    *,
    channel_axis: int | None = None,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
    data_range: float | None = None,
    settings: Settings | str = "default",
    probe: bool = False,
    time_updates: bool = True,
    seed: int = 0,
    device: str = "auto",
    preset_name: str | None = None,
) -> NoiseReport:
    """Estimate the noise of an image, and what denoising it would cost; takes seconds.

    Parameters
    ----------
    image, channel_axis, channels, missing, data_range, seed, device
        As for `denoise`.
    settings : Settings or str
        Settings, or the name of a preset, for which to report masking ratio and cost.
    probe : bool
        Train the two probes of the published method on the centre of the image (minutes) to measure the
        noise level gap: with these settings if they use probes, else with those of `scripts`.
    time_updates : bool
        Time a few network updates, to estimate how long `denoise` would take.
    preset_name : str or None
        Deprecated: the former name of `settings`.

    Returns
    -------
    NoiseReport
        Levels in the units of the image.

    Raises
    ------
    InputError
        For an image that cannot be denoised.
    UsageError
        For an unknown preset or device.
    DeviceError
        If the device asked for is not available.

    Notes
    -----
    Level, correlation and noise level function are measured in the calmest blocks of the image, each cosine
    coefficient in the blocks that are calmest around its frequency; nothing is trained unless `probe` is True. The
    duration of `denoise` is extrapolated from a few timed updates of the network. `docs/noise-report.md` describes the
    estimators and their accuracy; for presets and references see `denoise`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(100, 10, (128, 128))
    >>> report = inspect(noisy, device="cpu", time_updates=False)
    >>> report.kind, round(report.sigma)
    ('white', 10)
    """
    how = make_inspection(
        settings, preset_name, data_range=data_range, probe=probe, time_updates=time_updates, seed=seed, device=device
    )
    image = mask_missing(image, missing, channel_axis=channel_axis)
    return drain(inspect_image(image, channel_axis=channel_axis, channels=channels, inspection=how))


def inspect_steps(
    image: Array,
    *,
    channel_axis: int | None = None,
    channels: Channels = "auto",
    missing: NDArray[np.bool_] | None = None,
    data_range: float | None = None,
    settings: Settings | str = "default",
    probe: bool = False,
    time_updates: bool = True,
    seed: int = 0,
    device: str = "auto",
    preset_name: str | None = None,
) -> Generator[Step, None, NoiseReport]:
    """Inspect an image step by step: the generator behind `inspect`, with the same parameters and errors.

    Yields
    ------
    Step
        The updates of the probes; the last step has the stage "done" and holds the `noise_report`, which the generator
        returns too.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(100, 10, (128, 128))
    >>> *_, last = inspect_steps(noisy, device="cpu", time_updates=False)
    >>> last.noise_report.kind
    'white'
    """
    how = make_inspection(
        settings, preset_name, data_range=data_range, probe=probe, time_updates=time_updates, seed=seed, device=device
    )
    image = mask_missing(image, missing, channel_axis=channel_axis)
    return with_report(inspect_image(image, channel_axis=channel_axis, channels=channels, inspection=how))


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The options of one inspection; `name` is the name of the preset, or "custom"."""

    settings: Settings
    name: str
    data_range: float | None
    probe: bool
    time_updates: bool
    seed: int
    device: torch.device


def make_inspection(settings: Settings | str, preset_name: str | None, *, device: str, **others: Any) -> Inspection:
    """Check the options of `inspect_steps`; `preset_name`, if given, replaces `settings`, with a warning."""
    if preset_name is not None:
        warn_renamed("preset_name", "settings")
        settings = preset_name
    if isinstance(settings, str):
        name, settings = settings, preset(settings)
    else:
        name = next((name for name, known in PRESETS.items() if known == settings), "custom")
    return Inspection(settings=settings, name=name, device=choose_device(device)[0], **others)


def with_report(inspecting: Generator[Step, None, NoiseReport]) -> Generator[Step, None, NoiseReport]:
    """Pass on the steps, followed by a last one that holds the report."""
    report = yield from inspecting
    yield NoiseStep("done", 1, 1, 1.0, noise_report=report)
    return report


def inspect_image(
    image: Array, *, channel_axis: int | None, channels: Channels, inspection: Inspection
) -> Generator[Step, None, NoiseReport]:
    """Inspect one image; the generator returns the report."""
    settings, device = inspection.settings, inspection.device
    multiple = side_multiple(settings)
    scaled = partial(
        normalize,
        image,
        channel_axis=channel_axis,
        data_range=inspection.data_range,
        find=settings.find_defects,
        stripes=settings.stripes,
    )
    normalized = scaled(scale="percentiles")
    report = replace(image_facts(normalized), preset=inspection.name, device=str(device))
    if is_blank(normalized.array):
        return replace(report, notes=("constant image: no noise to measure",))
    striped = replace(normalized, stripes=None)
    picture = to_picture(striped, multiple=multiple, device=torch.device("cpu"))
    report = replace(report, **estimate_noise(striped, picture))
    if normalized.defects is not None:
        report = replace(report, notes=(*describe_defects(normalized.defects.by_kind()), *report.notes))
    if normalized.stripes is not None:
        stripes = normalized.stripes.by_kind()
        report = replace(report, stripes=stripes, notes=(*describe_stripes(stripes), *report.notes))
        picture = to_picture(normalized, multiple=multiple, device=torch.device("cpu"))
    if settings.scale != "percentiles" or device.type != "cpu":
        normalized = scaled(scale=settings.scale)
        picture = to_picture(normalized, multiple=multiple, device=device)
    kind = decide_channels(normalized.sound, channels)
    report = yield from _decide(report, picture, inspection)
    if kind == "independent":
        report = _with_decisions_by_channel(report, picture, inspection)
    return replace(report, channels=kind, **_cost(picture, kind, inspection))


def _cost(picture: Picture, kind: Kind | None, inspection: Inspection) -> dict[str, Any]:
    """Estimate seconds and memory of denoising, as fields of a report; independent channels take turns."""
    count, height, width = picture.pixels.shape[1:]
    runs, together = (count, 1) if kind == "independent" else (1, count)
    found: dict[str, Any] = {"memory_bytes": expected_memory(height * width * together)}
    if inspection.time_updates:
        joint = count if kind == "joint" else 1
        costs = expected_costs(height * width, inspection.settings, joint_channels=joint)
        update = time_update((together, height, width), inspection.settings, device=inspection.device)
        before = seconds_before(together * height * width, inspection.settings)
        found["seconds"] = runs * (update * sum(costs.values()) + before)
    return found


def _with_decisions_by_channel(report: NoiseReport, picture: Picture, inspection: Inspection) -> NoiseReport:
    """Note the masking ratios of independently denoised channels, if they differ."""
    settings = inspection.settings
    if report.masking_ratio is None or settings.choose_by == "gap":
        return report
    generator = torch.Generator(inspection.device).manual_seed(inspection.seed)
    ratios = []
    for index in range(picture.pixels.shape[1]):
        one = slice(index, index + 1)
        channel = Picture(picture.pixels[:, one], picture.valid[:, one], picture.unit[one])
        ratios.append(drain(choose_masking(channel, settings=settings, generator=generator)).masking_ratio)
    if set(ratios) == {report.masking_ratio}:
        return report
    return replace(report, notes=(*report.notes, f"masking ratio by channel: {', '.join(f'{r:g}' for r in ratios)}"))


def _decide(report: NoiseReport, picture: Picture, inspection: Inspection) -> Generator[Step, None, NoiseReport]:
    """Add the masking ratio and shuffling that the settings would choose, with the margin; train probes on request."""
    settings, probe = inspection.settings, inspection.probe
    generator = torch.Generator(inspection.device).manual_seed(inspection.seed)
    reads_gap = settings.masking_ratio is None and settings.choose_by == "gap"
    piece = _centre(picture) if probe else picture
    if not reads_gap or probe:
        looked_at = piece if reads_gap else picture
        masking = yield from choose_masking(looked_at, settings=settings, generator=generator)
        report = _with_masking(report, masking, settings)
    if probe and not reads_gap:
        probed = yield from choose_masking(piece, settings=preset("scripts"), generator=generator)
        report = replace(report, noise_level_gap=probed.gap)
    if piece.pixels.shape != picture.pixels.shape:
        note = f"gap of the centre of {PROBE_SIDE} x {PROBE_SIDE} pixels; the whole image may have another"
        report = replace(report, notes=(*report.notes, note))
    return report


def _with_masking(report: NoiseReport, masking: Masking, settings: Settings) -> NoiseReport:
    """Add a decision, and its margin to another one."""
    value, thresholds = masking.correlation, (settings.low_correlation, settings.high_correlation)
    if masking.gap is not None:
        value, thresholds = masking.gap, (settings.low_gap, settings.high_gap)
    return replace(
        report,
        masking_ratio=masking.masking_ratio,
        shuffle=masking.shuffle,
        neighbour_correlation=masking.correlation,
        noise_level_gap=masking.gap,
        margin=None if value is None else float(min(abs(value - threshold) for threshold in thresholds)),
    )


def _centre(picture: Picture) -> Picture:
    """Crop an image to its centre, at most PROBE_SIDE pixels wide and high."""
    top, left = (max(side - PROBE_SIDE, 0) // 2 for side in picture.pixels.shape[2:])
    window = ..., slice(top, top + PROBE_SIDE), slice(left, left + PROBE_SIDE)
    return replace(picture, pixels=picture.pixels[window], valid=picture.valid[window])
