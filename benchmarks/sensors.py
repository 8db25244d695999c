"""Measure how clean images with defects of the sensor become, and what is taken for a defect where there is none.

python benchmarks/sensors.py ../shared/data
Seed 0, preset fast, crops of 128 x 128 of real pairs and a synthetic field of cells of 16 bits; counts on star fields
and on all real images. Writes benchmarks/sensors.csv.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

import mashpix
from _common import Table, load, load_pair, read_folder
from mashpix.arrays.defects import find_defects

SIDE, N_FIELDS = 128, 4
COLUMNS = ("image", "what", "defects", "found", "false", "error_without", "error_ignored", "error_left_out")
REAL = ("sidd", "polyu", "cc15", "fmdd", "renoir")
STARS = (1.2, 0.6)
"""Standard deviations of the point-spread functions, pixels."""


WHITE = {np.dtype("u1"): 255, np.dtype("u2"): 4095}
"""Largest value of a pixel."""


def hot_pixels(noisy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set 0.3 % of the pixels to values from a tenth of the largest to the largest."""
    return np.where(rng.random(noisy.shape) < 0.003, rng.uniform(0.1, 1, noisy.shape) * WHITE[noisy.dtype], noisy)


def dead_row(noisy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set a row to 0."""
    return np.where(np.arange(SIDE)[:, None] == rng.integers(20, SIDE - 20), 0, noisy)


def hot_column(noisy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set the lower part of a column to the largest value."""
    rows, columns = np.indices(noisy.shape)
    return np.where((columns == rng.integers(20, SIDE - 20)) & (rows > SIDE // 4), WHITE[noisy.dtype], noisy)


def cosmic_rays(noisy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw eight straight tracks of 4 to 20 pixels."""
    result = noisy.copy()
    for _ in range(8):
        angle, steps = rng.uniform(0, np.pi), np.arange(rng.integers(4, 20))
        start = rng.uniform(20, SIDE - 20, 2)
        rows, columns = (np.rint(start + steps[:, None] * (np.sin(angle), np.cos(angle))).astype(int)).T
        result[rows, columns] = rng.uniform(0.1, 1) * WHITE[noisy.dtype]
    return result


DEFECTS: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...] = (
    hot_pixels, dead_row, hot_column, cosmic_rays,
)  # fmt: skip


def cells(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Make twelve blurred cells on 100, with noise that grows with the brightness: clean, and noisy."""
    rows, columns = np.indices((SIDE, SIDE))
    clean = np.full((SIDE, SIDE), 100.0)
    for row, column, size, height in zip(
        *rng.uniform(10, 118, (2, 12)), rng.uniform(3, 10, 12), rng.uniform(20, 120, 12), strict=True
    ):
        clean += height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * size**2))
    return clean, np.rint(clean + rng.normal(0, 2, clean.shape) * np.sqrt(clean / 100)).astype(np.uint16)


def measure(table: Table, name: str, clean: np.ndarray, noisy: np.ndarray) -> None:
    """Add a row for each kind of defect: root-mean-square errors at the other pixels."""
    settings = mashpix.preset("fast")
    whole = mashpix.denoise(noisy, settings=settings, device="cpu")
    for add in DEFECTS:
        broken = add(noisy, np.random.default_rng(0)).astype(noisy.dtype)
        is_defect = broken != noisy
        found = find_defects(broken[None])
        mask = np.zeros_like(is_defect) if found is None else found.mask[0]
        ignored, left_out = (
            mashpix.denoise(broken, settings=settings.replace(find_defects=find), device="cpu")
            for find in (False, True)
        )
        results = whole, ignored, left_out
        errors = [np.sqrt(np.square(result.astype(float) - clean)[~is_defect].mean()) for result in results]
        counts = is_defect.sum(), (mask & is_defect).sum(), (mask & ~is_defect).sum()
        table.add(name, add.__name__, *map(int, counts), *(round(float(error), 3) for error in errors))


def green(kind: str, root: Path) -> tuple[np.ndarray, np.ndarray]:
    """The centre of the first pair of a set, clean and noisy, of colour images the green channel."""
    first = sorted((root / kind / "clean").iterdir())[0]
    clean, noisy = load_pair(root, kind, first.name, SIDE)
    return (clean, noisy) if clean.ndim == 2 else (clean[..., 1], noisy[..., 1])


def count_false(table: Table, root: Path) -> None:
    """Add a row for each set of real images, and for each real image in which something was found."""
    for kind in REAL:
        for part in ("noisy", "clean"):
            fired, paths = 0, sorted((root / kind / part).iterdir())
            for path in paths:
                image = load(path)
                found = find_defects(image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0))
                if found is not None:
                    table.add(f"{kind}/{part}/{path.name}", "real", "", int(found.mask.sum()), "")
                    fired += 1
            table.add(f"{kind}/{part}", f"{len(paths)} real images", "", fired, "")


def star_field(sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Make 64 stars of 3 to 200 standard deviations of the noise on a faint nebula, 256 x 256."""
    rows, columns = np.indices((256, 256))
    image = 100 + 15 * np.exp(-((rows - 128) ** 2 + (columns - 100) ** 2) / 3200) + rng.normal(0, 5, rows.shape)
    for height in np.geomspace(3, 200, 64):
        row, column = rng.uniform(8, 248, 2)
        image += 5 * height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
    return image


if __name__ == "__main__":
    root = read_folder(__doc__)
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        measure(table, "cells", *cells(np.random.default_rng(0)))
        for kind in REAL:
            measure(table, kind, *green(kind, root))
        for sigma in STARS:
            for seed in range(N_FIELDS):
                found = find_defects(star_field(sigma, np.random.default_rng(seed))[None])
                table.add(
                    f"stars {sigma}, seed {seed}", "64 stars", 0, "", 0 if found is None else int(found.mask.sum())
                )
        count_false(table, root)
