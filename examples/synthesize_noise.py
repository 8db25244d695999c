"""Correlation of the noise of Eq. 2: asked for, reached and measured: `python examples/synthesize_noise.py`."""

import numpy as np

from mashpix import simulation

RADIUS = 2

for beta in (0, 0.5, 1):
    field = simulation.correlated_noise((600, 800), sigma=25, beta=beta, rng=np.random.default_rng(0))
    rows = {
        "asked": simulation.correlation_asked(beta=beta, radius=RADIUS),
        "reached": simulation.correlation_reached(beta=beta, radius=RADIUS),
        "measured": simulation.autocorrelation(field, radius=RADIUS),
    }
    print(f"beta {beta}, standard deviation {field.std():.1f}; lags (1,0), (1,1), (2,0)")
    for name, table in rows.items():
        lags = (table[RADIUS + row, RADIUS + column] for row, column in ((1, 0), (1, 1), (2, 0)))
        print(f"  {name:<9}" + "".join(f"{lag:7.3f}" for lag in lags))
