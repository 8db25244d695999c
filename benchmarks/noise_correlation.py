"""Measured autocorrelation of Eq. 2 noise beside what was asked and reached, and the time of a 12-megapixel draw.

python benchmarks/noise_correlation.py
"""

import csv
import time
from pathlib import Path

import numpy as np

from mashpix import simulation as noise

SEED = 0
LAGS = ((1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 0))
RADIUS = 4


def main() -> None:
    rows = []
    for distance in ("euclidean", "chebyshev", "manhattan"):
        for beta in (0, 0.5, 1):
            rng = np.random.default_rng(SEED)
            field = noise.correlated_noise((2000, 2000), sigma=25, beta=beta, distance=distance, rng=rng)
            options = {"beta": beta, "distance": distance, "radius": RADIUS}
            asked, reached = noise.correlation_asked(**options), noise.correlation_reached(**options)
            measured = noise.autocorrelation(field, radius=RADIUS)
            for row, column in LAGS:
                place = RADIUS + row, RADIUS + column
                values = (round(float(table[place]), 4) for table in (asked, reached, measured))
                rows.append((distance, beta, f"({row},{column})", *values, round(float(field.std()), 3), SEED))
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("distance", "beta", "lag", "asked", "reached", "measured", "std", "seed"))
        writer.writerows(rows)
    for row in rows:
        print(*row, sep="\t")
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        noise.correlated_noise((3000, 4000, 3), sigma=25, beta=1, rng=np.random.default_rng(SEED))
        seconds.append(time.perf_counter() - started)
    print(f"3000 x 4000 x 3: {sorted(seconds)[1]:.2f} s (median of 3)")


if __name__ == "__main__":
    main()
