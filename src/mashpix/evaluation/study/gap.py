"""Measure the noise level that a network sees during a fit, and the correlation gap: Eq. 8 and 9, Fig. 5 of MASH.

Chihaoui and Favaro, CVPR 2024, arXiv 2404.09389.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from math import nan
from statistics import fmean
from typing import Any

import torch

from mashpix.evaluation.plots import line_style, new_figure
from mashpix.evaluation.study.plan import (
    BETAS,
    SIGMA,
    Row,
    Size,
    Study,
    StudyPlan,
    distinct,
    grows,
    listing,
    mean_of,
    open_picture,
)
from mashpix.evaluation.synthetic_noise import SyntheticNoise
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


def gaps_of(rows: list[GapRow]) -> dict[str, list[float]]:
    """Return the gap of each image at each beta (Eq. 9), after the last update."""
    last = max(row.updates for row in rows)
    low, high = sorted(set(distinct(row.masking_ratio for row in rows)))
    return {
        name: [
            abs(
                mean_of(rows, "noise_level", set=set_, name=name, beta=beta, masking_ratio=high, updates=last)
                - mean_of(rows, "noise_level", set=set_, name=name, beta=beta, masking_ratio=low, updates=last)
            )
            for beta in BETAS
        ]
        for set_, name in dict.fromkeys((row.set, row.name) for row in rows)
    }


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
        settings = plan.presets[row.preset]
        pair = plan.load(plan.source(row), SyntheticNoise(beta=row.beta, sigma=SIGMA))
        picture, _ = open_picture(plan, pair, settings)
        generator = torch.Generator(picture.pixels.device).manual_seed(plan.seed)
        network = new_network(picture, settings=settings, generator=generator)
        ratio = row.masking_ratio
        options: dict[str, Any] = {"stage": "probe", "settings": settings}
        rows: list[GapRow] = []
        every = max(settings.probe_steps // LOOKS, 1)
        for step in fit(
            network,
            picture,
            row.masking_ratio,
            shuffle=False,
            steps=settings.probe_steps,
            generator=generator,
            **options,
        ):
            yield step
            if step.index == 1:
                rows.clear()  # a fit that diverged starts again
            if step.index % every == 0 or step.index == step.total:
                another = torch.Generator(picture.pixels.device).manual_seed(plan.seed)
                residual = drain(residual_of(network, picture, ratio, generator=another, **options))
                level = probe_residual_level(
                    residual * picture.unit[:, None, None], picture.valid, noise_estimate=settings.noise_estimate
                )
                rows.append(replace(row, updates=step.index, noise_level=round(level, 4)))
        return rows

    def updates(self, plan: StudyPlan, row: GapRow) -> int:
        """Return the number of updates of one fit."""
        return plan.presets[row.preset].probe_steps

    def draw(self, plan: StudyPlan, rows: list[GapRow]) -> Any:
        """Draw the noise level against updates, mean over the images, and the gap of each image against beta."""
        figure, panels = new_figure(columns=2, rows=len(plan.presets), caption=plan.caption)
        for (left, right), preset in zip(panels, plan.presets, strict=True):
            own = [row for row in rows if row.preset == preset]
            for index, beta in enumerate(BETAS):
                for ratio in distinct(row.masking_ratio for row in own):
                    updates = sorted(set(distinct(row.updates for row in own)))
                    where = {"beta": beta, "masking_ratio": ratio}
                    levels = [mean_of(own, "noise_level", updates=update, **where) for update in updates]
                    style = line_style(index) | {"markerfacecolor": "black" if ratio > 0.5 else "white", "markevery": 3}
                    left.plot(updates, levels, label=f"beta {beta:g}, ratio {ratio:g}", **style)
            left.axhline(SIGMA, color="0.7", linewidth=0.8)
            left.set(title=preset, xlabel="updates", ylabel="noise level seen, grey levels", yscale="log")
            left.yaxis.set_major_formatter("{x:g}")
            left.yaxis.set_minor_formatter("{x:g}")
            left.legend(fontsize=7)
            for index, (name, gaps) in enumerate(gaps_of(own).items()):
                right.plot(BETAS, gaps, label=name, **line_style(index))
            right.set(title=preset, xlabel="beta", ylabel="correlation gap, grey levels")
            right.legend(fontsize=7)
        return figure

    def summarise(self, rows: list[GapRow]) -> list[str]:
        """Summarise whether the gap grows with beta, and what the two probes see."""
        sentences = []
        for preset in distinct(row.preset for row in rows):
            own = [row for row in rows if row.preset == preset]
            gaps = list(gaps_of(own).values())
            count = sum(map(grows, gaps))
            trend = "as published" if count == len(gaps) else "unlike the published one, which always does"
            last = max(row.updates for row in own)
            ends = {
                ratio: [mean_of(own, "noise_level", beta=beta, masking_ratio=ratio, updates=last) for beta in BETAS]
                for ratio in sorted(set(distinct(row.masking_ratio for row in own)))
            }
            levels = "; ".join(f"{listing(values, '.1f')} at ratio {ratio:g}" for ratio, values in ends.items())
            means = listing(map(fmean, zip(*gaps, strict=True)), ".2f")
            sentences += [
                f"{preset}: at beta 0, 0.5 and 1 the mean gap is {means} grey levels; it grows with beta on {count} of "
                f"{len(gaps)} pictures, {trend}.",
                f"After {last} updates the noise levels seen, of {SIGMA:g} grey levels, are {levels}.",
            ]
        return sentences


STUDY = GapStudy()
