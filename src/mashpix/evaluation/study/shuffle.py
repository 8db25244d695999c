"""What local pixel shuffling changes at beta 1: Fig. 3, 4 and 6 and Table 4 of MASH (CVPR 2024, arXiv 2404.09389)."""

from collections.abc import Generator
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mashpix.arrays.costs import fit_updates
from mashpix.arrays.normalization import to_array
from mashpix.evaluation.plots import line_style, new_figure
from mashpix.evaluation.study.plan import (
    SIGMA,
    Row,
    Size,
    Study,
    StudyPlan,
    distinct,
    listing,
    mean_of,
    open_picture,
    run_denoising,
)
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.method.fitting import fit, new_network
from mashpix.method.predicting import predict
from mashpix.method.shuffling import flat_regions, shuffle_tiles
from mashpix.report import Step
from mashpix.settings import PAPER, Settings
from mashpix.steps import drain

NOISE = SyntheticNoise(beta=1.0, sigma=SIGMA)
QUICK_RATIOS = (0.2, 0.5, 0.8)
RATIOS = tuple(tenths / 10 for tenths in range(1, 10))
BLOCK_SIZES = (2, 3, 4, 5, 6)
"""Sides of the tiles of Table 4, pixels."""
GAINS = (0.5, 0.8)
"""Ratios at which shuffling gains according to Table 3."""
PUBLISHED = (34.65, 34.85, 35.06, 35.15, 35.09)
"""PSNR of Table 4, dB, on SIDD."""


@dataclass(frozen=True, kw_only=True)
class ShuffleRow(Row):
    """PSNR (dB) of one fit; block_size is the side of the shuffled tiles in pixels, 0 without shuffling."""

    masking_ratio: float
    block_size: int
    psnr: float = nan
    ssim: float = nan
    seconds: float = nan


def settings_of(plan: StudyPlan, row: ShuffleRow) -> Settings:
    """Return the settings of one fit."""
    settings = plan.presets[row.preset].replace(masking_ratio=row.masking_ratio)
    if row.block_size == 0:
        return settings.replace(shuffle="never")
    return settings.replace(shuffle="always", block_size=row.block_size)


def draw_curves(left: Any, right: Any, rows: list[ShuffleRow]) -> None:
    """Draw PSNR against the ratio, with and without shuffling, and against the size of the tiles."""
    ratios = distinct(row.masking_ratio for row in rows)
    for index, (size, label) in enumerate(((0, "no shuffling"), (PAPER.block_size, "shuffled, 4 x 4"))):
        values = [mean_of(rows, "psnr", masking_ratio=ratio, block_size=size) for ratio in ratios]
        left.plot(ratios, values, label=label, **line_style(index))
    left.set(xlabel="masking ratio, fraction hidden", ylabel="PSNR, dB")
    left.legend(fontsize=7)
    right.plot(BLOCK_SIZES, by_size(rows), **line_style(0))
    right.set(xlabel="side of the tiles, pixels", ylabel="PSNR, dB")
    right.set_title(f"ratio {PAPER.high_ratio:g}", fontsize=9)


def by_size(rows: list[ShuffleRow]) -> list[float]:
    """Return the mean PSNR for each size of the tiles."""
    return [mean_of(rows, "psnr", masking_ratio=PAPER.high_ratio, block_size=size) for size in BLOCK_SIZES]


def regions(plan: StudyPlan, preset: str) -> dict[str, NDArray[Any]]:
    """Return the first image, noisy and clean, its flat regions (Eq. 7), and the shuffled target (Eq. 5)."""
    settings = plan.presets[preset]
    ratio = PAPER.high_ratio
    pair = plan.load(next(iter(plan.sets.values()))[0], NOISE)
    picture, normalized = open_picture(plan, pair, settings)
    generator = torch.Generator(picture.pixels.device).manual_seed(plan.seed)
    network = new_network(picture, settings=settings, generator=generator)
    options: dict[str, Any] = {"settings": settings, "generator": generator}
    for step in fit(network, picture, ratio, shuffle=False, steps=settings.steps, stage="fit", **options):
        if step.index >= settings.shuffle_start:
            break
    intermediate = drain(predict(network, picture, ratio, **options)).mean
    flat = flat_regions(intermediate, picture.valid, flat_threshold=settings.flat_threshold)
    target = shuffle_tiles(picture.pixels, flat, block_size=settings.block_size, generator=generator)
    height, width = pair.noisy.shape[:2]
    return {
        "noisy": pair.noisy,
        "clean": pair.clean,
        f"flat regions (white) after {settings.shuffle_start} updates": 255 * flat[0, 0, :height, :width].cpu().numpy(),
        "shuffled target": to_array(target, normalized),
    }


