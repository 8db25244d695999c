"""One report of several: of the channels of an image, or of the planes of a stack."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Literal

from mashpix.arrays.colour import Kind
from mashpix.report import Report


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
        notes=tuple(_notes(reports, worked, parts)),
    )


def _notes(reports: Sequence[Report], worked: Sequence[Report], parts: str) -> list[str]:
    notes = []
    if blank := sum(report.constant for report in reports):
        notes.append(f"{blank} blank {parts} left as they were")
    ratios = sorted({report.masking_ratio for report in worked if report.masking_ratio is not None})
    if len(ratios) > 1:
        notes.append(f"masking ratios {', '.join(f'{ratio:g}' for ratio in ratios)}")
    return notes
