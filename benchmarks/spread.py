"""Measure how well the spread predicts the error: actual error in bins of the spread, on pairs with a known truth.

python benchmarks/spread.py ../shared/data --preset fast --cache /tmp/verdicts
Uses the results that benchmarks/verdicts.py left in the cache; writes benchmarks/spread.csv.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from _common import Result, tabulate

BINS = 10
"""Number of bins per image, equally filled, from the smallest spread to the largest."""
COLUMNS = ("preset", "set", "pictures", "bin", "spread", "error", "error_over_spread", "rank_correlation")


def calibrate(spread: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
    """Return mean spread and RMS error of each bin (2, BINS), and the rank correlation of the bins' errors."""
    order = spread.argsort()
    parts = np.array_split(order, BINS)
    spreads = np.array([spread[part].mean() for part in parts])
    errors = np.array([np.sqrt(np.mean(np.square(error[part]))) for part in parts])
    ranks = errors.argsort().argsort()
    return np.stack([spreads, errors]), float(np.corrcoef(np.arange(BINS), ranks)[0, 1])


def rows_of(results: Iterable[Result]) -> Iterator[list[object]]:
    """Make one row for each bin: means over the images."""
    measured = [
        calibrate(stored["spread"].ravel(), (stored["denoised"].astype(float) - clean).ravel())
        for clean, _, stored in results
    ]
    tables, correlations = zip(*measured, strict=True)
    for index, (spread, error) in enumerate(np.mean(tables, axis=0).T):
        numbers = (round(float(value), 3) for value in (spread, error, error / spread, np.mean(correlations)))
        yield [len(measured), index + 1, *numbers]


if __name__ == "__main__":
    tabulate(__file__, __doc__, COLUMNS, rows_of)
