"""Errors of the noise report on known noise: sigma and the correlation at lag 1, on Kodak images and crops of them.

python benchmarks/noise_report.py FOLDER      # the folder of Kodak images

The estimator was chosen by its figures on the images marked `chosen by`; the others only check it.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mashpix
from _common import CROP, Table, load, read_folder
from mashpix import simulation as noise

SEED = 0
SIZES = ("crop", "whole")
CHOSEN_BY = ("01", "05", "09", "13", "17", "21")
CHECKED_ON = ("03", "07", "11", "15", "19", "23")
SIGMAS = (5, 10, 25, 50)
BETAS = (0, 0.5, 1)
GAINS = (1, 4, 12)
READ_NOISE = 3.0
COLUMNS = (
    *("picture", "size", "set", "noise", "true_sigma", "sigma", "error"),
    *("true_lag1", "lag1_v", "lag1_h", "kind", "dependent"),
)


def models(clean: np.ndarray[Any, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any], float, float]]:
    """Yield name, noisy image, true sigma and true correlation at lag 1."""
    for beta in BETAS:
        lag1 = float(noise.correlation_reached(beta=beta, radius=1)[1, 0])
        for sigma in SIGMAS:
            rng = np.random.default_rng(SEED)
            drawn = noise.correlated_noise(clean.shape, sigma=sigma, beta=beta, rng=rng)
            yield f"sigma {sigma} beta {beta:g}", clean + drawn, sigma, lag1
    for gain in GAINS:
        rng = np.random.default_rng(SEED)
        noisy = noise.add_poisson_gaussian(clean, gain=gain, sigma=READ_NOISE, rng=rng)
        yield f"gain {gain} sigma {READ_NOISE:g}", noisy, float(np.sqrt(gain * clean.mean() + READ_NOISE**2)), 0.0


def main() -> None:
    folder = read_folder(__doc__)
    torch.set_num_threads(1)
    rows: list[Any] = []
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for pair in zip(CHOSEN_BY, CHECKED_ON, strict=True):
            for name, size in product(pair, SIZES):
                for row in measure(folder, name, size):
                    rows.append(row)
                    table.add(*row)
    for size in SIZES:
        show([row for row in rows if row[1] == size], size)


def measure(folder: Path, name: str, size: str) -> list[tuple[Any, ...]]:
    """Make the rows of one image, or of its crop."""
    clean = load(folder / f"{name}.png", CROP if size == "crop" else None).astype(np.float64)
    kept, rows = "chosen by" if name in CHOSEN_BY else "checked on", []
    for label, noisy, sigma, lag1 in models(clean):
        report = mashpix.inspect(noisy, channel_axis=-1, time_updates=False)
        numbers = [f"{number:.4g}" for number in (sigma, report.sigma, report.sigma / sigma - 1, lag1, *report.lag1)]
        rows.append((name, size, kept, label, *numbers, report.kind, report.signal_dependent))
    return rows


def show(rows: list[Any], size: str) -> None:
    """Print a table of docs/noise-report.md: mean and worst absolute error per noise, on both sets; then the shares."""
    print(f"\n{size}")
    sets = [[row for row in rows if row[2] == kept] for kept in ("chosen by", "checked on")]
    for label in dict.fromkeys(row[3] for row in rows):
        cells = []
        for part in sets:
            sigma, lag = errors([row for row in part if row[3] == label])
            cells += [f"{sigma.mean():.0%} / {sigma.max():.0%}", f"{lag.mean():.3f} / {lag.max():.3f}"]
        print(f"| {label} |", " | ".join(cells), "|")
    for part in sets:
        sigma, lag = errors(part)
        plain = [str(row[11]) == "True" for row in part if "gain" not in row[3]]
        gains = [str(row[11]) == "True" for row in part if "gain" in row[3]]
        print(f"{part[0][2]}: sigma within 10 % in {(sigma <= 0.1).mean():.0%}, lag 1 within 0.05 in", end=" ")
        print(f"{(lag <= 0.05).mean():.0%}, dependence seen {sum(gains)}/{len(gains)}, false {sum(plain)}/{len(plain)}")


def errors(rows: list[Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the absolute value of the relative error of sigma, and of the errors of both correlations at lag 1."""
    sigma = np.abs([float(row[6]) for row in rows])
    return sigma, np.abs([float(value) - float(row[7]) for row in rows for value in row[8:10]])


if __name__ == "__main__":
    main()
