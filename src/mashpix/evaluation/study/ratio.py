"""Measure PSNR against the masking ratio for each beta: Fig. 2 of MASH (CVPR 2024, arXiv 2404.09389)."""

from collections.abc import Generator
from dataclasses import dataclass
from math import nan
from typing import Any

from mashpix.arrays.costs import fit_updates
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
    run_denoising,
)
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.report import Step
from mashpix.settings import Settings

QUICK_RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
RATIOS = tuple(tenths / 10 for tenths in range(1, 10))


@dataclass(frozen=True, kw_only=True)
class RatioRow(Row):
    """PSNR (dB) of one fit at one ratio, without shuffling."""

    beta: float
    masking_ratio: float
    psnr: float = nan
    ssim: float = nan
    seconds: float = nan


def settings_of(plan: StudyPlan, row: RatioRow) -> Settings:
    """Return the settings of one fit."""
    return plan.presets[row.preset].replace(masking_ratio=row.masking_ratio, shuffle="never")


def curve(rows: list[RatioRow], preset: str, beta: float) -> tuple[list[float], list[float]]:
    """Return the ratios, and the mean PSNR at each."""
    ratios = distinct(row.masking_ratio for row in rows)
    return ratios, [mean_of(rows, "psnr", preset=preset, beta=beta, masking_ratio=ratio) for ratio in ratios]


class RatioStudy(Study[RatioRow]):
    """Fits one network for each ratio and beta."""

    row = RatioRow
    quick = Size(crop=64, limit=1, steps=600)
    full = Size(crop=256)

    def jobs(self, plan: StudyPlan, *, quick: bool) -> list[RatioRow]:
        """List each ratio at each beta."""
        return plan.rows(RatioRow, beta=BETAS, masking_ratio=QUICK_RATIOS if quick else RATIOS)

    def measure(self, plan: StudyPlan, row: RatioRow) -> Generator[Step, None, list[RatioRow]]:
        """Measure one fit."""
        pair = plan.load(plan.source(row), SyntheticNoise(beta=row.beta, sigma=SIGMA))
        found = yield from run_denoising(plan, pair, settings_of(plan, row))
        return [row.filled(**found)]

    def updates(self, plan: StudyPlan, row: RatioRow) -> int:
        """Return the number of updates of one fit."""
        return fit_updates(settings_of(plan, row))

    def draw(self, plan: StudyPlan, rows: list[RatioRow]) -> Any:
        """Draw the mean PSNR over the images, one curve per beta, one panel per preset."""
        figure, panels = new_figure(columns=len(plan.presets), caption=plan.caption)
        for axes, preset in zip(panels[0], plan.presets, strict=True):
            for index, beta in enumerate(BETAS):
                ratios, values = curve(rows, preset, beta)
                axes.plot(ratios, values, label=f"beta {beta:g}", **line_style(index))
            axes.set(title=preset, xlabel="masking ratio, fraction of pixels hidden", ylabel="PSNR, dB")
            axes.legend()
        return figure

    def summarise(self, rows: list[RatioRow]) -> list[str]:
        """Summarise whether the best ratio grows with beta, and the best PSNR falls."""
        sentences = []
        for preset in distinct(row.preset for row in rows):
            curves = [curve(rows, preset, beta) for beta in BETAS]
            best = [max(values) for _, values in curves]
            ratios = [ratio[values.index(top)] for (ratio, values), top in zip(curves, best, strict=True)]
            trend = "as published" if ratios[0] < 0.5 < ratios[-1] else "unlike the published low, then high ratio"
            fall = "falls as published" if grows(best[::-1]) else "does not fall steadily, unlike the published one"
            sentences += [
                f"{preset}: at beta 0, 0.5 and 1 the best masking ratio is {listing(ratios, 'g')}, {trend}.",
                f"The best PSNR is {listing(best, '.2f')} dB: it {fall}.",
            ]
        return sentences


STUDY = RatioStudy()
