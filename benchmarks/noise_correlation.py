"""Compare measured autocorrelation of Eq. 2 noise with the requested and the reached one; time a 12-megapixel draw.

python benchmarks/noise_correlation.py
"""

import time
from itertools import product
from pathlib import Path

import numpy as np

from _common import Table
from mashpix import simulation as noise

SEED = 0
COLUMNS = ("distance", "beta", "lag", "asked", "reached", "measured", "std", "seed")
LAGS = ((1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 0))
RADIUS = 4


def main() -> None:
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for distance, beta in product(("euclidean", "chebyshev", "manhattan"), (0, 0.5, 1)):
            rng = np.random.default_rng(SEED)
            field = noise.correlated_noise((2000, 2000), sigma=25, beta=beta, distance=distance, rng=rng)
            options = {"beta": beta, "distance": distance, "radius": RADIUS}
            asked, reached = noise.correlation_asked(**options), noise.correlation_reached(**options)
            measured = noise.autocorrelation(field, radius=RADIUS)
            for row, column in LAGS:
                place = RADIUS + row, RADIUS + column
                values = (round(float(values[place]), 4) for values in (asked, reached, measured))
                table.add(distance, beta, f"({row},{column})", *values, round(float(field.std()), 3), SEED)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        noise.correlated_noise((3000, 4000, 3), sigma=25, beta=1, rng=np.random.default_rng(SEED))
        seconds.append(time.perf_counter() - started)
    print(f"3000 x 4000 x 3: {sorted(seconds)[1]:.2f} s (median of 3)")


if __name__ == "__main__":
    main()
