"""Measure PSNR against the masking ratio for each beta: Fig. 2 of MASH (CVPR 2024, arXiv 2404.09389)."""

from dataclasses import dataclass
from math import nan

from mashpix.evaluation.bench.images import Pair
from mashpix.evaluation.plots import Figure, line_style, new_figure
from mashpix.evaluation.study.plan import BETAS, NOISE, Size, Study, StudyPlan
from mashpix.evaluation.study.rows import Row, distinct, grows, listing, mean_of, only
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


def curves(rows: list[RatioRow]) -> tuple[list[float], list[list[float]]]:
    """Return the ratios, and for each beta the mean PSNR at each ratio."""
    ratios = distinct(row.masking_ratio for row in rows)
    return ratios, [[mean_of(rows, "psnr", beta=beta, masking_ratio=ratio) for ratio in ratios] for beta in BETAS]


class RatioStudy(Study[RatioRow]):
    """Fits one network for each ratio and beta."""

    row = RatioRow
    quick = Size(crop=64, limit=1, steps=600)
    full = Size(crop=256)

    def jobs(self, plan: StudyPlan, *, quick: bool) -> list[RatioRow]:
        """List each ratio at each beta."""
        return plan.rows(RatioRow, beta=BETAS, masking_ratio=QUICK_RATIOS if quick else RATIOS)

    def settings(self, plan: StudyPlan, row: RatioRow) -> Settings:
        """Return the settings of one fit."""
        return plan.presets[row.preset].replace(masking_ratio=row.masking_ratio, shuffle="never")

    def load(self, plan: StudyPlan, row: RatioRow) -> Pair:
        """Load the image of a row, with noise of its beta."""
        return plan.load(plan.source(row), NOISE[row.beta])

    def draw(self, plan: StudyPlan, rows: list[RatioRow]) -> Figure:
        """Draw the mean PSNR over the images, one curve per beta, one panel per preset."""
        figure, panels = new_figure(columns=len(plan.presets), caption=plan.caption)
        for axes, preset in zip(panels[0], plan.presets, strict=True):
            ratios, values = curves(only(rows, preset=preset))
            for index, beta in enumerate(BETAS):
                axes.plot(ratios, values[index], label=f"beta {beta:g}", **line_style(index))
            axes.set(title=preset, xlabel="masking ratio, fraction of pixels hidden", ylabel="PSNR, dB")
            axes.legend()
        return figure

    def sentences(self, preset: str, rows: list[RatioRow]) -> list[str]:
        """Summarise whether the best ratio grows with beta, and the best PSNR falls."""
        ratios, values = curves(rows)
        best = [max(curve) for curve in values]
        where = [ratios[curve.index(top)] for curve, top in zip(values, best, strict=True)]
        trend = "as published" if where[0] < 0.5 < where[-1] else "unlike the published low, then high ratio"
        fall = "falls as published" if grows(best[::-1]) else "does not fall steadily, unlike the published one"
        return [
            f"{preset}: at beta 0, 0.5 and 1 the best masking ratio is {listing(where, 'g')}, {trend}.",
            f"The best PSNR is {listing(best, '.2f')} dB: it {fall}.",
        ]


STUDY = RatioStudy()
