"""Denoise Poisson counts of few photons: PSNR and means, against the input, a Gaussian blur, and Anscombe with BM3D.

python benchmarks/photons.py ../shared/data [--bm3d]
Preset fast, seed 0; writes benchmarks/photons.csv. The blur is the best of several for each image, which only a
benchmark can know. BM3D (the package bm3d) is for non-commercial use, so it is measured on request only.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import mashpix
from _common import Table, load

LEVELS, SIDE, REGION = (0.1, 1, 10, 100), 128, 16
"""Mean photons per pixel; side of the scenes and of the regions whose means are compared, pixels."""
PHOTOS = ("kodak/05.png", "kodak/23.png", "fmdd/clean/Confocal_BPAE_B_1.png", "fmdd/clean/TwoPhoton_MICE_1.png")
BLURS = (0.5, 0.7, 1, 1.5, 2, 3, 5, 8)
COLUMNS = ("scene", "photons", "method", "psnr_db", "total_error", "region_error", "dark_mean", "dark_error")
Array = NDArray[np.float64]
Method = Callable[[Array, Array], Array]
"""Of counts, and of the clean image that only the choice of the blur looks at."""


def scenes(root: Path) -> dict[str, Array]:
    """Clean images of mean 1 by name: photos in grey and RGB, and discs of several sizes on a dark background."""
    found = {}
    for name in PHOTOS:
        image = load(root / name, SIDE).astype(float) / 255
        linear = image**2.2 if image.ndim == 3 else image
        found[f"{name} rgb" if image.ndim == 3 else name] = linear
        if image.ndim == 3:
            found[f"{name} grey"] = linear.mean(axis=2)
    rows, columns = np.indices((SIDE, SIDE))
    discs = np.full((SIDE, SIDE), 0.1)
    for row, column, radius in ((50, 50, 32), (130, 130, 40), (140, 40, 16), (40, 130, 8), (80, 160, 4)):
        discs[np.hypot(rows - row, columns - column) <= radius] = 2.5
    return {name: scene / scene.mean() for name, scene in (found | {"discs": discs}).items()}


def mash(counts: Array, clean: Array) -> Array:
    """Denoise with mashpix, in 32-bit floats."""
    axis = -1 if counts.ndim == 3 else None
    kind = "rgb" if axis else "auto"
    noisy = counts.astype(np.float32)
    return mashpix.denoise(noisy, channel_axis=axis, channels=kind, settings="fast", device="cpu").astype(float)


def blur(counts: Array, clean: Array) -> Array:
    """Blur by the Gaussian that comes closest to the clean image."""
    blurred = [gaussian_filter(counts, [width, width, 0][: counts.ndim]) for width in BLURS]
    return min(blurred, key=lambda image: np.square(image - clean).mean())


def anscombe_bm3d(counts: Array, clean: Array) -> Array:
    """Denoise each channel by BM3D of the Anscombe transform, with the unbiased inverse in closed form.

    Makitalo and Foi, "A closed-form approximation of the exact unbiased inverse of the Anscombe variance-stabilizing
    transformation", IEEE TIP 20, 2011.
    """
    from bm3d import bm3d

    planes = np.moveaxis(np.atleast_3d(counts), -1, 0)
    stable = np.stack([bm3d(2 * np.sqrt(plane + 3 / 8), 1.0) for plane in planes], axis=-1).clip(2 * (3 / 8) ** 0.5)
    root = np.sqrt(1.5)
    mean = stable**2 / 4 + root / 4 / stable - 11 / 8 / stable**2 + 5 / 8 * root / stable**3 - 1 / 8
    return mean.clip(0).reshape(counts.shape)


def region_means(image: Array) -> Array:
    """Means of regions side by side, in each channel."""
    count = SIDE // REGION
    return image.reshape(count, REGION, count, REGION, -1).mean(axis=(1, 3))


def measure(result: Array, clean: Array) -> list[float]:
    """PSNR; error of the whole mean, and RMS error of the means of regions, in standard errors of those of the counts.

    Then the mean of the darkest fifth of the regions over the true one, and the error of their means.
    """
    true, found = region_means(clean), region_means(result)
    error = np.sqrt(true) / REGION
    dark = true <= np.quantile(true, 0.2)
    return [
        mashpix.psnr(clean, result, data_range=float(clean.max())),
        (result.mean() - clean.mean()) / np.sqrt(clean.mean() / clean.size),
        np.sqrt(np.square((found - true) / error).mean()),
        found[dark].mean() / true[dark].mean(),
        np.sqrt(np.square((found - true) / error)[dark].mean()),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bm3d", action="store_true")
    args = parser.parse_args()
    methods: dict[str, Method] = {"noisy": lambda counts, clean: counts, "blur": blur, "mashpix": mash}
    methods |= {"Anscombe, BM3D": anscombe_bm3d} if args.bm3d else {}
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for name, scene in scenes(args.folder).items():
            for photons in LEVELS:
                clean = photons * scene
                counts = np.random.default_rng(0).poisson(clean).astype(float)
                for method, denoise in methods.items():
                    table.add(name, photons, method, *(round(x, 3) for x in measure(denoise(counts, clean), clean)))
