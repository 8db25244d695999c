"""Unrelated channels, as of fluorescence: gain in dB per channel, denoised together and each alone.

    python benchmarks/channels.py [--seeds 1] [--presets fast default] [--modes independent joint] [--stack]

Sparse scenes of 128 x 128 pixels with white noise of 5 % of each channel's range, which is 26.0 dB. One row per
preset, mode, number of channels and ranges, with the PSNR of the worst channel and of all, and the least difference
to the same channel alone. Written to benchmarks/channels.csv.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

import mashpix

SIDE, NOISE = 128, 0.05
TARGET = Path(__file__).with_suffix(".csv")


def spots(rng):
    """Spots of different sizes on black, 0..1."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    scene = np.zeros((SIDE, SIDE))
    for _ in range(25):
        row, column, size = *rng.uniform(0, SIDE, 2), rng.uniform(1.5, 6)
        scene += rng.uniform(0.2, 1) * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * size**2))
    return scene / scene.max()


def ranges_of(channels, ratio):
    return 1000.0 * np.geomspace(1, 1 / ratio, channels) if channels > 1 else np.array([1000.0])


def denoise(noisy, *, mode, preset, seed, stack):
    how = {"channels": mode, "settings": preset, "seed": seed, "device": "cpu"}
    if not hasattr(mashpix.Report, "channels"):  # version 0.1
        how.pop("channels")
    if stack:
        return mashpix.denoise_stack(noisy, axes="CYX", **how)
    return mashpix.denoise(noisy, channel_axis=0, **how)


def measure(channels, ratio, *, mode, preset, seeds, stack):
    """PSNR (seeds, C) together and alone."""
    together, alone = [], []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        ranges = ranges_of(channels, ratio)
        clean = np.stack([spots(rng) for _ in range(channels)]) * ranges[:, None, None]
        noisy = clean + rng.normal(0, NOISE, clean.shape) * ranges[:, None, None]
        results = [denoise(noisy, mode=mode, preset=preset, seed=seed, stack=stack)]
        results.append([mashpix.denoise(plane, settings=preset, seed=seed, device="cpu") for plane in noisy])
        for scores, result in zip((together, alone), results, strict=True):
            planes = zip(clean, result, ranges, strict=True)
            scores.append([mashpix.psnr(before, after, data_range=size) for before, after, size in planes])
    return np.mean(together, axis=0), np.mean(alone, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--presets", nargs="+", default=["fast", "default"])
    parser.add_argument("--modes", nargs="+", default=["independent", "joint"])
    parser.add_argument("--channels", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--stack", action="store_true", help="through denoise_stack, axes CYX")
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    with options.out.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["preset", "mode", "channels", "ranges", "seeds", "psnr", "alone", "worst_difference"])
        for preset in options.presets:
            for mode in options.modes:
                for channels in options.channels:
                    for ratio in (1, 1000) if channels > 1 else (1,):
                        how = {"mode": mode, "preset": preset, "seeds": options.seeds, "stack": options.stack}
                        together, alone = measure(channels, ratio, **how)
                        texts = [" ".join(f"{value:.2f}" for value in scores) for scores in (together, alone)]
                        worst = f"{(together - alone).min():.2f}"
                        row = [preset, mode, channels, f"{ratio}:1", options.seeds, *texts, worst]
                        table.writerow(row)
                        file.flush()
                        print(*row, sep="\t", flush=True)


if __name__ == "__main__":
    main()
