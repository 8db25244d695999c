"""Measure what stripes cost, what is left of them once they are taken off, and what is taken for stripes.

python benchmarks/stripes.py ../shared/data
Seed 0, preset fast, centre crops of 128 x 128 of the first pair of each set and a Kodak image with noise of 10, green
channel; counts on all real images. Writes benchmarks/stripes.csv.
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np

import mashpix
from _common import Table, centre, load, load_pair, read_folder
from mashpix.arrays.normalization import normalize
from mashpix.arrays.stripes import Mode, find_stripes
from mashpix.metrics import psnr

SIDE = 128
SETS = ("sidd", "polyu", "cc15", "fmdd", "renoir")
COLUMNS = (
    "image", "pattern", "amplitude", "psnr_without", "psnr_off", "psnr_auto", "left_auto", "left_on",
    "hot", "hot_found_off", "hot_found_auto",
)  # fmt: skip
AMPLITUDES = (0.5, 1.0, 3.0)
"""RMS of the patterns relative to that of the noise."""
MODES: tuple[Mode, ...] = ("off", "auto")


def row_offsets(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """An offset for each row."""
    return np.broadcast_to(rng.normal(size=(shape[0], 1)), shape)


def sinusoid(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A wave of 4 to 16 pixels in any direction."""
    rows, columns = np.indices(shape)
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(1 / 16, 1 / 4)
    return np.sqrt(2) * np.sin(2 * np.pi * frequency * (np.cos(angle) * rows + np.sin(angle) * columns))


PATTERNS: tuple[Callable[[tuple[int, int], np.random.Generator], np.ndarray], ...] = (row_offsets, sinusoid)


def pairs(root: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """One pair of each set, clean and noisy, (SIDE, SIDE)."""
    found = {}
    for kind in SETS:
        first = sorted((root / kind / "clean").iterdir())[0]
        found[kind] = tuple(
            image if image.ndim == 2 else image[..., 1] for image in load_pair(root, kind, first.name, SIDE)
        )
    photo = centre(load(sorted((root / "kodak").iterdir())[0]), SIDE)[..., 1]
    return found | {"kodak": (photo, photo + np.random.default_rng(0).normal(0, 10, photo.shape))}


def measure(table: Table, name: str, clean: np.ndarray, noisy: np.ndarray) -> None:
    """Add a row for each pattern: PSNR of the results, RMS of what is left of the pattern relative to the noise.

    Then hot pixels, 0.3 % of all: how many there are, and how many are found if no stripes are looked for, and by auto.
    """
    level = float(np.std(noisy - clean.astype(float)))
    without = psnr_of(clean, noisy, "off")
    for pattern, amplitude in product(PATTERNS, AMPLITUDES):
        added = amplitude * level * pattern(noisy.shape, np.random.default_rng(0))
        image = (noisy + added).astype(np.float32)
        found = [find_stripes(image[None], mode=mode) for mode in ("auto", "on")]
        left = [np.std(added - (stripes.pattern[0] if stripes else 0)) / level for stripes in found]
        off = psnr_of(clean, image, "off")
        figures = without, off, psnr_of(clean, image, "auto") if found[0] else off, *left
        table.add(name, pattern.__name__, amplitude, *(f"{value:.2f}" for value in figures), *count_hot(image, added))


def psnr_of(clean: np.ndarray, noisy: np.ndarray, mode: Mode) -> float:
    """PSNR of the result."""
    settings = mashpix.preset("fast").replace(stripes=mode)
    return psnr(clean, mashpix.denoise(noisy.astype(np.float32), settings=settings, device="cpu"), data_range=255)


def count_hot(image: np.ndarray, added: np.ndarray) -> tuple[int, ...]:
    """Number of hot pixels, and of those found without a look at stripes and with one."""
    hot = np.random.default_rng(0).random(image.shape) < 0.003
    spoiled = np.where(hot, 255 + added, image).astype(np.float32)[None]
    scaled = (normalize(spoiled, channel_axis=0, data_range=None, scale="data-range", stripes=mode) for mode in MODES)
    return int(hot.sum()), *(int(found.defects.mask[0, hot].sum()) if found.defects else 0 for found in scaled)


def count_false(table: Table, root: Path) -> None:
    """Add a row for each set of real images: how many have stripes, and for each that has."""
    folders = [root / kind / part for kind in SETS for part in ("noisy", "clean")]
    for folder in (*folders, root / "kodak"):
        fired, paths = 0, sorted(folder.iterdir())
        for path in paths:
            image = load(path)
            found = find_stripes(image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0))
            if found is not None:
                table.add(path.relative_to(root), *found.by_kind().items())
                fired += 1
        table.add(folder.relative_to(root), f"{len(paths)} real images", fired)


if __name__ == "__main__":
    root = read_folder(__doc__)
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        count_false(table, root)
        for name, (clean, noisy) in pairs(root).items():
            measure(table, name, clean, noisy)
