"""Measure the cost of --detail: PSNR and SSIM of finished results with none, half and all fine texture restored.

python benchmarks/detail.py ../shared/data --preset fast --cache /tmp/verdicts
Uses the results that benchmarks/verdicts.py left in the cache; writes benchmarks/detail.csv.
"""

from collections.abc import Iterable, Iterator

import numpy as np

import mashpix
from _common import Result, tabulate

DETAILS = (0.0, 0.5, 1.0)
COLUMNS = ("preset", "set", "pictures", "detail", "psnr_db", "ssim", "worst_change_db")


def score(clean: np.ndarray, noisy: np.ndarray, denoised: np.ndarray) -> list[tuple[float, float]]:
    """Return PSNR and SSIM at each of DETAILS."""
    axis = -1 if clean.ndim == 3 else None
    results = (mashpix.add_detail(noisy, denoised, detail=detail, channel_axis=axis) for detail in DETAILS)
    return [
        (
            mashpix.psnr(clean, result, data_range=255),
            mashpix.ssim(clean, result, data_range=255, channel_axis=axis),
        )
        for result in results
    ]


def rows_of(results: Iterable[Result]) -> Iterator[list[object]]:
    """Make one row for each of DETAILS: means over the images, and the worst change of a single one."""
    table = np.array([score(clean, noisy, stored["denoised"]) for clean, noisy, stored in results])  # (N, details, 2)
    worst = (table[:, :, 0] - table[:, :1, 0]).min(axis=0)
    for detail, (psnr, ssim), change in zip(DETAILS, table.mean(axis=0), worst, strict=True):
        yield [len(table), detail, round(psnr, 3), round(ssim, 4), round(change, 3)]


if __name__ == "__main__":
    tabulate(__file__, __doc__, COLUMNS, rows_of)