class ShuffleStudy(Study[ShuffleRow]):
    """Fits networks with and without shuffling."""

    row = ShuffleRow
    quick = Size(crop=64, limit=1)
    full = Size(crop=256)

    def jobs(self, plan: StudyPlan, *, quick: bool) -> list[ShuffleRow]:
        """List each ratio with and without shuffling, and each size of the tiles at the paper's high ratio."""
        ratios = QUICK_RATIOS if quick else RATIOS
        curves = plan.rows(ShuffleRow, masking_ratio=ratios, block_size=(0, PAPER.block_size))
        sizes = plan.rows(ShuffleRow, masking_ratio=(PAPER.high_ratio,), block_size=BLOCK_SIZES)
        return list({row.key: row for row in curves + sizes}.values())

    def measure(self, plan: StudyPlan, row: ShuffleRow) -> Generator[Step, None, list[ShuffleRow]]:
        """Measure one fit."""
        found = yield from run_denoising(plan, plan.load(plan.source(row), NOISE), settings_of(plan, row))
        return [row.filled(**found)]

    def updates(self, plan: StudyPlan, row: ShuffleRow) -> int:
        """Return the number of updates of one fit."""
        return fit_updates(settings_of(plan, row))

    def draw(self, plan: StudyPlan, rows: list[ShuffleRow]) -> Any:
        """Draw, for each preset, PSNR against ratio and tile size, the first image, its flat regions and the target."""
        figure, panels = new_figure(columns=3, rows=2 * len(plan.presets), width=2.7, height=2.6, caption=plan.caption)
        for index, preset in enumerate(plan.presets):
            own = [row for row in rows if row.preset == preset]
            above, below = panels[2 * index], panels[2 * index + 1]
            draw_curves(above[0], above[1], own)
            above[0].set_title(f"{preset}, beta 1", fontsize=9)
            for axes, (name, picture) in zip((above[2], *below), regions(plan, preset).items(), strict=True):
                pixels = np.clip(picture, 0, 255).astype(np.uint8)
                axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                axes.set_title(name, fontsize=9)
                axes.set_axis_off()
        return figure

    def summarise(self, rows: list[ShuffleRow]) -> list[str]:
        """Summarise what shuffling gains, and which size of the tiles is best."""
        sentences = []
        for preset in distinct(row.preset for row in rows):
            own = [row for row in rows if row.preset == preset]
            ratios = distinct(row.masking_ratio for row in own)
            plain, shuffled = (
                [mean_of(own, "psnr", masking_ratio=ratio, block_size=size) for ratio in ratios]
                for size in (0, PAPER.block_size)
            )
            gains = [after - before for before, after in zip(plain, shuffled, strict=True)]
            published = [gain > 0 for ratio, gain in zip(ratios, gains, strict=True) if ratio in GAINS]
            trend = "as published" if all(published) else "unlike the published result"
            sizes = by_size(own)
            best = BLOCK_SIZES[sizes.index(max(sizes))]
            sentences += [
                f"{preset}: at beta 1 and ratio {listing(ratios, 'g')} shuffling changes PSNR by "
                f"{listing(gains, '+.2f')} dB, {trend} (on SIDD a gain at 0.5 and at 0.8).",
                f"Tiles of side 2 to 6 at ratio {PAPER.high_ratio:g} give {listing(sizes, '.2f')} dB: best at {best} "
                f"(published, on SIDD: {listing(PUBLISHED, '.2f')}, best at 5).",
            ]
        return sentences


STUDY = ShuffleStudy()
