"""Measure the noise level that a network sees during a fit, and the correlation gap: Eq. 8 and 9, Fig. 5 of MASH.

Chihaoui and Favaro, CVPR 2024, arXiv 2404.09389.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from math import nan
from statistics import fmean

import torch

from mashpix.evaluation.plots import Axes, Figure, line_style, new_figure
from mashpix.evaluation.study.plan import BETAS, NOISE, SIGMA, Size, Study, StudyPlan, open_picture
from mashpix.evaluation.study.rows import Row, distinct, grows, listing, mean_of, only
from mashpix.method.fitting import fit, new_network
from mashpix.method.masking_ratio import probe_residual_level, residual_of
from mashpix.report import Step
from mashpix.settings import PAPER
from mashpix.steps import drain

LOOKS = 20
"""Points of a curve."""


@dataclass(frozen=True, kw_only=True)
class GapRow(Row):
    """Noise level (grey levels) after a number of updates of a probe."""

    beta: float
    masking_ratio: float
    updates: int = 0
    noise_level: float = nan


def last_levels(rows: list[GapRow]) -> dict[float, list[float]]:
    """Return for each ratio, low and high, the mean noise level at each beta after the last update."""
    last = only(rows, updates=max(row.updates for row in rows))
    return {
        ratio: [mean_of(last, "noise_level", beta=beta, masking_ratio=ratio) for beta in BETAS]
        for ratio in sorted({row.masking_ratio for row in last})
    }


def gaps_of(rows: list[GapRow]) -> dict[str, list[float]]:
    """Return the gap of each image at each beta (Eq. 9), after the last update."""
    gaps = {}
    for set_, name in distinct((row.set, row.name) for row in rows):
        low, high = last_levels(only(rows, set=set_, name=name)).values()
        gaps[name] = [abs(above - below) for below, above in zip(low, high, strict=True)]
    return gaps


def draw_levels(axes: Axes, rows: list[GapRow]) -> None:
    """Draw the noise level against updates, mean over the images, for each beta and ratio."""
    updates = sorted({row.updates for row in rows})
    for index, beta in enumerate(BETAS):
        for ratio in distinct(row.masking_ratio for row in rows):
            own = only(rows, beta=beta, masking_ratio=ratio)
            levels = [mean_of(own, "noise_level", updates=update) for update in updates]
            style = line_style(index) | {"markerfacecolor": "black" if ratio > 0.5 else "white", "markevery": 3}
            axes.plot(updates, levels, label=f"beta {beta:g}, ratio {ratio:g}", **style)
    axes.axhline(SIGMA, color="0.7", linewidth=0.8)
    axes.set(xlabel="updates", ylabel="noise level seen, grey levels", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")


class GapStudy(Study[GapRow]):
    """Fits probes at two ratios and records the noise level that they see meanwhile."""

    row = GapRow
    quick = Size(crop=64, limit=2)
    full = Size(crop=256)

    def jobs(self, plan: StudyPlan, *, quick: bool) -> list[GapRow]:
        """List one probe at the low and one at the high ratio for each beta."""
        return plan.rows(GapRow, beta=BETAS, masking_ratio=(PAPER.low_probe_ratio, PAPER.high_probe_ratio))

    def measure(self, plan: StudyPlan, row: GapRow) -> Generator[Step, None, list[GapRow]]:
        """Fit one probe and measure the noise level now and then (Eq. 8), which does not change the fit."""
        settings, ratio = plan.presets[row.preset], row.masking_ratio
        picture, _, generator = open_picture(plan, plan.load(plan.source(row), NOISE[row.beta]), settings)
        network = new_network(picture, settings=settings, generator=generator)
        steps = settings.probe_steps
        rows: list[GapRow] = []
        for step in fit(
            network, picture, ratio, shuffle=False, steps=steps, stage="probe", settings=settings, generator=generator
        ):
            yield step
            if step.index == 1:
                rows.clear()  # a fit that diverged starts again
            if step.index % max(steps // LOOKS, 1) == 0 or step.index == step.total:
                another = torch.Generator(picture.pixels.device).manual_seed(plan.seed)
                looking = residual_of(network, picture, ratio, stage="probe", settings=settings, generator=another)
                residual = drain(looking) * picture.unit[:, None, None]
                level = probe_residual_level(residual, picture.valid, noise_estimate=settings.noise_estimate)
                rows.append(replace(row, updates=step.index, noise_level=round(level, 4)))
        return rows

    def updates(self, plan: StudyPlan, row: GapRow) -> int:
        """Return the number of updates of one probe."""
        return plan.presets[row.preset].probe_steps

    def draw(self, plan: StudyPlan, rows: list[GapRow]) -> Figure:
        """Draw the noise level against updates, and the gap of each image against beta."""
        figure, panels = new_figure(columns=2, rows=len(plan.presets), caption=plan.caption)
        for (left, right), preset in zip(panels, plan.presets, strict=True):
            own = only(rows, preset=preset)
            draw_levels(left, own)
            for index, (name, gaps) in enumerate(gaps_of(own).items()):
                right.plot(BETAS, gaps, label=name, **line_style(index))
            right.set(xlabel="beta", ylabel="correlation gap, grey levels")
            for axes in (left, right):
                axes.set_title(preset)
                axes.legend(fontsize=7)
        return figure

    def sentences(self, preset: str, rows: list[GapRow]) -> list[str]:
        """Summarise whether the gap grows with beta, and what the two probes see."""
        gaps = list(gaps_of(rows).values())
        count = sum(map(grows, gaps))
        trend = "as published" if count == len(gaps) else "unlike the published one, which always does"
        means = listing(map(fmean, zip(*gaps, strict=True)), ".2f")
        ends = last_levels(rows).items()
        levels = "; ".join(f"{listing(values, '.1f')} at ratio {ratio:g}" for ratio, values in ends)
        last = max(row.updates for row in rows)
        return [
            f"{preset}: at beta 0, 0.5 and 1 the mean gap is {means} grey levels; it grows with beta on {count} of "
            f"{len(gaps)} images, {trend}.",
            f"After {last} updates the noise levels seen, of {SIGMA:g} grey levels, are {levels}.",
        ]


STUDY = GapStudy()
