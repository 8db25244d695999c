"""Denoise files one after another, and print outcomes; shared by `denoise`, `apply` and folders."""

import shlex
import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from mashpix.cli.console import complain, follow
from mashpix.errors import DeviceError, MashpixError, UsageError
from mashpix.jobs import DenoiseRequest, Event, FitOutcome, Outcome, PartOutcome, denoise_file
from mashpix.jobs.batch import NOWHERE
from mashpix.report import Report

DenoiseJob = Callable[[DenoiseRequest], Generator[Event, None, Outcome | PartOutcome]]
"""Denoises a file, or a part of it."""


def shared_request(**options: Any) -> DenoiseRequest:
    """Return a request without source and target, which records the command line that is running."""
    command = shlex.join(["mashpix", *sys.argv[1:]])
    return DenoiseRequest(source=NOWHERE, target=NOWHERE, command=command, **options)


def denoise_files(
    shared: DenoiseRequest, sources: list[Path], targets: list[Path], *, job: DenoiseJob = denoise_file
) -> int:
    """Denoise files one after another, report those that fail, and return the exit code."""
    exit_code = 0
    for source, target in zip(sources, targets, strict=True):
        name, request = str(source), replace(shared, source=source, target=target)
        try:
            outcome = follow(job(request), name, notes_of=name)
            print_lines(describe_outcome(outcome) if isinstance(outcome, Outcome) else [describe_part(outcome)])
        except (DeviceError, UsageError):
            raise
        except MashpixError as error:
            complain(str(error), name=name)
            exit_code = error.exit_code if len(sources) == 1 else 1
    return exit_code


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on stdout."""
    for line in lines:
        typer.echo(line)


def describe_outcome(outcome: Outcome) -> list[str]:
    """Describe a denoised file: a summary, the verdict, and which plane was drawn."""
    recipe, found = outcome.recipe, _summarise(outcome.report)
    if recipe.stack is not None:
        how = "a model" if recipe.model else f"networks {recipe.stack['networks']}"
        found = f"{outcome.axes} {' x '.join(map(str, outcome.shape))}, {how}, {found}"
    lines = [
        f"{str(outcome.target)!r}: {found}, {outcome.seconds:.0f} s",
        f"verdict: {outcome.verdict.verdict} ({outcome.verdict.reason})",
    ]
    if outcome.compared:
        lines.append(f"{str(outcome.written['compare'])!r}: {outcome.compared}")
    return lines


def describe_part(outcome: PartOutcome) -> str:
    """Describe a part of a denoised file."""
    left = (
        f"{outcome.left} left to others" if outcome.left else "none left: the command without --shard writes the result"
    )
    return f"{str(outcome.target)!r}: {outcome.done} {outcome.parts} done, {left}, {outcome.seconds:.0f} s"


def _summarise(report: Report) -> str:
    """Summarise measurements and decisions in a few words."""
    if report.constant:
        return "constant, left as it is"
    found = f"masking ratio {report.masking_ratio:g}"
    if report.noise_level_gap is not None:
        found += f", gap {report.noise_level_gap:.2f} grey levels"
    if report.neighbour_correlation is not None:
        found += f", neighbours correlated {report.neighbour_correlation:.2f}"
    if report.shuffled_fraction:
        found += f", {report.shuffled_fraction:.0%} shuffled"
    return found


def describe_fit(outcome: FitOutcome) -> str:
    """Describe a fitted model."""
    return (
        f"{str(outcome.target)!r}: fitted to {outcome.fitted} of {outcome.planes} planes, masking ratio "
        f"{outcome.masking_ratio:g}, {outcome.seconds:.0f} s"
    )
