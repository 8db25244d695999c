"""Measure what becomes of stars and of small text: fluxes, noise of the sky, contrast of the letters.

python benchmarks/stars.py
Seed 0, presets fast and default. Fields of 64 stars of 3 to 200 noise levels (sigma 5) over a faint nebula; lines of
text of 9 to 14 pixels with noise of sigma 20, also after JPEG of quality 60. Writes benchmarks/stars.csv.
"""

import argparse
import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

import mashpix
from _common import Table

SIDE, RIM, STARS, LEVEL, SIGMA = 192, 10, 8, 100.0, 5.0
"""Pixels of a side and of the rim without stars; stars along a side; level of the sky and of its noise."""
FIELDS = ((0, 1.2, False), (1, 1.2, True), (3, 0.6, False))
"""Seed, width of the stars in pixels, and whether the noise is Poisson's, of the same level in the sky."""
MIN_PEAK, KEPT = 5.0, 0.1
"""Noise levels from which a star counts; change of its flux up to which it is kept."""
LINES = "the quick brown fox jumps over", "0123456789 lazy dogs; Vials 4-7", "sample B12, 25 um, 10:42:33"
PAGES = ((9, True, True), (11, True, True), (14, True, True), (10, False, True), (10, False, False))
"""Size of the letters in pixels, whether in colour, whether through JPEG."""
INK, PAPER, TEXT_SIGMA, QUALITY = 40, 215, 20, 60
COLUMNS = (
    "scene", "preset", "noisy_db", "psnr_db", "sky_noise", "stars_kept", "worst_flux",
    "text_correlation", "text_contrast", "verdict",
)  # fmt: skip
Array = NDArray[Any]


class Case(NamedTuple):
    """A noisy image, the clean one, the range for PSNR, and what measures a result."""

    name: str
    noisy: Array
    clean: Array
    data_range: float
    measure: Callable[[Array], tuple[object, ...]]


def star_fields() -> Iterator[Case]:
    """Stars over a nebula."""
    down, right = np.mgrid[0:SIDE, 0:SIDE].astype(float)
    nebula = np.hypot((down - 0.4 * SIDE) / (0.15 * SIDE), (right - 0.55 * SIDE) / (0.25 * SIDE))
    sky = LEVEL + 4 * np.exp(-(nebula**2) / 2)
    for seed, width, poisson in FIELDS:
        rng = np.random.default_rng(seed)
        cell = (SIDE - 2 * RIM) / STARS
        places = RIM + (np.indices((STARS, STARS)).reshape(2, -1).T + rng.uniform(0.2, 0.8, (STARS**2, 2))) * cell
        stars = [np.exp(-((down - row) ** 2 + (right - column) ** 2) / (2 * width**2)) for row, column in places]
        peaks = rng.permutation(np.geomspace(3, 200, STARS**2))
        clean = sky + SIGMA * np.tensordot(peaks, stars, axes=1)
        gain = SIGMA**2 / LEVEL
        noisy = gain * rng.poisson(clean / gain) if poisson else clean + rng.normal(0, SIGMA, clean.shape)
        counted = [star for star, peak in zip(stars, peaks, strict=True) if peak >= MIN_PEAK]
        measure = partial(measure_stars, noisy=noisy, clean=clean, sky=sky, stars=counted)
        name = f"stars of width {width}{', Poisson' if poisson else ''}"
        yield Case(name, noisy.astype(np.float32), clean, float(np.ptp(clean)), measure)


def measure_stars(result: Array, *, noisy: Array, clean: Array, sky: Array, stars: list[Array]) -> tuple[object, ...]:
    """Noise left in the sky, in noise levels; how many stars keep their flux; the worst change of a flux.

    A flux is weighted by the star's own profile, and compared with that in the noisy image.
    """
    change = np.array([np.vdot(star, result - sky) / np.vdot(star, noisy - sky) - 1 for star in stars])
    left = (result - clean)[clean - sky < 0.01 * SIGMA].std() / SIGMA
    kept = f"{(abs(change) <= KEPT).sum()} of {len(stars)}"
    return f"{left:.3f}", kept, f"{change[abs(change).argmax()]:+.3f}", "", ""


def pages() -> Iterator[Case]:
    """Lines of text."""
    for size, colour, jpeg in PAGES:
        image = Image.new("L", (SIDE, 128), 255)
        for index, top in enumerate(range(6, 128 - size, int(size * 2.2))):
            text = {"text": LINES[index % len(LINES)], "font": ImageFont.load_default(size), "fill": 0}
            ImageDraw.Draw(image).text((8, top), **text)
        ink = 1 - np.asarray(image, dtype=float) / 255
        grey = np.rint(PAPER + (INK - PAPER) * ink)
        clean = np.stack([grey] * 3, axis=2) if colour else grey
        noisy = np.random.default_rng(0).normal(clean, TEXT_SIGMA).round().clip(0, 255).astype(np.uint8)
        if jpeg:
            file = io.BytesIO()
            Image.fromarray(noisy).save(file, "JPEG", quality=QUALITY)
            noisy = np.asarray(Image.open(file))
        measure = partial(measure_text, clean=clean, near=binary_dilation(ink > 0.2, iterations=2))
        name = f"text of {size} pixels, {'RGB' if colour else 'grey'}{', JPEG' if jpeg else ''}"
        yield Case(name, noisy, clean, 255, measure)


def measure_text(result: Array, *, clean: Array, near: Array) -> tuple[object, ...]:
    """Correlation with the clean text near its letters, and contrast relative to it."""
    found, true = ((image.mean(axis=2) if image.ndim == 3 else image)[near] for image in (result, clean))
    return "", "", "", f"{np.corrcoef(found, true)[0, 1]:.3f}", f"{np.polyfit(true, found, 1)[0]:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["fast", "default"])
    parser.add_argument("--keep", type=Path, help="a folder for the noisy images and the results, as NPY")
    args = parser.parse_args()
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for preset in args.presets:
            for case in (*star_fields(), *pages()):
                how = {"channel_axis": -1, "channels": "rgb"} if case.noisy.ndim == 3 else {}
                checked = mashpix.denoise_and_check(case.noisy, settings=preset, device="cpu", **how)
                result = checked.image.astype(float)
                levels = (mashpix.psnr(case.clean, image, data_range=case.data_range) for image in (case.noisy, result))
                figures = *(f"{level:.2f}" for level in levels), *case.measure(result)
                table.add(case.name, preset, *figures, checked.verdict.verdict)
                if args.keep:
                    name = f"{case.name} {preset}".replace(" ", "_").replace(",", "")
                    np.savez(args.keep / name, noisy=case.noisy, clean=case.clean, result=result)


if __name__ == "__main__":
    main()
