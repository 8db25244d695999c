"""Denoise photos that hold hardly any noise, as files without loss and as JPEG: PSNR against the input, and verdict.

python benchmarks/faint_noise.py ../shared/data/kodak
Centres of 192 x 192 of seven Kodak images, white noise, rounded, preset fast, seed 0; writes
benchmarks/faint_noise.csv. Most film grain of Kodak (1 to 2.5 of 255) counts as image here.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import mashpix
from _common import Table, load, read_folder
from mashpix import denoise_and_check

NAMES = ("01", "05", "07", "09", "13", "15", "23")
KINDS = ((1.0, None), (1.5, None), (2.0, None), (0.0, 95), (0.0, 85), (1.0, 95), (2.0, 95))
"""Sigma of the noise, and quality of the JPEG; None: no JPEG."""
COLUMNS = ("image", "sigma", "jpeg_quality", "noisy_db", "denoised_db", "gain_db", "verdict", "reason")


def as_jpeg(image: NDArray[np.uint8], quality: int | None) -> NDArray[np.uint8]:
    if quality is None:
        return image
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


if __name__ == "__main__":
    folder = read_folder(__doc__)
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for sigma, quality in KINDS:
            for name in NAMES:
                clean = load(folder / f"{name}.png", 192)
                noise = np.random.default_rng(0).normal(0, sigma, clean.shape)
                noisy = as_jpeg((clean + noise).round().clip(0, 255).astype(np.uint8), quality)
                done = denoise_and_check(noisy, channel_axis=-1, channels="rgb", settings="fast", device="cpu")
                before, after = (mashpix.psnr(clean, image, data_range=255) for image in (noisy, done.image))
                row = [round(value, 2) for value in (before, after, after - before)]
                table.add(name, sigma, quality or "", *row, done.verdict.verdict, done.verdict.reason)
