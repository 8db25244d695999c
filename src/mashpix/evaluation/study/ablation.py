"""Measure what the choice of the ratio and shuffling gain on real pairs: Tables 2 and 3 of MASH.

Chihaoui and Favaro, CVPR 2024, arXiv 2404.09389.
"""

from collections.abc import Generator
from dataclasses import dataclass
from math import nan
from statistics import fmean
from time import perf_counter
from typing import Any

import torch

from mashpix.arrays.costs import fit_updates
from mashpix.evaluation.plots import MARKERS, new_figure
from mashpix.evaluation.study.plan import (
    Row,
    Size,
    Study,
    StudyPlan,
    distinct,
    listing,
    open_picture,
    run_denoising,
)
from mashpix.method.masking_ratio import choose_masking
from mashpix.report import Step
from mashpix.settings import PRESETS

CHOICE = 0.0
"""The masking ratio of the row that records the choice."""
VARIANTS = ("neither", "shuffling", "chosen ratio", "both")
PUBLISHED = {"sidd": (33.12, 33.86, 34.45, 35.06), "fmdd": (32.25, 32.92, 33.56, 33.71)}
"""PSNR of Table 3, dB, in the order of `VARIANTS`."""
WHOLE = "published, whole set"
HITS = "88.7 % of SIDD, 92.4 % of FMDD"
"""How often the chosen ratio is the best of three, Table 2."""


@dataclass(frozen=True, kw_only=True)
class AblationRow(Row):
    """PSNR (dB) of one fit at a fixed ratio; or, if masking_ratio is 0, the ratio chosen, without a PSNR."""

    masking_ratio: float
    shuffled: str
    chosen_ratio: float = nan
    gap: float = nan
    correlation: float = nan
    psnr: float = nan
    ssim: float = nan
    seconds: float = nan


def ratios_of(preset: str) -> tuple[float, float, float]:
    """Return the three ratios that a preset chooses from."""
    settings = PRESETS[preset]
    return settings.low_ratio, settings.medium_ratio, settings.high_ratio


def variants(rows: list[AblationRow]) -> dict[str, float]:
    """Return the PSNR of one image for each of `VARIANTS`; without a choice, the ratio is the medium one."""
    chosen = next(row.chosen_ratio for row in rows if row.masking_ratio == CHOICE)
    psnr = {(row.masking_ratio, row.shuffled): row.psnr for row in rows}
    _, medium, high = ratios_of(rows[0].preset)
    pairs = ((medium, "no"), (medium, "yes"), (chosen, "no"), (chosen, "yes" if chosen == high else "no"))
    return dict(zip(VARIANTS, (psnr[pair] for pair in pairs), strict=True))


def is_best(rows: list[AblationRow]) -> bool:
    """Return whether the ratio chosen for one image is the best of the three, without shuffling."""
    chosen = next(row.chosen_ratio for row in rows if row.masking_ratio == CHOICE)
    plain = [row for row in rows if row.masking_ratio != CHOICE and row.shuffled == "no"]
    return bool(max(plain, key=lambda row: row.psnr).masking_ratio == chosen)


def by_picture(rows: list[AblationRow], **where: object) -> list[list[AblationRow]]:
    """Group rows by image."""
    groups: dict[tuple[str, str], list[AblationRow]] = {}
    for row in rows:
        if all(getattr(row, name) == value for name, value in where.items()):
            groups.setdefault((row.set, row.name), []).append(row)
    return list(groups.values())


def means(rows: list[AblationRow], **where: object) -> list[float]:
    """Return the mean PSNR of each variant."""
    found = [variants(group) for group in by_picture(rows, **where)]
    return [fmean(values[name] for values in found) for name in VARIANTS]


