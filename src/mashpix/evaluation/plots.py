"""Figures that are readable in print and in greyscale: curves differ in markers and lines, not in colour."""

from io import BytesIO
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure
else:
    Axes = Figure = object  # matplotlib belongs to the extra `bench`

MARKERS = "osD^vPX*<>"
"""One shape per method, so that no information is in the colour."""
LINES = ("-", "--", ":", "-.")
GREYS = ("0", "0.35", "0.55", "0.2")
"""The shade of each of `LINES`."""
LETTERS = 14
"""Characters of the caption per inch."""


def encode(figure: Figure, *, suffix: str) -> bytes:
    """Encode a figure as PNG or SVG; the same figure gives the same bytes."""
    from matplotlib import rc_context

    encoded = BytesIO()
    kind = suffix[1:].lower()
    with rc_context({"svg.hashsalt": "mashpix"}):
        figure.savefig(encoded, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
    return encoded.getvalue()


def new_figure(
    *, columns: int, rows: int = 1, caption: str, width: float = 3.6, height: float = 3.2
) -> tuple[Figure, NDArray[Any]]:
    """Make a figure with panels below its caption; return it with its array of axes (rows, columns)."""
    from matplotlib.figure import Figure

    across = max(width * columns, 5.0)
    figure = Figure(figsize=(across, height * rows + 0.4), layout="constrained")
    figure.suptitle(fill(caption, int(across * LETTERS)), fontsize=8)
    return figure, figure.subplots(rows, columns, squeeze=False)


def line_style(index: int) -> dict[str, Any]:
    """Return line, marker and shade of the n-th curve of a panel."""
    markers = {"marker": MARKERS[index % len(MARKERS)], "markersize": 4.5, "markerfacecolor": "white"}
    return {"linestyle": LINES[index % len(LINES)], "color": GREYS[index % len(GREYS)], "linewidth": 1.4} | markers


def show_pixels(axes: Axes, pixels: NDArray[Any], *, title: str) -> None:
    """Show an image of 8-bit values, grey or in colour, without axes."""
    levels = np.clip(pixels, 0, 255).astype(np.uint8)
    axes.imshow(levels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)
