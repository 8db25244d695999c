"""Show correlated and value-dependent noise, and compare their correlation with Eq. 2: Fig. 1 of MASH.

Chihaoui and Favaro, CVPR 2024, arXiv 2404.09389.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from math import hypot, nan

import numpy as np

from mashpix.arrays.normalization import Array
from mashpix.evaluation.bench.images import Pair
from mashpix.evaluation.plots import GREYS, LINES, MARKERS, Axes, Figure, new_figure, show_pixels
from mashpix.evaluation.study.plan import NOISE, Size, Study, StudyPlan
from mashpix.evaluation.study.rows import Row, mean_of, only
from mashpix.evaluation.synthetic_noise import SyntheticNoise
from mashpix.report import Step
from mashpix.simulation import autocorrelation, correlation_asked, correlation_reached

MODELS = {f"beta {beta:g}": noise for beta, noise in NOISE.items()} | {
    "value-dependent": SyntheticNoise(model="poisson-gaussian", gain=4.0, sigma=10.0)  # 25 grey levels at mid-grey
}
LAGS = ((1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 0), (4, 0))
RADIUS = 4
"""Largest lag, pixels."""
GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""


@dataclass(frozen=True, kw_only=True)
class NoiseRow(Row):
    """Correlation of the noise of one image at a lag (rows, columns); standard deviations in grey levels.

    asked, reached, measured : by Eq. 2, of the valid covariance nearest to it, in the image
    std, dark_std, bright_std : of the noise in all pixels, and in the darkest and brightest quarter
    """

    colours: str
    noise: str
    lag: str = ""
    asked: float = nan
    reached: float = nan
    measured: float = nan
    std: float = nan
    dark_std: float = nan
    bright_std: float = nan


def noisy_pair(plan: StudyPlan, row: NoiseRow) -> Pair:
    """Add noise to an image; a grey image gets a draw of its own."""
    pair = plan.load(plan.source(row), MODELS[row.noise])
    if row.colours == "colour" or pair.clean.ndim == 2:
        return pair
    clean = np.asarray(pair.clean[..., :3] @ GREY)
    noisy = MODELS[row.noise].add(clean, rng=np.random.default_rng(plan.seed))
    return Pair(noisy, clean, pair.data_range, pair.limits)


def _both_ways(table: Array, lag: tuple[int, int]) -> float:
    """Average a table of correlations over each lag and its mirror images."""
    rows, columns = lag
    places = {(rows, columns), (columns, rows), (rows, -columns), (columns, -rows)}
    return round(float(np.mean([table[RADIUS + row, RADIUS + column] for row, column in places])), 4)


def draw_correlation(axes: Axes, rows: list[NoiseRow]) -> None:
    """Draw Eq. 2 as lines, the nearest valid covariance as crosses and the measured values as open markers."""
    distance = np.linspace(0.01, RADIUS, 200)
    for index, (name, model) in enumerate(MODELS.items()):
        own, marker, grey = only(rows, noise=name), MARKERS[index], GREYS[index]
        places = [hypot(*map(int, row.lag.split(","))) for row in own]
        measured = [row.measured for row in own]
        label = f"{name}, measured"
        axes.plot(places, measured, marker, color=grey, markersize=6, markerfacecolor="none", label=label)
        if name.startswith("beta"):
            asked = model.beta * np.clip((model.k - distance) / model.k, 0, None)
            axes.plot(distance, asked, color=grey, linestyle=LINES[index], label=f"{name}, Eq. 2")
            axes.plot(places, [row.reached for row in own], "x", color=grey, markersize=4)
    axes.plot([], [], "x", color="0.2", markersize=4, label="nearest valid covariance")
    axes.legend(fontsize=7, ncols=2)


class NoiseStudy(Study[NoiseRow]):
    """Measures synthetic noise."""

    row = NoiseRow
    quick = Size(crop=128, limit=1)
    full = Size(crop=256)
    fits_networks = False

    def jobs(self, plan: StudyPlan, *, quick: bool) -> list[NoiseRow]:
        """List each noise model on each image, grey and in colour."""
        return plan.rows(NoiseRow, colours=("grey", "colour"), noise=MODELS)

    def measure(self, plan: StudyPlan, row: NoiseRow) -> Generator[Step, None, list[NoiseRow]]:
        """Measure the correlation at each lag, mean over both directions and the channels."""
        pair, model = noisy_pair(plan, row), MODELS[row.noise]
        noise = pair.noisy - pair.clean
        planes = np.atleast_3d(noise).transpose(2, 0, 1)
        tables = {"measured": np.mean([autocorrelation(plane, radius=RADIUS) for plane in planes], axis=0)}
        if model.model == "correlated":
            tables["asked"] = correlation_asked(beta=model.beta, radius=RADIUS)
            tables["reached"] = correlation_reached(beta=model.beta, radius=RADIUS)
        dark, bright = np.quantile(pair.clean, (0.25, 0.75))
        ends = {"dark_std": noise[pair.clean <= dark], "bright_std": noise[pair.clean >= bright]}
        stds = {name: round(float(values.std()), 3) for name, values in ({"std": noise} | ends).items()}
        yield Step("noise", 1, 1)
        return [
            row.filled(lag=f"{lag[0]},{lag[1]}", **stds, **{name: _both_ways(tables[name], lag) for name in tables})
            for lag in LAGS
        ]

    def updates(self, plan: StudyPlan, row: NoiseRow) -> int:
        """Return 0: nothing is fitted."""
        return 0

    def draw(self, plan: StudyPlan, rows: list[NoiseRow]) -> Figure:
        """Draw the first image, clean and with each noise, grey above colour; below, correlation against distance."""
        from matplotlib.gridspec import GridSpec

        figure, panels = new_figure(columns=1, width=8.5, height=6.4, caption=plan.caption)
        panels[0, 0].remove()
        grid = GridSpec(3, len(MODELS) + 1, figure=figure, height_ratios=(1, 1, 1.7))
        first = rows[0]
        for line, colours in enumerate(("grey", "colour")):
            for column, name in enumerate(("clean", *MODELS)):
                noise = name if name in MODELS else next(iter(MODELS))
                pair = noisy_pair(plan, replace(first, colours=colours, noise=noise))
                axes = figure.add_subplot(grid[line, column])
                show_pixels(axes, np.rint(pair.clean if name == "clean" else pair.noisy), title=name)
        axes = figure.add_subplot(
            grid[2, :], xlabel="distance of two pixels, pixels", ylabel="correlation of their noise, no unit"
        )
        draw_correlation(axes, rows)
        return figure

    def sentences(self, preset: str, rows: list[NoiseRow]) -> list[str]:
        """Summarise how near the noise comes to Eq. 2, and how value-dependent noise differs."""
        correlated = [row for row in rows if row.noise.startswith("beta")]
        off = max(abs(row.measured - row.reached) for row in correlated)
        asked = max(abs(row.reached - row.asked) for row in correlated)
        dark, bright = (
            [mean_of(rows, end, noise=name) for name in ("beta 0", "value-dependent")]
            for end in ("dark_std", "bright_std")
        )
        return [
            f"The measured correlation differs by at most {off:.3f} from that of the nearest valid covariance, which "
            f"differs by at most {asked:.3f} from Eq. 2.",
            "From the darkest to the brightest quarter of the pixels the standard deviation of value-dependent noise "
            f"goes from {dark[1]:.1f} to {bright[1]:.1f} grey levels, "
            f"that of beta 0 from {dark[0]:.1f} to {bright[0]:.1f}.",
        ]


STUDY = NoiseStudy()
