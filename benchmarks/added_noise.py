"""Denoise photos and generated textures with added noise: PSNR against BM3D, and the verdict.

python benchmarks/added_noise.py KODAK [--count 12] [--presets fast default] [--bm3d]
Centre crops in RGB and grey; white noise and noise of Eq. 2, on floats, neither rounded nor clipped; the seed is the
number of the image. Writes benchmarks/added_noise.csv. BM3D (the package bm3d) is for non-commercial use, so it is
measured on request only: with the level that scikit-image estimates, and as an oracle with the noise's true spectrum.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import mashpix
from _common import Table, load
from _textures import coloured
from mashpix import denoise_and_check
from mashpix.evaluation.baselines import noise_level
from mashpix.simulation import correlated_noise

SIDE = 256
TEXTURES = ("fur", "weave", "sand")
COLUMNS = ("image", "colour", "noise", "method", "psnr_db", "verdict", "reason")
NOISES = {"white 10": (10, 0.0), "white 25": (25, 0.0), "white 50": (50, 0.0), "beta 1, 25": (25, 1.0)}
"""Sigma and beta of Eq. 2, by name."""
Array = NDArray[np.float64]


def scenes(folder: Path, count: int) -> Iterator[tuple[str, Array]]:
    """Clean RGB images of 0 to 255 by name."""
    for name in TEXTURES:
        yield name, coloured(name, SIDE)
    paths = sorted(folder.glob("*.png"))
    for path in paths[:: max(len(paths) // count, 1)][:count]:
        yield path.stem, load(path, SIDE).astype(float)


def bm3d(noisy: Array, psd_or_sigma: Array | float) -> Array:
    """Denoise by BM3D, colours in its opponent space."""
    from bm3d import bm3d as grey
    from bm3d import bm3d_rgb

    if not hasattr(np, "trapz"):  # numpy has it under another name since 2.4, bm3d calls the old one
        np.trapz = np.trapezoid  # noqa: NPY201

    return np.asarray(grey(noisy, psd_or_sigma) if noisy.ndim == 2 else bm3d_rgb(noisy, psd_or_sigma))


def measure(clean: Array, added: Array, *, presets: list[str], with_bm3d: bool) -> Iterator[tuple[object, ...]]:
    """Yield method, PSNR, verdict and its reason."""
    noisy = (clean + added).astype(np.float32)
    yield "noisy", psnr(clean, noisy)
    for preset in presets:
        kind = {"channel_axis": -1, "channels": "rgb"} if clean.ndim == 3 else {}
        done = denoise_and_check(noisy, settings=preset, device="cpu", **kind)
        yield preset, psnr(clean, done.image), done.verdict.verdict, done.verdict.reason
    if with_bm3d:
        yield "BM3D, estimated", psnr(clean, bm3d(noisy, noise_level(noisy)))
        spectrum = np.square(np.abs(np.fft.fft2(added, axes=(0, 1)))).reshape(*added.shape[:2], -1).mean(axis=2)
        yield "BM3D, true spectrum", psnr(clean, bm3d(noisy, gaussian_filter(spectrum, 2, mode="wrap")))


def psnr(clean: Array, result: Array) -> float:
    """PSNR in dB, to two decimals."""
    return round(mashpix.psnr(clean, result, data_range=255), 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--presets", nargs="+", default=["fast", "default"])
    parser.add_argument("--bm3d", action="store_true")
    args = parser.parse_args()
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for number, (name, scene) in enumerate(scenes(args.folder, args.count)):
            for colour, clean in (("rgb", scene), ("grey", scene.mean(axis=2))):
                for noise, (sigma, beta) in NOISES.items():
                    added = correlated_noise(clean.shape, sigma=sigma, beta=beta, rng=np.random.default_rng(number))
                    for row in measure(clean, added, presets=args.presets, with_bm3d=args.bm3d):
                        table.add(name, colour, noise, *row)
