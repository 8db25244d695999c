"""Reports of what was measured and decided, and one report of several."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch

from mashpix.arrays.colour import Kind
from mashpix.arrays.normalization import Normalized
from mashpix.method.mash import Result
from mashpix.method.relations import Groups
from mashpix.missing import holds_data
from mashpix.report import Report

AVERAGED = "averages of the neighbours took the place of its prediction"
"""What happens to channels that are not ready, see `method.readiness`."""
FEW_BLOCKS = "only noise that neighbouring pixels show was removed"
"""What happens to images in which the noise cannot be measured, see `refine.few_blocks`."""
TONES = "noise before the tone curve had darkened this photo: tones corrected {}"
"""What happens to photos whose noise is biased, see `refine.tone_bias`."""

ROUNDED = "rounding to whole numbers changes the means of regions {} (`dtype` float32 keeps them)"
"""What happens to counts of few photons, see `arrays.rounding`."""


def describe(
    normalized: Normalized,
    result: Result | None,
    *,
    device: torch.device,
    seconds: dict[str, float] | None = None,
    mean_spread: float | None = None,
    tone_change: float | None = None,
    rounding_loss: float | None = None,
) -> Report:
    """Report what was measured and decided; a result of None stands for an image with nothing to denoise."""
    report = Report(
        shape=normalized.original.shape,
        dtype=str(normalized.array.dtype),
        device=str(device),
        threads=torch.get_num_threads(),
        hole_fraction=float(1 - holds_data(normalized.array).mean()),
        defects=normalized.defects.by_kind() if normalized.defects else {},
        repaired=normalized.repair and normalized.defects is not None,
        stripes=normalized.stripes.by_kind() if normalized.stripes else {},
        channels=normalized.channels,
    )
    if result is None:
        return replace(report, constant=True, notes=("constant picture: returned unchanged",))
    low, high = result.masking.noise_levels or (None, None)
    return replace(
        report,
        low_noise_level=low,
        high_noise_level=high,
        noise_level_gap=result.masking.gap,
        neighbour_correlation=result.masking.correlation,
        masking_ratio=result.masking.masking_ratio,
        shuffled_fraction=result.shuffled_fraction,
        mean_spread=mean_spread,
        held_out_error=float(np.sqrt(np.mean(result.held_out.cpu().numpy() * np.square(normalized.unit)))),
        averaged_channels=result.averaged,
        seconds=seconds or {},
        few_blocks=result.few_blocks,
        tone_change=tone_change,
        rounding_loss=rounding_loss,
        notes=(
            *describe_missing(report.hole_fraction, normalized.array.shape),
            *describe_defects(report.defects, repaired=report.repaired),
            *describe_stripes(report.stripes),
            *describe_averaged(result.averaged, len(normalized.array)),
            *((f"few blocks of 16 x 16 pixels: {FEW_BLOCKS}",) if result.few_blocks else ()),
            *((TONES.format(f"by {tone_change:.3g} (RMS)"),) if tone_change else ()),
            *((ROUNDED.format(f"by {rounding_loss:.0%} of what they differ by"),) if rounding_loss else ()),
        ),
    )


def summarise(
    reports: Sequence[Report],
    *,
    shape: tuple[int, ...],
    channels: Kind | None,
    parts: Literal["planes", "channels", "cells", "blocks"] = "planes",
) -> Report:
    """Join the reports of all parts: decisions of the first, means (of errors the RMS), and times added up.

    `shape` and `channels` are those of the whole; the notes call the parts by the name `parts`.
    """
    worked = [report for report in reports if not report.constant] or list(reports)
    seconds: dict[str, float] = {}
    for report in worked:
        for stage, spent in report.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    spreads = [report.mean_spread for report in worked if report.mean_spread is not None]
    changes = [report.tone_change**2 for report in worked if report.tone_change is not None]
    squares = [report.held_out_error**2 for report in worked if report.held_out_error is not None]
    return replace(
        worked[0],
        shape=shape,
        channels=channels,
        hole_fraction=fmean(report.hole_fraction for report in reports),
        **_defects_of(reports),
        stripes=_stripes_of(reports),
        mean_spread=fmean(spreads) if spreads else None,
        held_out_error=fmean(squares) ** 0.5 if squares else None,
        few_blocks=any(report.few_blocks for report in reports),
        tone_change=fmean(changes) ** 0.5 if changes else None,
        rounding_loss=max((report.rounding_loss for report in worked if report.rounding_loss), default=None),
        seconds=seconds,
        notes=(
            *_notes(reports, worked, parts, shape),
            *(describe_groups(worked[0].channel_groups) if channels == "joint" else ()),
        ),
    )


def _notes(reports: Sequence[Report], worked: Sequence[Report], parts: str, shape: tuple[int, ...]) -> list[str]:
    fraction = fmean(report.hole_fraction for report in reports)
    notes = [*describe_missing(fraction, shape), *describe_defects(**_defects_of(reports))]
    if striped := sum(bool(report.stripes) for report in reports):
        described = describe_stripes(_stripes_of(reports))
        notes += [f"{note} in {striped} of {len(reports)} {parts}" for note in described]
    if blank := sum(report.constant for report in reports):
        notes.append(f"{blank} blank {parts} left as they were")
    ratios = sorted({report.masking_ratio for report in worked if report.masking_ratio is not None})
    if len(ratios) > 1:
        notes.append(f"masking ratios {', '.join(f'{ratio:g}' for ratio in ratios)}")
    if unready := sum(bool(report.averaged_channels) for report in reports):
        notes.append(f"not learnt by the network: {unready} of {len(reports)} {parts} ({AVERAGED})")
    if toned := sum(report.tone_change is not None for report in reports):
        notes.append(TONES.format(f"in {toned} of {len(reports)} {parts}"))
    if rounded := sum(report.rounding_loss is not None for report in reports):
        notes.append(ROUNDED.format(f"in {rounded} of {len(reports)} {parts}"))
    if few := sum(report.few_blocks for report in reports):
        notes.append(f"few blocks of 16 x 16 pixels in {few} of {len(reports)} {parts}: {FEW_BLOCKS}")
    return notes


def describe_missing(fraction: float, shape: tuple[int, ...]) -> tuple[str, ...]:
    """A note on the values without data, a fraction of those of an array; none if there are none.

    Examples
    --------
    >>> describe_missing(0.25, (4, 100))
    ('100 of 400 values hold no data: left out and kept',)
    """
    count = round(fraction * math.prod(shape))
    return (f"{count} of {math.prod(shape)} values hold no data: left out and kept",) if count else ()


def describe_defects(defects: Mapping[str, int], *, repaired: bool = False) -> tuple[str, ...]:
    """A note on the defects of the sensor by kind; none if there are none.

    Examples
    --------
    >>> describe_defects({"hot pixels": 3, "lines": 1})
    ('defects of the sensor: hot pixels 3, lines 1 (left out and kept)',)
    """
    listed = ", ".join(f"{kind} {count}" for kind, count in defects.items())
    done = "left out, and filled from the result" if repaired else "left out and kept"
    return (f"defects of the sensor: {listed} ({done})",) if listed else ()


def describe_stripes(stripes: Mapping[str, float]) -> tuple[str, ...]:
    """A note on the stripes that were taken off, by kind; none if there are none.

    Examples
    --------
    >>> describe_stripes({"rows": 3.14159, "waves": 20.0})
    ('stripes taken off before the fit: rows 3.14, waves 20 (RMS)',)
    """
    listed = ", ".join(f"{kind} {level:.3g}" for kind, level in stripes.items())
    return (f"stripes taken off before the fit: {listed} (RMS)",) if listed else ()


def _stripes_of(reports: Sequence[Report]) -> dict[str, float]:
    """The RMS of the stripes of several reports over all of them."""
    kinds = dict.fromkeys(kind for report in reports for kind in report.stripes)
    return {kind: math.sqrt(fmean(report.stripes.get(kind, 0) ** 2 for report in reports)) for kind in kinds}


def _defects_of(reports: Sequence[Report]) -> dict[str, Any]:
    """Add up the defects of several reports, as fields of one."""
    total = sum((Counter(report.defects) for report in reports), Counter())
    return {"defects": dict(total), "repaired": any(report.repaired for report in reports)}


def join_reports(reports: Sequence[Report], groups: Groups, *, shape: tuple[int, ...], channels: Kind) -> Report:
    """Join the reports of the groups of channels of an image, each denoised as if it were alone."""
    pairs = zip(groups, reports, strict=True)
    averaged = tuple(sorted(group[index] for group, own in pairs for index in own.averaged_channels))
    grouped = [replace(report, channel_groups=groups) for report in reports]
    report = summarise(grouped, shape=shape, channels=channels, parts="channels")
    return replace(report, averaged_channels=averaged)


def describe_groups(groups: Groups) -> tuple[str, ...]:
    """A note on channels that were to be denoised jointly, counted from 0; none if all shared a network.

    Examples
    --------
    >>> describe_groups(((0, 2), (1,)))
    ('channels that do not help each other were denoised apart: 0 + 2, 1',)
    """
    if len(groups) < 2:
        return ()
    listed = ", ".join(" + ".join(map(str, group)) for group in groups)
    return (f"channels that do not help each other were denoised apart: {listed}",)


def describe_averaged(averaged: Sequence[int], channels: int) -> tuple[str, ...]:
    """A note on channels whose prediction was replaced, counted from 0; none if there are none.

    Examples
    --------
    >>> describe_averaged((1,), 2)
    ('the network had not learnt to predict channel 1: averages of the neighbours took the place of its prediction',)
    """
    if not averaged:
        return ()
    listed = f"channel{'s' if len(averaged) > 1 else ''} {', '.join(map(str, averaged))}"
    named = "the image" if len(averaged) == channels else listed
    return (f"the network had not learnt to predict {named}: {AVERAGED}",)
