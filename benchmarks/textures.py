"""Denoise textures with little noise: PSNR against the noisy image and BM3D, and whether the verdict is right.

python benchmarks/textures.py KODAK [--count 6] [--side 512] [--presets fast] [--bm3d]
Generated textures and centres of photos, 8 bit: with the noise of a camera (its demosaicing and JPEG too;
compared with what it records without noise, and with the scene, which has none of the false colours that demosaicing
makes of texture), and with white noise. The seed is made from the name. Rows are added
to benchmarks/textures.csv; an image that it has with the same noise is not measured again. BM3D (the package bm3d) is
for non-commercial use, so it is measured on request only; it is told the level that is estimated.
"""

import argparse
import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

import mashpix
from _common import Table, load
from _textures import TEXTURES, coloured
from mashpix import denoise_and_check
from mashpix.evaluation.baselines import denoise_baseline
from mashpix.evaluation.synthetic_noise import SyntheticNoise

COLUMNS = ("image", "side", "noise", "method", "psnr_db", "gain_db", "scene_gain_db", "verdict", "reason")
NOISES = (
    SyntheticNoise(model="camera", electrons=3000.0),
    SyntheticNoise(model="gaussian", sigma=5.0),
    SyntheticNoise(model="gaussian", sigma=10.0),
)
Array = NDArray[np.uint8]


def scenes(folder: Path, count: int, side: int) -> Iterator[tuple[str, Array]]:
    """Clean RGB images by name."""
    for name in TEXTURES:
        yield name, coloured(name, side).round().astype(np.uint8)
    paths = sorted(folder.glob("*.png"))
    for path in paths[:: max(len(paths) // count, 1)][:count]:
        yield f"kodak {path.stem}", load(path, side)


def measure(
    clean: NDArray[np.float64], scene: Array, noisy: Array, *, presets: list[str], with_bm3d: bool
) -> Iterator[list[object]]:
    """Yield method, PSNR, its gain and that against the scene, verdict and its reason."""

    def scored(result: Array) -> list[object]:
        psnr = partial(mashpix.psnr, data_range=255)
        gains = (psnr(reference, result) - psnr(reference, noisy) for reference in (clean, scene))
        return [round(value, 2) for value in (psnr(clean, result), *gains)]

    yield ["noisy", *scored(noisy)]
    for preset in presets:
        done = denoise_and_check(noisy, channel_axis=-1, channels="rgb", settings=preset, device="cpu")
        yield [preset, *scored(done.image), done.verdict.verdict, done.verdict.reason]
    if with_bm3d:
        yield ["BM3D", *scored(denoise_baseline(noisy, "bm3d", data_range=255))]


def measured(path: Path) -> set[tuple[str, ...]]:
    """Image, side and noise of the rows of an earlier run."""
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {(row["image"], row["side"], row["noise"]) for row in csv.DictReader(file)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--presets", nargs="+", default=["fast"])
    parser.add_argument("--bm3d", action="store_true")
    args = parser.parse_args()
    path = Path(__file__).with_suffix(".csv")
    known = measured(path)
    with Table(path, COLUMNS, append=True) as table:
        for noise in NOISES:
            for name, scene in scenes(args.folder, args.count, args.side):
                if (name, str(args.side), str(noise)) in known:
                    continue
                rng = np.random.default_rng(crc32(name.encode()))
                noisy = noise.add(scene, rng=rng).round().clip(0, 255).astype(np.uint8)
                clean = noise.reference(scene).astype(np.float64)
                rows = list(measure(clean, scene, noisy, presets=args.presets, with_bm3d=args.bm3d))
                for row in rows:  # all or none
                    table.add(name, args.side, noise, *row)
