"""Correlation gap, chosen ratio and PSNR on one clean image with noise of Eq. 2: the gap must grow with beta.

python benchmarks/gap.py ../shared/data/kodak/kodim05.png --preset scripts --preset default --csv benchmarks/gap.csv
"""

import argparse
import time
from collections import deque
from pathlib import Path

import numpy as np
import torch

import mashpix
from _common import Table, load
from mashpix import simulation as noise

BETAS = (0.0, 0.5, 1.0)
SIGMA = 25
COLUMNS = ("picture", "crop", "beta", "sigma", "preset", "seed", "noisy_db", "denoised_db", "gap", "correlation",
           "ratio", "seconds")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--preset", action="append", required=True)
    parser.add_argument("--crop", type=int, default=128, help="side of the centre crop")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--csv", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clean = load(args.picture, args.crop)
    with Table(args.csv, COLUMNS) as table:
        for preset in args.preset:
            for beta in BETAS:
                rng = np.random.default_rng(args.seed)
                noisy = clean + noise.correlated_noise(clean.shape, sigma=SIGMA, beta=beta, rng=rng)
                started = time.perf_counter()
                options = {
                    "channel_axis": -1,
                    "data_range": 255,
                    "settings": preset,
                    "seed": args.seed,
                    "device": "cpu",
                }
                (last,) = deque(mashpix.denoise_steps(noisy, preview_every=0, **options), maxlen=1)
                scores = (mashpix.psnr(clean, np.clip(p, 0, 255), data_range=255) for p in (noisy, last.denoised))
                report, seconds = last.report, round(time.perf_counter() - started, 1)
                gap = "" if report.noise_level_gap is None else round(report.noise_level_gap, 3)
                table.add(
                    args.picture.name, args.crop, beta, SIGMA, preset, args.seed,
                    *(round(score, 2) for score in scores), gap,
                    round(report.neighbour_correlation, 3), report.masking_ratio, seconds,
                )  # fmt: skip


if __name__ == "__main__":
    main()
