"""Look for seams where the cells of a large plane meet, in a mosaic of real images with added white noise.

    python benchmarks/seams.py KODAK

The plane is denoised in small cells by `fast`, and once more with cells that see nothing around them, as a check that
seams would be found. `across` and `inside` are means of the absolute difference between neighbouring pixels of what was
removed, across the borders of cells and elsewhere, in noise levels; `deviations` is how far apart they are, in standard
errors of `across`. `largest` is the largest difference, in noise levels, to the plane denoised as a single cell.
"""

import argparse
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from _common import Table
from mashpix.arrays import blocks
from mashpix.arrays.stacks import denoise_stack
from mashpix.settings import preset

COLUMNS = ("cells", "context", "across", "inside", "deviations", "q99", "largest")
SIGMA = 15.0
"""Standard deviation of the noise, in grey levels."""
SIDE, CELL = 512, 160
"""Sides of the plane and of its cells, pixels."""


def make_mosaic(folder: Path) -> NDArray[np.float32]:
    """Crops of grey images side by side, with noise."""
    paths, half = sorted(folder.glob("*.png"))[:4], SIDE // 2
    crops = [np.asarray(Image.open(path).convert("L"), np.float32)[:half, :half] for path in paths]
    noise = np.random.default_rng(0).normal(0, SIGMA, (SIDE, SIDE))
    return (np.block([crops[:2], crops[2:]]) + noise).astype(np.float32)


def denoise(plane: NDArray[np.float32], *, cell: int, has_context: bool = True) -> NDArray[np.float32]:
    """Denoise a plane in cells of this side."""
    context = blocks.context_of if has_context else lambda networks, settings: 0
    with patch.object(blocks, "CELL", cell), patch.object(blocks, "context_of", context):
        return denoise_stack(plane, axes="YX", settings=preset("fast"), device="cpu", by_blocks=cell)


def measure_steps(removed: NDArray[np.float32]) -> tuple[float, float, float]:
    """Compare neighbours across the borders of cells with others: the two means, and their distance."""
    across, inside = list[NDArray[np.float32]](), list[NDArray[np.float32]]()
    for array in (removed, removed.T):
        steps = np.abs(np.diff(array, axis=0)) / SIGMA
        at_border = np.arange(1, SIDE) % CELL == 0
        across.append(steps[at_border].ravel())
        inside.append(steps[~at_border].ravel())
    border, other = np.concatenate(across), np.concatenate(inside)
    error = border.std() / np.sqrt(border.size)
    return float(border.mean()), float(other.mean()), float((border.mean() - other.mean()) / error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    plane = make_mosaic(parser.parse_args().images)
    torch.set_num_threads(1)
    whole = denoise(plane, cell=SIDE)
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for has_context in (True, False):
            denoised = denoise(plane, cell=CELL, has_context=has_context)
            apart = np.abs(denoised - whole) / SIGMA
            numbers = (*measure_steps(plane - denoised), np.quantile(apart, 0.99), apart.max())
            table.add(f"{CELL} x {CELL}", "yes" if has_context else "no", *(f"{number:.5f}" for number in numbers))


if __name__ == "__main__":
    main()
