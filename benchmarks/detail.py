"""What --detail costs: PSNR and SSIM of finished results with none, half and all of their fine texture brought back.

python benchmarks/detail.py ../shared/data --preset fast --cache /tmp/verdicts
Takes the results that benchmarks/verdicts.py left in the cache; writes benchmarks/detail.csv.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

import mashpix
from verdicts import SETS, finished

DETAILS = (0.0, 0.5, 1.0)
COLUMNS = ("preset", "set", "pictures", "detail", "psnr_db", "ssim", "worst_change_db")


def score(clean: np.ndarray, noisy: np.ndarray, denoised: np.ndarray) -> list[tuple[float, float]]:
    """PSNR and SSIM at each of DETAILS."""
    axis = -1 if clean.ndim == 3 else None
    results = (mashpix.add_detail(noisy, denoised, detail=detail, channel_axis=axis) for detail in DETAILS)
    return [
        (
            mashpix.psnr(clean, result, data_range=255),
            mashpix.ssim(clean, result, data_range=255, channel_axis=axis),
        )
        for result in results
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    args = parser.parse_args()
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for kind in SETS:
            scores = [
                score(clean, noisy, stored["denoised"])
                for clean, noisy, stored in finished(args.root, kind, args.preset, args.cache)
            ]
            table = np.array(scores)  # (pictures, details, PSNR and SSIM)
            worst = (table[:, :, 0] - table[:, :1, 0]).min(axis=0)
            for detail, (psnr, ssim), change in zip(DETAILS, table.mean(axis=0), worst, strict=True):
                row = (args.preset, kind, len(scores), detail, round(psnr, 3), round(ssim, 4), round(change, 3))
                writer.writerow(row)
                print(*row, sep="\t")


if __name__ == "__main__":
    main()
