"""The plot of `mashpix bench`: PSNR against time for each method."""

import itertools
from pathlib import Path

from mashpix.errors import UsageError
from mashpix.evaluation.bench.results import Means
from mashpix.evaluation.plots import MARKERS, encode
from mashpix.extras import need

FORMATS = (".png", ".svg")


def check_plot(path: Path) -> None:
    """Refuse a plot that cannot be drawn, before any work is done."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{str(path)!r}: no format of a plot ({path.suffix!r}; {' or '.join(FORMATS)} needed)")
    need("matplotlib", what="`plot`", extra="bench")


def draw_plot(means: list[Means], *, suffix: str) -> bytes:
    """Draw mean PSNR against median seconds on a logarithmic axis, with each method labelled at its point.

    Parameters
    ----------
    means : list of Means
        The first is that of the noisy images, drawn as a dashed line.
    suffix : str
        One of `FORMATS`.
    """
    from matplotlib.figure import Figure

    noisy, *methods = means
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="median seconds per image", ylabel="mean PSNR, dB")
    axes.margins(0.2)
    axes.axhline(noisy.psnr, color="0.4", linestyle="--")
    right = ("axes fraction", "data")
    axes.annotate(noisy.method, (1, noisy.psnr), (-4, 4), xycoords=right, textcoords="offset points", ha="right")
    for mean, marker in zip(methods, itertools.cycle(MARKERS), strict=False):
        place = (mean.seconds, mean.psnr)
        axes.plot(*place, marker, color="black", markerfacecolor="0.7", markersize=8)
        axes.annotate(mean.method, place, (7, 5), textcoords="offset points")
    return encode(figure, suffix=suffix)
