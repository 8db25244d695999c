"""Measure real sets and compare them with the published Table 1 of MASH (CVPR 2024, arXiv 2404.09389)."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from math import nan
from typing import Any

from mashpix.arrays.costs import fit_updates
from mashpix.evaluation.bench.run import score
from mashpix.evaluation.plots import MARKERS, new_figure
from mashpix.evaluation.study.plan import Row, Size, Study, StudyPlan, distinct, mean_of, run_denoising
from mashpix.report import Step

PUBLISHED = {
    "sidd": {"BM3D": 25.65, "Deep image prior": 32.11, "Self2Self": 29.46, "blind spot": 33.12, "MASH": 35.06},
    "polyu": {"BM3D": 37.40, "Deep image prior": 37.17, "Self2Self": 37.52, "blind spot": 37.12, "MASH": 37.62},
    "fmdd": {"BM3D": 30.06, "Deep image prior": 32.90, "Self2Self": 30.76, "blind spot": 32.25, "MASH": 33.71},
}
"""Mean PSNR of Table 1, dB."""
PROTOCOLS = {
    "sidd": "validation set, 40 scenes x 32 sRGB blocks of 256 x 256",
    "polyu": "100 crops of 512 x 512",
    "cc15": "15 pairs of 512 x 512, not in Table 1",
    "fmdd": "48 grey pictures of 512 x 512, one frame against the mean of 50",
}
"""The images of the published means, which average the PSNR of each image over all channels together."""


@dataclass(frozen=True, kw_only=True)
class TableRow(Row):
    """PSNR (dB) and SSIM (7 x 7 uniform window) of one image; in_set counts all images in the folder."""

    in_set: int
    noisy_db: float = nan
    noisy_ssim: float = nan
    psnr: float = nan
    ssim: float = nan
    seconds: float = nan


class TableStudy(Study[TableRow]):
    """Denoises each image with each preset."""

    row = TableRow
    quick = Size(crop=64, limit=1, steps=600)
    full = Size(crop=0)
    needs_pairs = True

    def jobs(self, plan: StudyPlan, *, quick: bool) -> list[TableRow]:
        """List each image with each preset."""
        return [replace(row, in_set=plan.in_set[row.set]) for row in plan.rows(TableRow, in_set=(0,))]

    def measure(self, plan: StudyPlan, row: TableRow) -> Generator[Step, None, list[TableRow]]:
        """Measure one image."""
        pair = plan.load(plan.source(row))
        found = yield from run_denoising(plan, pair, plan.presets[row.preset])
        noisy_db, noisy_ssim = score(pair, pair.noisy)
        return [row.filled(noisy_db=noisy_db, noisy_ssim=noisy_ssim, **found)]

    def updates(self, plan: StudyPlan, row: TableRow) -> int:
        """Return the number of updates of one fit."""
        return fit_updates(plan.presets[row.preset])

    def draw(self, plan: StudyPlan, rows: list[TableRow]) -> Any:
        """Draw the mean PSNR, one panel per set: measured filled, published hollow."""
        figure, panels = new_figure(columns=len(plan.sets), width=3.4, height=3.4, caption=plan.caption)
        for axes, name in zip(panels[0], plan.sets, strict=True):
            published = PUBLISHED.get(name, {})
            names = [f"{method}, published" for method in published]
            axes.plot(list(published.values()), names, "o", color="0.3", markerfacecolor="none")
            measured = {preset: mean_of(rows, "psnr", preset=preset, set=name) for preset in plan.presets}
            noisy = mean_of(rows, "noisy_db", set=name)
            for index, (method, value) in enumerate(({"noisy": noisy} | measured).items()):
                axes.plot(value, f"{method}, here", MARKERS[index], color="black")
            count = f"{len(plan.sets[name])} of {plan.in_set[name]} pictures"
            axes.set_title(f"{name}\nhere: {count}", fontsize=9)
            axes.set(xlabel="mean PSNR, dB")
            axes.margins(0.15)
            axes.tick_params(axis="y", labelsize=7)
        return figure

    def summarise(self, rows: list[TableRow]) -> list[str]:
        """Summarise the result of each set beside the published one, and which images the published means are over."""
        sentences = []
        for preset in distinct(row.preset for row in rows):
            texts = []
            for name in distinct(row.set for row in rows):
                own = [row for row in rows if (row.set, row.preset) == (name, preset)]
                psnr, ssim, noisy = (mean_of(own, column) for column in ("psnr", "ssim", "noisy_db"))
                published = f", published {PUBLISHED[name]['MASH']:.2f}" if name in PUBLISHED else ""
                count = f"{len(own)} of {own[0].in_set} pictures"
                texts.append(f"{name} {noisy:.2f} to {psnr:.2f} dB, SSIM {ssim:.3f} ({count}{published})")
            sentences.append(f"{preset}: {'; '.join(texts)}.")
        known = [f"{name}: {PROTOCOLS[name]}" for name in distinct(row.set for row in rows) if name in PROTOCOLS]
        size = f"the centre {rows[0].crop} x {rows[0].crop}" if rows[0].crop else "whole pictures"
        return [*sentences, f"Measured on {size}; the published means are over other pictures ({'; '.join(known)})."]


STUDY = TableStudy()
