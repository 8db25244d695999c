"""Small figures of a noise report as inline SVG and PNG: no library, nothing from outside the page."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, MARGIN = 340, 240, 56
"""Size of a plot and of the space for its labels, SVG units."""
COLOURS = ("#c0392b", "#1e8449", "#2471a3", "#7d3c98")
"""Of the channels, in their order."""
LARGEST_PICTURE = 480
"""Longest side in pixels of a picture in a page."""
NEGLIGIBLE = 0.05
"""The y axis starts at 0 if no value is below it by more than this, against the largest."""
PERCENTILES = 0.5, 99.5
"""Values between which a picture is shown."""


def plot_lines(lines: Sequence[Sequence[tuple[float, float]]], *, x_label: str, y_label: str) -> str:
    """Lines with points, the y axis from 0 or below."""
    points = [point for line in lines for point in line]
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    bottom, top = min(y for _, y in points), max(y for _, y in points) or 1.0
    bottom = bottom if bottom < -NEGLIGIBLE * top else 0.0
    across = (WIDTH - 1.5 * MARGIN) / ((high - low) or 1.0)
    up = (HEIGHT - 1.5 * MARGIN) / (top - bottom)

    def place(x: float, y: float) -> tuple[float, float]:
        return MARGIN + (x - low) * across, HEIGHT - MARGIN - (y - bottom) * up

    axis = HEIGHT - MARGIN
    parts = [f'<path d="M{MARGIN} {MARGIN / 2}V{axis}H{WIDTH - MARGIN / 2}" fill="none" stroke="#888"/>']
    if bottom < 0:
        zero = place(low, 0.0)[1]
        parts.append(f'<path d="M{MARGIN} {zero:.1f}H{WIDTH - MARGIN / 2}" stroke="#ccc"/>')
    for index, line in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)] if len(lines) > 1 else "currentColor"
        places = [place(x, y) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    parts += [
        _label(MARGIN, axis + 16, f"{low:.4g}", "start"),
        _label(WIDTH - MARGIN / 2, axis + 16, f"{high:.4g}", "end"),
        _label(MARGIN - 4, MARGIN / 2 + 4, f"{top:.4g}", "end"),
        _label(MARGIN - 4, axis + 4, f"{bottom:.4g}", "end"),
        _label(WIDTH / 2, HEIGHT - 10, x_label, "middle"),
        f'<g transform="translate(14 {HEIGHT / 2}) rotate(-90)">{_label(0, 0, y_label, "middle")}</g>',
    ]
    return _svg(WIDTH, HEIGHT, parts, f"{y_label} against {x_label}")


def plot_map(table: Sequence[Sequence[float]], *, cell: int = 16) -> str:
    """A table of correlations as squares: red above 0, blue below."""
    parts = []
    for row, values in enumerate(table):
        for column, value in enumerate(values):
            faded = int(255 * (1 - min(abs(value), 1.0)))
            colour = f"rgb(255,{faded},{faded})" if value >= 0 else f"rgb({faded},{faded},255)"
            place = f'x="{column * cell}" y="{row * cell}" width="{cell}" height="{cell}"'
            parts.append(f'<rect {place} fill="{colour}" stroke="#eee"><title>{value:.3f}</title></rect>')
    return _svg(cell * len(table[0]), cell * len(table), parts, "autocorrelation of the noise")


def picture(pixels: NDArray[Any], *, limits: tuple[float, float] | None = None, enlarge: int = 1) -> str:
    """A picture (H, W) or (H, W, C) as an <img> with its data inside; large ones every n-th pixel."""
    from PIL import Image

    step = max(-(-max(pixels.shape[:2]) // LARGEST_PICTURE), 1)
    values = pixels[::step, ::step].astype(np.float64)
    if values.ndim == 3 and values.shape[2] != 3:
        values = values.mean(axis=2)
    low, high = limits or find_limits(pixels)
    shown = np.clip((np.nan_to_num(values, nan=low) - low) / ((high - low) or 1.0), 0, 1)
    eight_bit = np.rint(255 * shown).astype(np.uint8).repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    encoded = BytesIO()
    Image.fromarray(eight_bit).save(encoded, "PNG")
    return f'<img alt="" src="data:image/png;base64,{b64encode(encoded.getvalue()).decode()}">'


def find_limits(pixels: NDArray[Any]) -> tuple[float, float]:
    """The values that are shown black and white."""
    few = pixels[:: max(pixels.shape[0] // 1024, 1), :: max(pixels.shape[1] // 1024, 1)]
    finite = few[np.isfinite(few)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, PERCENTILES)
    return float(low), float(high)


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(text)}</text>'


def _svg(width: int, height: int, parts: list[str], title: str) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    name = escape(title, quote=True)
    return f'<svg {size} role="img" aria-label="{name}" font-size="11">{"".join(parts)}</svg>'
