"""A noise report as one self-contained HTML page."""

from html import escape
from typing import Any

from numpy.typing import NDArray

from mashpix.missing import with_nan
from mashpix.noise_report.agreement import describe_removed
from mashpix.noise_report.report import NoiseReport
from mashpix.noise_report.svg import image, plot_lines, plot_map
from mashpix.notebook import as_table
from mashpix.trust.drawing import as_shown, find_limits, find_residual_limit
from mashpix.trust.verdict import Verdict

Array = NDArray[Any]

CROP = 96
"""Side in pixels of the centre crop that is shown enlarged."""
ENLARGED = 4
"""Magnification of the centre crop."""
NAMES = ("red", "green", "blue", "violet")
"""Names of the colours of lines."""
STYLE = """:root{color-scheme:light dark}
body{font:15px/1.45 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;max-width:100%}th,td{text-align:left;padding:.15em 1em .15em 0;vertical-align:top;
border-bottom:1px solid #8884;overflow-wrap:anywhere}th{font-weight:600;min-width:11em}
figure{display:inline-table;margin:1em 1.5em 1em 0;vertical-align:top;max-width:100%}
figcaption{display:table-caption;caption-side:bottom;opacity:.75;font-size:.9em}img{image-rendering:pixelated;max-width:100%}svg{max-width:100%}
h1{font-size:1.4em;overflow-wrap:anywhere}h2{font-size:1.1em}"""


def make_page(
    report: NoiseReport,
    pixels: Array,
    *,
    name: str,
    is_rgb: bool = False,
    denoised: Array | None = None,
    verdict: Verdict | None = None,
) -> str:
    """Make the page of one image.

    Parameters
    ----------
    report : NoiseReport
        The report.
    pixels : ndarray
        (H, W) or (H, W, C), the noisy image.
    name : str
        Name of the image; any text.
    is_rgb : bool
        Whether to draw its channels as red, green and blue; otherwise their mean is drawn.
    denoised : ndarray or None
        Shape of `pixels`.
    verdict : Verdict or None
        The verdict on `denoised`.
    """
    title = escape(f"Noise of {name}")
    parts = [
        f"<h1>{title}</h1>",
        as_table(report.rows()),
        *_noise_section(report),
        _figure(image(as_shown(pixels, is_rgb=is_rgb)), "The image, between its 0.5 and 99.5 percentiles."),
    ]
    if denoised is not None:
        removed = describe_removed(report, pixels, denoised)
        parts += _comparison(pixels, denoised, verdict, removed=removed, is_rgb=is_rgb)
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{"".join(parts)}</body></html>\n'


def _noise_section(report: NoiseReport) -> list[str]:
    """Show the figures of the noise, if there are any."""
    figures = [_figure(svg, caption) for svg, caption in draw_noise(report)]
    return ["<h2>Noise</h2>", *figures, "<h2>Image</h2>"] if figures else []


def draw_noise(report: NoiseReport) -> list[tuple[str, str]]:
    """Draw the noise, as far as it is known; return figures as SVG, each with its caption."""
    figures = []
    if report.autocorrelation is not None:
        middle = len(report.autocorrelation) // 2
        vertical = [(float(lag), report.autocorrelation[middle + lag][middle]) for lag in range(middle + 1)]
        horizontal = [(float(lag), report.autocorrelation[middle][middle + lag]) for lag in range(middle + 1)]
        figures += [
            (plot_map(report.autocorrelation), f"Autocorrelation up to lag {middle}; lag 0 is central."),
            (
                plot_lines([vertical, horizontal], x_label="lag, pixels", y_label="correlation"),
                "Autocorrelation along columns (red) and along rows (green).",
            ),
        ]
    if any(report.noise_by_intensity):
        lines = [line for line in report.noise_by_intensity if line]
        colours = f" Channels in order: {', '.join(NAMES[: len(lines)])}{' ...' * (len(lines) > len(NAMES))}."
        figures.append(
            (
                plot_lines(lines, x_label="intensity", y_label="noise level"),
                f"Noise level against intensity, both in the units of the image.{colours if len(lines) > 1 else ''}",
            )
        )
    return figures


def _comparison(pixels: Array, denoised: Array, verdict: Verdict | None, *, removed: str, is_rgb: bool) -> list[str]:
    """Show before, after and residual: whole, and with the centre enlarged."""
    residual = with_nan(pixels) - with_nan(denoised)
    pixels, denoised, residual = (as_shown(values, is_rgb=is_rgb) for values in (pixels, denoised, residual))
    limits, most = find_limits(pixels), find_residual_limit(residual)
    top, left = (max((side - CROP) // 2, 0) for side in pixels.shape[:2])
    piece = slice(top, top + CROP), slice(left, left + CROP)
    parts = [
        "<h2>Denoised</h2>",
        _verdict(verdict),
        as_table([("removed (standard deviation)", removed)]),
    ]
    shown = [(pixels, limits, "Noisy"), (denoised, limits, "Denoised"), (residual, (-most, most), "Noisy - denoised")]
    parts += [_figure(image(values, limits=between), label) for values, between, label in shown]
    parts += [
        _figure(image(values[piece], limits=between, enlarge=ENLARGED), f"{label}, centre, {ENLARGED} times larger")
        for values, between, label in shown
    ]
    return parts


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    measures = as_table([(name.replace("_", " "), f"{value:.4g}") for name, value in verdict.measures.items()])
    return f"<p><strong>{escape(verdict.verdict)}</strong>: {escape(verdict.reason)}</p>{measures}"


def _figure(content: str, caption: str) -> str:
    return f"<figure>{content}<figcaption>{escape(caption)}</figcaption></figure>"
