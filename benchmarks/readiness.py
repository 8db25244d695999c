"""Unrelated and related channels, denoised together and alone: PSNR, and what the report and the verdict say.

python benchmarks/readiness.py --preset fast --seeds 1
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import mashpix
from _common import Table

SIDE, NOISE = 64, 0.05
"""Side of the scenes in pixels, and standard deviation of the white noise relative to the range of a channel."""
RANGES = {"equal": np.ones(5), "1000:1": np.array([1000.0, 1.0, 100.0, 10.0, 1.0])}
COLUMNS = (
    "scenes", "ranges", "channels", "preset", "seed", "channel", "noisy_db", "alone_db", "joint_db", "verdict",
    "shared_with", "averaged",
)  # fmt: skip

Array = NDArray[np.float64]


def discs(seed: int) -> Array:
    """Draw a sparse scene, 0..1: a few blurred discs on black."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    scene = np.zeros((SIDE, SIDE))
    for _ in range(5):
        row, column = rng.uniform(0, SIDE, 2)
        inside = (rows - row) ** 2 + (columns - column) ** 2 < rng.uniform(3, 9) ** 2
        scene = np.maximum(scene, rng.uniform(0.3, 1) * inside)
    scene = gaussian_filter(scene, 1.0)
    return scene / scene.max()


def measure(kind: str, ranges: str, count: int, preset: str, seed: int) -> Iterator[list[object]]:
    """Make one row for each channel of one image."""
    scenes = [discs(100 * seed + (0 if kind == "related" else index)) for index in range(count)]
    units = RANGES[ranges][:count, None, None]
    clean = units * np.stack(scenes)
    noisy = clean + units * np.random.default_rng(seed).normal(0, NOISE, clean.shape)
    options = {"settings": preset, "seed": seed, "device": "cpu", "preview_every": 0}
    *_, last = mashpix.denoise_steps(noisy, channel_axis=0, channels="joint", **options)
    report, joint = last.report, last.denoised
    for channel, (truth, before, after) in enumerate(zip(clean, noisy, joint, strict=True)):
        alone = mashpix.denoise(before, settings=preset, seed=seed, device="cpu")
        levels = [mashpix.psnr(truth, image, data_range=np.ptp(truth)) for image in (before, alone, after)]
        shared = next((len(group) - 1 for group in report.channel_groups if channel in group), count - 1)
        yield [
            kind, ranges, count, preset, seed, channel, *(round(level, 2) for level in levels),
            mashpix.check(before, after).verdict, shared, channel in report.averaged_channels,
        ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", action="append", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--channels", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    runs = list(product(args.preset, range(args.seeds)))
    cases = [("unrelated", ranges, count, *run) for run, count, ranges in product(runs, args.channels, RANGES)]
    cases += [("related", "1000:1", 2, *run) for run in runs]
    with Table(args.csv, COLUMNS) as table:
        for case in cases:
            for row in measure(*case):
                table.add(*row)


if __name__ == "__main__":
    main()
