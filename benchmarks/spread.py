"""What the spread is worth: the actual error in bins of the spread over the masks, on pairs with a known truth.

python benchmarks/spread.py ../shared/data --preset fast --cache /tmp/verdicts
Takes the results that benchmarks/verdicts.py left in the cache; writes benchmarks/spread.csv.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from verdicts import SETS, finished

BINS = 10
"""Bins of each picture, with as many values each, from the least spread to the most."""
COLUMNS = ("preset", "set", "pictures", "bin", "spread", "error", "error_over_spread", "rank_correlation")


def calibrate(spread: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean spread and RMS error of each bin (2, BINS), and the rank correlation of the bins' errors."""
    order = spread.argsort()
    parts = np.array_split(order, BINS)
    spreads = np.array([spread[part].mean() for part in parts])
    errors = np.array([np.sqrt(np.mean(np.square(error[part]))) for part in parts])
    ranks = errors.argsort().argsort()
    return np.stack([spreads, errors]), float(np.corrcoef(np.arange(BINS), ranks)[0, 1])


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
            results = [
                calibrate(stored["spread"].ravel(), (stored["denoised"].astype(float) - clean).ravel())
                for clean, _, stored in finished(args.root, kind, args.preset, args.cache)
            ]
            tables, correlations = zip(*results, strict=True)
            for index, (spread, error) in enumerate(np.mean(tables, axis=0).T):
                numbers = (round(float(value), 3) for value in (spread, error, error / spread, np.mean(correlations)))
                row = (args.preset, kind, len(results), index + 1, *numbers)
                writer.writerow(row)
                print(*row, sep="\t")


if __name__ == "__main__":
    main()
