"""Measure real sets and compare them with the published Table 1 of MASH (CVPR 2024, arXiv 2404.09389)."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from math import nan

from mashpix.evaluation.bench.run import score
from mashpix.evaluation.plots import MARKERS, Figure, new_figure
from mashpix.evaluation.study.plan import Size, Study, StudyPlan
from mashpix.evaluation.study.rows import Row, distinct, mean_of, only
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
    "fmdd": "48 grey images of 512 x 512, one frame against the mean of 50",
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
        """Measure one image, denoised and as it is."""
        (measured,) = yield from super().measure(plan, row)
        pair = self.load(plan, row)
        noisy_db, noisy_ssim = score(pair, pair.noisy)
        return [replace(measured, noisy_db=noisy_db, noisy_ssim=noisy_ssim)]

    def draw(self, plan: StudyPlan, rows: list[TableRow]) -> Figure:
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
            axes.set_title(f"{name}\nhere: {plan.images_of(name)}", fontsize=9)
            axes.set(xlabel="mean PSNR, dB")
            axes.margins(0.15)
            axes.tick_params(axis="y", labelsize=7)
        return figure

    def summarise(self, rows: list[TableRow]) -> list[str]:
        """Summarise the results, and which images the published means are over."""
        known = [f"{name}: {PROTOCOLS[name]}" for name in distinct(row.set for row in rows) if name in PROTOCOLS]
        size = f"the centre {rows[0].crop} x {rows[0].crop}" if rows[0].crop else "whole images"
        protocols = f"Measured on {size}; the published means are over other images ({'; '.join(known)})."
        return [*super().summarise(rows), protocols]

    def sentences(self, preset: str, rows: list[TableRow]) -> list[str]:
        """Summarise the result of each set beside the published one."""
        texts = []
        for name in distinct(row.set for row in rows):
            own = only(rows, set=name)
            psnr, ssim, noisy = (mean_of(own, column) for column in ("psnr", "ssim", "noisy_db"))
            published = f", published {PUBLISHED[name]['MASH']:.2f}" if name in PUBLISHED else ""
            count = f"{len(own)} of {own[0].in_set} images"
            texts.append(f"{name} {noisy:.2f} to {psnr:.2f} dB, SSIM {ssim:.3f} ({count}{published})")
        return [f"{preset}: {'; '.join(texts)}."]


STUDY = TableStudy()
