"""Classify known noise with the noise report: a confusion table, on Kodak crops.

python benchmarks/noise_kinds.py FOLDER      # the folder of Kodak images

The limits of `classify_noise` were chosen by the figures on the images marked `chosen by`; the others only check them.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import mashpix
from _common import CROP, Table, load, read_folder
from mashpix import simulation as noise
from noise_report import CHECKED_ON, CHOSEN_BY, SEED

SIGMAS = (5, 10, 25)
BETAS = (0.25, 0.5, 1)
QUALITIES = (30, 60, 80, 95)
STRENGTH = 0.5
"""Strength of stripes (standard deviation) and of the periodic pattern (amplitude), relative to the noise."""
KINDS = ("white", "correlated", "structured", "jpeg-blocky")
MEASURES = ("lag1", "stripes", "peak", "blockiness")
COLUMNS = ("picture", "set", "noise", "sigma", "true_kind", "kind", *MEASURES)


def models(clean: np.ndarray[Any, Any], sigma: float) -> Iterator[tuple[str, str, np.ndarray[Any, Any]]]:
    """Yield the name of a noise, its kind, and the noisy image."""
    rng = np.random.default_rng(SEED)
    noisy = clean + rng.normal(0, sigma, clean.shape)
    rows, columns = np.mgrid[: clean.shape[0], : clean.shape[1], :1][:2]
    yield "white", "white", noisy
    for beta in BETAS:
        drawn = noise.correlated_noise(clean.shape, sigma=sigma, beta=beta, rng=rng)
        yield f"beta {beta:g}", "correlated", clean + drawn
    yield "row stripes", "structured", noisy + rng.normal(0, STRENGTH * sigma, (clean.shape[0], 1, 1))
    yield "column stripes", "structured", noisy + rng.normal(0, STRENGTH * sigma, (1, clean.shape[1], 1))
    yield "periodic", "structured", noisy + STRENGTH * sigma * np.sin(1.9 * rows + 1.1 * columns)
    for quality in QUALITIES:
        coded = BytesIO()
        Image.fromarray(np.rint(noisy).clip(0, 255).astype(np.uint8)).save(coded, "JPEG", quality=quality)
        yield f"JPEG {quality}", "jpeg-blocky", np.asarray(Image.open(coded)).astype(np.float64)


def main() -> None:
    folder = read_folder(__doc__)
    torch.set_num_threads(1)
    rows: list[tuple[Any, ...]] = []
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for name in (*CHOSEN_BY, *CHECKED_ON):
            clean = load(folder / f"{name}.png", CROP).astype(np.float64)
            kept = "chosen by" if name in CHOSEN_BY else "checked on"
            for sigma in SIGMAS:
                for label, true, noisy in models(clean, sigma):
                    report = mashpix.inspect(noisy, channel_axis=-1, time_updates=False)
                    measures = [f"{report.kind_measures.get(key, np.nan):.3f}" for key in MEASURES]
                    rows.append((name, kept, label, sigma, true, report.kind, *measures))
                    table.add(*rows[-1])
    show(rows)


def show(rows: list[tuple[Any, ...]]) -> None:
    """Print the table of docs/noise-report.md: counts of each kind for each noise, on both sets."""
    for label in dict.fromkeys(row[2] for row in rows):
        cells = []
        for kept in ("chosen by", "checked on"):
            called = [row[5] for row in rows if row[2] == label and row[1] == kept]
            cells += [str(called.count(kind)) for kind in KINDS]
        print(f"| {label} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
