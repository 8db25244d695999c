"""Denoise channels that have nothing in common, each group as if it were alone."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

import numpy as np

from mashpix.arrays.colour import Kind
from mashpix.arrays.normalization import Normalized, restore_axes, select_channels
from mashpix.arrays.summary import join_reports
from mashpix.method.relations import Groups
from mashpix.report import Report, Step
from mashpix.steps import scaled


def denoise_apart(
    normalized: Normalized, groups: Groups, run: Callable[[Normalized], Generator[Step, None, None]], *, kind: Kind
) -> Generator[Step, None, None]:
    """Denoise each group of channels with `run`, and join the results."""
    preview, spread = np.array(normalized.array), np.zeros(normalized.array.shape, np.float32)
    reports: list[Report] = []
    for number, group in enumerate(groups):
        selected = select_channels(normalized, group)
        with closing(scaled(run(selected), number / len(groups), 1 / len(groups))) as steps:
            for step in steps:
                if step.denoised is not None:
                    preview[list(group)] = step.denoised
                if step.report is not None and step.spread is not None:
                    spread[list(group)] = step.spread
                    reports.append(step.report)
                elif step.denoised is not None:
                    yield replace(step, denoised=restore_axes(preview.copy(), normalized))
                else:
                    yield step
    report = join_reports(reports, groups, shape=normalized.original.shape, channels=kind)
    denoised, spread = (restore_axes(array, normalized) for array in (preview, spread))
    yield Step("done", 1, 1, 1.0, denoised=denoised, spread=spread, report=report)
