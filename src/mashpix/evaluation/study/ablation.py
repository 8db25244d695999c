"""Measure what the choice of the ratio and shuffling gain on real pairs: Tables 2 and 3 of MASH.

Chihaoui and Favaro, CVPR 2024, arXiv 2404.09389.
"""

from collections.abc import Generator
from dataclasses import dataclass
from math import nan
from statistics import fmean
from time import perf_counter

from mashpix.arrays.costs import fit_updates
from mashpix.evaluation.plots import MARKERS, Figure, new_figure
from mashpix.evaluation.study.plan import Size, Study, StudyPlan, open_picture
from mashpix.evaluation.study.rows import Row, distinct, listing, only
from mashpix.method.masking_ratio import choose_masking
from mashpix.report import Step
from mashpix.settings import PRESETS, Settings

CHOICE = 0.0
"""The masking ratio of the row that records the choice."""
VARIANTS = ("neither", "shuffling", "chosen ratio", "both")
PUBLISHED = {"sidd": (33.12, 33.86, 34.45, 35.06), "fmdd": (32.25, 32.92, 33.56, 33.71)}
"""PSNR of Table 3, dB, in the order of `VARIANTS`."""
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
    (choice,) = only(rows, masking_ratio=CHOICE)
    chosen = choice.chosen_ratio
    psnr = {(row.masking_ratio, row.shuffled): row.psnr for row in rows}
    _, medium, high = ratios_of(choice.preset)
    pairs = ((medium, "no"), (medium, "yes"), (chosen, "no"), (chosen, "yes" if chosen == high else "no"))
    return dict(zip(VARIANTS, (psnr[pair] for pair in pairs), strict=True))


def is_best(rows: list[AblationRow]) -> bool:
    """Return whether the ratio chosen for one image is the best of the three, without shuffling."""
    (choice,) = only(rows, masking_ratio=CHOICE)
    plain = [row for row in only(rows, shuffled="no") if row is not choice]
    return max(plain, key=lambda row: row.psnr).masking_ratio == choice.chosen_ratio


def by_image(rows: list[AblationRow]) -> list[list[AblationRow]]:
    """Group rows by image."""
    return [only(rows, set=set_, name=name) for set_, name in distinct((row.set, row.name) for row in rows)]


def means(rows: list[AblationRow]) -> list[float]:
    """Return the mean PSNR of each variant."""
    found = [variants(group) for group in by_image(rows)]
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
        for preset in plan.presets:
            low, medium, high = ratios_of(preset)
            plain = plan.rows(AblationRow, masking_ratio=(CHOICE, low, medium, high), shuffled=("no",))
            shuffled = plan.rows(AblationRow, masking_ratio=(medium, high), shuffled=("yes",))
            rows += only(plain + shuffled, preset=preset)
        return rows

    def settings(self, plan: StudyPlan, row: AblationRow) -> Settings:
        """Return the settings of one fit, or of the choice."""
        settings = plan.presets[row.preset]
        if row.masking_ratio == CHOICE:
            return settings
        return settings.replace(masking_ratio=row.masking_ratio, shuffle="always" if row.shuffled == "yes" else "never")

    def measure(self, plan: StudyPlan, row: AblationRow) -> Generator[Step, None, list[AblationRow]]:
        """Make the choice (Eq. 8 to 10), or one fit."""
        if row.masking_ratio != CHOICE:
            return (yield from super().measure(plan, row))
        settings, pair = self.settings(plan, row), self.load(plan, row)
        started = perf_counter()
        picture, _, generator = open_picture(plan, pair, settings)
        masking = yield from choose_masking(picture, settings=settings, generator=generator)
        yield Step("choice", 1, 1)
        found = {"gap": masking.gap, "correlation": masking.correlation, "chosen_ratio": masking.masking_ratio}
        known = {name: round(value, 4) for name, value in found.items() if value is not None}
        return [row.filled(**known, seconds=round(perf_counter() - started, 2))]

    def updates(self, plan: StudyPlan, row: AblationRow) -> int:
        """Return the number of updates of the probes, or of one fit."""
        settings = self.settings(plan, row)
        return fit_updates(settings) - (settings.steps * settings.fits if row.masking_ratio == CHOICE else 0)

    def draw(self, plan: StudyPlan, rows: list[AblationRow]) -> Figure:
        """Draw the mean PSNR of each variant, one panel per set; hollow markers: published, for the whole set."""
        figure, panels = new_figure(columns=len(plan.sets), width=3.0, caption=plan.caption)
        labels = {}
        for axes, name in zip(panels[0], plan.sets, strict=True):
            for index, preset in enumerate(plan.presets):
                values = means(only(rows, preset=preset, set=name))
                (labels[preset],) = axes.plot(VARIANTS, values, MARKERS[index], color="black", markersize=7)
            if name in PUBLISHED:
                hollow = {"color": "0.4", "markerfacecolor": "none"}
                (labels["published, whole set"],) = axes.plot(VARIANTS, PUBLISHED[name], "o", **hollow)
            axes.set(title=f"{name}, {plan.images_of(name)}", ylabel="PSNR, dB")
            axes.tick_params(axis="x", labelrotation=25)
            axes.margins(0.15)
        figure.legend(labels.values(), labels, loc="outside lower center", ncols=len(labels), fontsize=7)
        return figure

    def sentences(self, preset: str, rows: list[AblationRow]) -> list[str]:
        """Summarise what each part gains, and how often the chosen ratio is the best."""
        texts = []
        for name in distinct(row.set for row in rows):
            values = means(only(rows, set=name))
            published = f" (published {listing(PUBLISHED[name], '.2f')})" if name in PUBLISHED else ""
            best = "both is the best, as published" if max(values) == values[-1] else "both is not the best"
            texts.append(f"{name} {listing(values, '.2f')} dB{published}, {best}")
        images = by_image(rows)
        hits = sum(map(is_best, images))
        return [
            f"{preset}: with neither, shuffling, the chosen ratio, and both: {'; '.join(texts)}.",
            f"The chosen ratio is the best of three on {hits} of {len(images)} images (published: {HITS}).",
        ]


STUDY = AblationStudy()
