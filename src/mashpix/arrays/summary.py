"""One report of several: of the channels of an image, or of the planes of a stack."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Literal

from mashpix.arrays.colour import Kind
from mashpix.method.relations import Groups
from mashpix.report import Report

AVERAGED = "averages of the neighbours took the place of its prediction"
"""What happens to channels that are not ready, see `method.readiness`."""


def summarise(
    reports: Sequence[Report],
    *,
    shape: tuple[int, ...],
    channels: Kind | None,
    parts: Literal["planes", "channels"] = "planes",
) -> Report:
    """One report of all parts: decisions of the first, means (of errors the RMS), and times added up.

    Parameters
    ----------
    reports : sequence of Report
        One per part.
    shape, channels
        Of the whole, for the report.
    parts : {"planes", "channels"}
        What the notes call the parts.
    """
    worked = [report for report in reports if not report.constant] or list(reports)
    seconds: dict[str, float] = {}
    for report in worked:
        for stage, spent in report.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    spreads = [report.mean_spread for report in worked if report.mean_spread is not None]
    squares = [report.held_out_error**2 for report in worked if report.held_out_error is not None]
    return replace(
        worked[0],
        shape=shape,
        channels=channels,
        hole_fraction=fmean(report.hole_fraction for report in reports),
        mean_spread=fmean(spreads) if spreads else None,
        held_out_error=fmean(squares) ** 0.5 if squares else None,
        seconds=seconds,
        notes=(
            *_notes(reports, worked, parts),
            *(describe_groups(worked[0].channel_groups) if channels == "joint" else ()),
        ),
    )


def _notes(reports: Sequence[Report], worked: Sequence[Report], parts: str) -> list[str]:
    notes = []
    if blank := sum(report.constant for report in reports):
        notes.append(f"{blank} blank {parts} left as they were")
    ratios = sorted({report.masking_ratio for report in worked if report.masking_ratio is not None})
    if len(ratios) > 1:
        notes.append(f"masking ratios {', '.join(f'{ratio:g}' for ratio in ratios)}")
    if unready := sum(bool(report.averaged_channels) for report in reports):
        notes.append(f"not learnt by the network: {unready} of {len(reports)} {parts} ({AVERAGED})")
    return notes


def join_reports(reports: Sequence[Report], groups: Groups, *, shape: tuple[int, ...], channels: Kind) -> Report:
    """One report of the groups of channels of an image, each denoised as if it were alone."""
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
    named = "the image" if channels == 1 else f"channel {', '.join(map(str, averaged))}"
    return (f"the network had not learnt to predict {named}: {AVERAGED}",)
