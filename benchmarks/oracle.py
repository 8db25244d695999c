"""Denoise Kodak images with synthetic noise (Eq. 2), beside CBM3D that is told the true spectrum of the noise.

python benchmarks/oracle.py ../shared/data/kodak
Centre crops of 256 x 256, presets default and fast, seed 0; writes benchmarks/oracle.csv. The package bm3d is for
non-commercial use: pip install bm3d.
"""

from functools import partial
from pathlib import Path

import numpy as np
from bm3d import bm3d_rgb
from numpy.typing import NDArray
from scipy import fft

import mashpix
from _common import CROP, Table, load, read_folder
from mashpix.simulation import correlated_noise, correlation_reached

NOISES = ((10, 0.0), (25, 0.0), (50, 0.0), (25, 0.5), (25, 1.0))
"""Sigma, and beta of Eq. 2."""
REACH = 12
"""Lags of the autocovariance that are looked at, pixels."""
Array = NDArray[np.float32]

vars(np).setdefault("trapz", np.trapezoid)  # bm3d still calls it by the name that it had in NumPy 1


def spectrum(side: int, *, sigma: float, beta: float) -> NDArray[np.float64]:
    """Mean of |F n|^2 over the noise n of an image (side, side), F the discrete Fourier transform."""
    covariance = np.zeros((side, side))
    lags = np.arange(-REACH, REACH + 1)
    covariance[np.ix_(lags, lags)] = sigma**2 * correlation_reached(beta=beta, radius=REACH)
    return np.maximum(fft.fft2(covariance).real, 0) * side**2


def cbm3d(noisy: Array, *, sigma: float, beta: float) -> Array:
    """Denoise in the unit of BM3D, white 1."""
    psd = spectrum(len(noisy), sigma=sigma / 255, beta=beta)
    return 255 * np.asarray(bm3d_rgb(noisy / 255, np.repeat(psd[..., None], 3, axis=2)))


if __name__ == "__main__":
    folder = read_folder(__doc__)
    with Table(Path(__file__).with_suffix(".csv"), ("sigma", "beta", "image", "method", "psnr_db")) as table:
        for sigma, beta in NOISES:
            methods = {"CBM3D, true spectrum": partial(cbm3d, sigma=sigma, beta=beta)} | {
                name: partial(mashpix.denoise, channel_axis=-1, settings=name, device="cpu")
                for name in ("default", "fast")
            }
            for path in sorted(folder.glob("*.png")):
                clean = load(path, CROP).astype(np.float32)
                noise = correlated_noise(clean.shape, sigma=sigma, beta=beta, rng=np.random.default_rng(0))
                for method, denoise in methods.items():
                    quality = mashpix.psnr(clean, denoise(clean + noise), data_range=255)
                    table.add(sigma, beta, path.name, method, round(quality, 3))
