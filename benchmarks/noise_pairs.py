"""Compare sigma and lag 1 from the noise report on real noisy images with noisy minus clean of the pair.

python benchmarks/noise_pairs.py DATA      # the folder of sidd, polyu, cc15 and fmdd; uses evenly spaced files
"""

from pathlib import Path

import numpy as np
import torch

import mashpix
from _common import SETS, Table, load_pair, read_folder

MOST = 8
FLATTEST = 0.1
"""Fraction of the 8 x 8 blocks, the flattest of the clean image, whose noise is also reported on its own."""
SIDE = 8
COLUMNS = ("set", "picture", "deviation", "flat_deviation", "sigma", "true_lag1", "lag1", "kind")


def main() -> None:
    root = read_folder(__doc__)
    torch.set_num_threads(1)
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for name in SETS:
            files = sorted((root / name / "noisy").iterdir())
            chosen = files[:: max(len(files) // MOST, 1)][:MOST]
            ratios = np.array([measure(root, name, path.name, table) for path in chosen])
            low, high = ratios.min(axis=0), ratios.max(axis=0)
            print(f"{name}: sigma over deviation {low[0]:.2f} to {high[0]:.2f}, over that in flat places", end=" ")
            print(f"{low[1]:.2f} to {high[1]:.2f}; lag 1 off by {low[2]:+.2f} to {high[2]:+.2f}", flush=True)


def measure(root: Path, kind: str, name: str, table: Table) -> tuple[float, float, float]:
    """Make one row: sigma relative to the deviation of the noise, in all and in flat blocks, and the error of lag 1."""
    clean, noisy = load_pair(root, kind, name)
    noise = np.atleast_3d(noisy.astype(np.float64) - clean)
    blocks = [cut(np.atleast_3d(array)) for array in (clean.astype(np.float64), noise)]
    activity = blocks[0].var(axis=1).mean(axis=1)
    flat = blocks[1][activity <= np.quantile(activity, FLATTEST)]
    deviation, flat_deviation = noise.std(), float(np.sqrt(flat.var(axis=1).mean()))
    centred = noise - noise.mean(axis=(0, 1))
    lags = [(centred[1:] * centred[:-1]).mean(), (centred[:, 1:] * centred[:, :-1]).mean()]
    lag1 = float(np.mean(lags) / np.square(centred).mean())
    report = mashpix.inspect(noisy, channel_axis=-1 if noisy.ndim == 3 else None, time_updates=False)
    told = float("nan") if report.lag1 is None else float(np.mean(report.lag1))
    numbers = [f"{value:.4g}" for value in (deviation, flat_deviation, report.sigma, lag1, told)]
    table.add(kind, name, *numbers, report.kind)
    return report.sigma / deviation, report.sigma / flat_deviation, told - lag1


def cut(picture: np.ndarray) -> np.ndarray:
    """Cut an image (H, W, C) into blocks (N, SIDE * SIDE, C)."""
    height, width, channels = (side // SIDE * SIDE if axis < 2 else side for axis, side in enumerate(picture.shape))
    blocks = picture[:height, :width].reshape(height // SIDE, SIDE, width // SIDE, SIDE, channels)
    return blocks.transpose(0, 2, 1, 3, 4).reshape(-1, SIDE * SIDE, channels)


if __name__ == "__main__":
    main()
