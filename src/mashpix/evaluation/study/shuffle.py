"""What local pixel shuffling changes at beta 1: Fig. 3, 4 and 6 and Table 4 of MASH (CVPR 2024, arXiv 2404.09389)."""

from dataclasses import dataclass
from math import nan

from mashpix.arrays.normalization import Array, to_array
from mashpix.evaluation.plots import Axes, Figure, line_style, new_figure, show_pixels
from mashpix.evaluation.study.plan import Size, Study, StudyPlan, open_picture
from mashpix.evaluation.study.rows import Row, distinct, listing, mean_of, only
from mashpix.method.fitting import fit, new_network
from mashpix.method.predicting import predict
from mashpix.method.shuffling import flat_regions, shuffle_tiles
from mashpix.settings import PAPER, Settings
from mashpix.steps import drain

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


def by_ratio(rows: list[ShuffleRow]) -> tuple[list[float], list[float], list[float]]:
    """Return the ratios, and the mean PSNR at each without and with shuffling."""
    ratios = distinct(row.masking_ratio for row in rows)
    plain, shuffled = (
        [mean_of(rows, "psnr", masking_ratio=ratio, block_size=size) for ratio in ratios]
        for size in (0, PAPER.block_size)
    )
    return ratios, plain, shuffled


def by_size(rows: list[ShuffleRow]) -> list[float]:
    """Return the mean PSNR for each size of the tiles."""
    return [mean_of(rows, "psnr", masking_ratio=PAPER.high_ratio, block_size=size) for size in BLOCK_SIZES]


def draw_curves(left: Axes, right: Axes, rows: list[ShuffleRow]) -> None:
    """Draw PSNR against the ratio, with and without shuffling, and against the size of the tiles."""
    ratios, plain, shuffled = by_ratio(rows)
    left.plot(ratios, plain, label="no shuffling", **line_style(0))
    left.plot(ratios, shuffled, label="shuffled, 4 x 4", **line_style(1))
    left.set(xlabel="masking ratio, fraction hidden", ylabel="PSNR, dB")
    left.legend(fontsize=7)
    right.plot(BLOCK_SIZES, by_size(rows), **line_style(0))
    right.set(xlabel="side of the tiles, pixels", ylabel="PSNR, dB")
    right.set_title(f"ratio {PAPER.high_ratio:g}", fontsize=9)


def regions(plan: StudyPlan, preset: str) -> dict[str, Array]:
    """Return the first image, noisy and clean, its flat regions (Eq. 7), and the shuffled target (Eq. 5)."""
    settings, ratio = plan.presets[preset], PAPER.high_ratio
    pair = plan.load(next(iter(plan.sets.values()))[0])
    picture, normalized, generator = open_picture(plan, pair, settings)
    network = new_network(picture, settings=settings, generator=generator)
    fitting = fit(
        network,
        picture,
        ratio,
        shuffle=False,
        steps=settings.steps,
        stage="fit",
        settings=settings,
        generator=generator,
    )
    for step in fitting:
        if step.index >= settings.shuffle_start:
            break
    intermediate = drain(predict(network, picture, ratio, settings=settings, generator=generator)).mean
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

    def settings(self, plan: StudyPlan, row: ShuffleRow) -> Settings:
        """Return the settings of one fit."""
        settings = plan.presets[row.preset].replace(masking_ratio=row.masking_ratio)
        if row.block_size == 0:
            return settings.replace(shuffle="never")
        return settings.replace(shuffle="always", block_size=row.block_size)

    def draw(self, plan: StudyPlan, rows: list[ShuffleRow]) -> Figure:
        """Draw, for each preset, PSNR against ratio and tile size, the first image, its flat regions and the target."""
        figure, panels = new_figure(columns=3, rows=2 * len(plan.presets), width=2.7, height=2.6, caption=plan.caption)
        for above, below, preset in zip(panels[::2], panels[1::2], plan.presets, strict=True):
            draw_curves(above[0], above[1], only(rows, preset=preset))
            above[0].set_title(f"{preset}, beta 1", fontsize=9)
            for axes, (name, pixels) in zip((above[2], *below), regions(plan, preset).items(), strict=True):
                show_pixels(axes, pixels, title=name)
        return figure

    def sentences(self, preset: str, rows: list[ShuffleRow]) -> list[str]:
        """Summarise what shuffling gains, and which size of the tiles is best."""
        ratios, plain, shuffled = by_ratio(rows)
        gains = [after - before for before, after in zip(plain, shuffled, strict=True)]
        published = [gain > 0 for ratio, gain in zip(ratios, gains, strict=True) if ratio in GAINS]
        trend = "as published" if all(published) else "unlike the published result"
        sizes = by_size(rows)
        best = BLOCK_SIZES[sizes.index(max(sizes))]
        return [
            f"{preset}: at beta 1 and ratio {listing(ratios, 'g')} shuffling changes PSNR by "
            f"{listing(gains, '+.2f')} dB, {trend} (on SIDD a gain at 0.5 and at 0.8).",
            f"Tiles of side 2 to 6 at ratio {PAPER.high_ratio:g} give {listing(sizes, '.2f')} dB: best at {best} "
            f"(published, on SIDD: {listing(PUBLISHED, '.2f')}, best at 5).",
        ]


STUDY = ShuffleStudy()
