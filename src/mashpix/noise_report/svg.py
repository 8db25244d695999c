"""Small figures for a noise report as inline SVG and PNG: no library, no external resources."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Any

from numpy.typing import NDArray

from mashpix.trust.drawing import encode_png, find_limits, to_8_bit

WIDTH, HEIGHT, MARGIN = 340, 240, 56
"""Size of a plot and of the margin for its labels, SVG units."""
COLOURS = ("#c0392b", "#1e8449", "#2471a3", "#7d3c98")
"""Colours of the channels, in order."""
MAX_SIDE = 480
"""Longest side in pixels of an image in a page."""
NEGLIGIBLE = 0.05
"""The y axis starts at 0 if no value is below it by more than this fraction of the largest."""


Line = Sequence[tuple[float, float]]


def plot_lines(lines: Sequence[Line], *, x_label: str, y_label: str) -> str:
    """Plot lines with points, the y axis from 0 or below."""
    points = [point for line in lines for point in line]
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    bottom, top = min(y for _, y in points), max(y for _, y in points) or 1.0
    bottom = bottom if bottom < -NEGLIGIBLE * top else 0.0
    across = (WIDTH - 1.5 * MARGIN) / ((high - low) or 1.0)
    up = (HEIGHT - 1.5 * MARGIN) / (top - bottom)
    axis = HEIGHT - MARGIN
    parts = [f'<path d="M{MARGIN} {MARGIN / 2}V{axis}H{WIDTH - MARGIN / 2}" fill="none" stroke="#888"/>']
    if bottom < 0:
        parts.append(f'<path d="M{MARGIN} {axis + bottom * up:.1f}H{WIDTH - MARGIN / 2}" stroke="#ccc"/>')
    for index, line in enumerate(lines):
        places = [(MARGIN + (x - low) * across, axis - (y - bottom) * up) for x, y in line]
        parts += _line(places, COLOURS[index % len(COLOURS)] if len(lines) > 1 else "currentColor")
    parts += [
        _label(MARGIN, axis + 16, f"{low:.4g}", "start"),
        _label(WIDTH - MARGIN / 2, axis + 16, f"{high:.4g}", "end"),
        _label(MARGIN - 4, MARGIN / 2 + 4, f"{top:.4g}", "end"),
        _label(MARGIN - 4, axis + 4, f"{bottom:.4g}", "end"),
        _label(WIDTH / 2, HEIGHT - 10, x_label, "middle"),
        f'<g transform="translate(14 {HEIGHT / 2}) rotate(-90)">{_label(0, 0, y_label, "middle")}</g>',
    ]
    return _svg(WIDTH, HEIGHT, parts, f"{y_label} against {x_label}")


def _line(places: Line, colour: str) -> list[str]:
    """Draw a line and its points, SVG units."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    circles = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}"/>', *circles]


def plot_map(table: Sequence[Sequence[float]], *, cell: int = 16) -> str:
    """Draw a table of correlations as squares: red above 0, blue below."""
    parts = []
    for row, values in enumerate(table):
        for column, value in enumerate(values):
            faded = int(255 * (1 - min(abs(value), 1.0)))
            colour = f"rgb(255,{faded},{faded})" if value >= 0 else f"rgb({faded},{faded},255)"
            place = f'x="{column * cell}" y="{row * cell}" width="{cell}" height="{cell}"'
            parts.append(f'<rect {place} fill="{colour}" stroke="#eee"><title>{value:.3f}</title></rect>')
    return _svg(cell * len(table[0]), cell * len(table), parts, "autocorrelation of the noise")


def image(pixels: NDArray[Any], *, limits: tuple[float, float] | None = None, enlarge: int = 1) -> str:
    """Embed an image, grey (H, W) or RGB (H, W, 3), in an <img>; large images are reduced to every n-th pixel."""
    from PIL import Image

    step = max(-(-max(pixels.shape[:2]) // MAX_SIDE), 1)
    shown = to_8_bit(pixels[::step, ::step], limits or find_limits(pixels))
    png = encode_png(Image.fromarray(shown.repeat(enlarge, axis=0).repeat(enlarge, axis=1)))
    return f'<img alt="" src="data:image/png;base64,{b64encode(png).decode()}">'


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(text)}</text>'


def _svg(width: int, height: int, parts: list[str], title: str) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    name = escape(title, quote=True)
    return f'<svg {size} role="img" aria-label="{name}" font-size="11">{"".join(parts)}</svg>'
