"""Time updates of `scripts` and `default` in turn on 256 x 256 RGB, and estimate the time for a whole image.

    python benchmarks/speed.py --threads 2
    python benchmarks/speed.py --device cuda --csv benchmarks/speed_cuda.csv

The time of `scripts` for a whole image is extrapolated from the timed updates: two probes and a fit, 2,400 updates.
"""

import argparse
import statistics
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch

import mashpix
from _common import Table

SIDE = 256
UPDATES = {"scripts": 4, "default": 20}
"""Number of timed updates on a CPU; on a GPU, 10 times as many."""
COLUMNS = ("round", "preset", "device", "threads", "updates_per_second", "seconds_a_picture")


def now(device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def updates_per_second(noisy: np.ndarray, preset: str, device: str) -> float:
    settings = mashpix.preset(preset).replace(masking_ratio=0.9, shuffle="never")
    steps = mashpix.denoise_steps(
        noisy, channel_axis=-1, channels="rgb", settings=settings, device=device, preview_every=0
    )
    next(steps)  # the first update allocates memory
    count = UPDATES[preset] * (1 if device == "cpu" else 10)
    started = now(device)
    for _ in range(count):
        next(steps)
    seconds = now(device) - started
    steps.close()
    return count / seconds


def seconds_a_picture(noisy: np.ndarray, preset: str, device: str, rate: float) -> float:
    settings = mashpix.preset(preset)
    if settings.choose_by == "gap":
        return (2 * settings.probe_steps + settings.steps) / rate
    started = time.perf_counter()
    mashpix.denoise(noisy, channel_axis=-1, channels="rgb", settings=settings, device=device)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    noisy = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    rows = []
    with Table(args.csv, COLUMNS) as table:
        for index, preset in product(range(args.rounds), UPDATES):
            rate = updates_per_second(noisy, preset, args.device)
            seconds = seconds_a_picture(noisy, preset, args.device, rate)
            rows.append((index, preset, args.device, args.threads, round(rate, 3), round(seconds, 3)))
            table.add(*rows[-1])
    for column, what in ((4, "updates a second"), (5, "seconds a picture")):
        medians = {preset: statistics.median(row[column] for row in rows if row[1] == preset) for preset in UPDATES}
        print(f"{what}: {medians}, default / scripts = {medians['default'] / medians['scripts']:.4f}")


if __name__ == "__main__":
    main()