class AblationStudy(Study[AblationRow]):
    """Measures the gain from choosing the ratio and from shuffling."""

    row = AblationRow
    quick = Size(crop=64, limit=1, steps=250)
    full = Size(crop=0)
    needs_pairs = True

    def jobs(self, plan: StudyPlan, *, quick: bool) -> list[AblationRow]:
        """List the choice, all three ratios without shuffling, and the two higher ones with it."""
        rows: list[AblationRow] = []
        for preset, (low, medium, high) in ((name, ratios_of(name)) for name in plan.presets):
            plain = plan.rows(AblationRow, masking_ratio=(CHOICE, low, medium, high), shuffled=("no",))
            shuffled = plan.rows(AblationRow, masking_ratio=(medium, high), shuffled=("yes",))
            rows += [row for row in plain + shuffled if row.preset == preset]
        return rows

    def measure(self, plan: StudyPlan, row: AblationRow) -> Generator[Step, None, list[AblationRow]]:
        """Make the choice (Eq. 8 to 10), or one fit."""
        settings, pair = plan.presets[row.preset], plan.load(plan.source(row))
        if row.masking_ratio != CHOICE:
            shuffle = "always" if row.shuffled == "yes" else "never"
            fixed = settings.replace(masking_ratio=row.masking_ratio, shuffle=shuffle)
            return [row.filled(**(yield from run_denoising(plan, pair, fixed)))]
        started = perf_counter()
        picture, _ = open_picture(plan, pair, settings)
        generator = torch.Generator(picture.pixels.device).manual_seed(plan.seed)
        masking = yield from choose_masking(picture, settings=settings, generator=generator)
        yield Step("choice", 1, 1)
        found = {"gap": masking.gap, "correlation": masking.correlation, "chosen_ratio": masking.masking_ratio}
        found = {name: nan if value is None else round(value, 4) for name, value in found.items()}
        return [row.filled(**found, seconds=round(perf_counter() - started, 2))]

    def updates(self, plan: StudyPlan, row: AblationRow) -> int:
        """Return the number of updates of the probes, or of one fit."""
        settings = plan.presets[row.preset]
        if row.masking_ratio == CHOICE:
            return fit_updates(settings) - settings.steps * settings.fits
        return fit_updates(settings.replace(masking_ratio=row.masking_ratio))

    def draw(self, plan: StudyPlan, rows: list[AblationRow]) -> Any:
        """Draw the mean PSNR of each variant, one panel per set; hollow markers: published, for the whole set."""
        figure, panels = new_figure(columns=len(plan.sets), width=3.0, caption=plan.caption)
        for axes, name in zip(panels[0], plan.sets, strict=True):
            for index, preset in enumerate(plan.presets):
                values = means(rows, preset=preset, set=name)
                axes.plot(VARIANTS, values, MARKERS[index], color="black", markersize=7, label=preset)
            if name in PUBLISHED:
                axes.plot(
                    VARIANTS, PUBLISHED[name], "o", color="0.4", markerfacecolor="none", label="published, whole set"
                )
            axes.set(title=f"{name}, {len(plan.sets[name])} of {plan.in_set[name]} pictures", ylabel="PSNR, dB")
            axes.tick_params(axis="x", labelrotation=25)
            axes.margins(0.15)
        labels = {
            label: line for axes in panels[0] for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(labels.values(), labels, loc="outside lower center", ncols=len(labels), fontsize=7)
        return figure

    def summarise(self, rows: list[AblationRow]) -> list[str]:
        """Summarise what each part gains, and how often the chosen ratio is the best."""
        sentences = []
        for preset in distinct(row.preset for row in rows):
            found = {name: means(rows, preset=preset, set=name) for name in distinct(row.set for row in rows)}
            texts = []
            for name, values in found.items():
                published = f" (published {listing(PUBLISHED[name], '.2f')})" if name in PUBLISHED else ""
                best = "both is the best, as published" if max(values) == values[-1] else "both is not the best"
                texts.append(f"{name} {listing(values, '.2f')} dB{published}, {best}")
            pictures = by_picture(rows, preset=preset)
            hits = sum(map(is_best, pictures))
            sentences += [
                f"{preset}: with neither, shuffling, the chosen ratio, and both: {'; '.join(texts)}.",
                f"The chosen ratio is the best of three on {hits} of {len(pictures)} pictures (published: {HITS}).",
            ]
        return sentences


STUDY = AblationStudy()
