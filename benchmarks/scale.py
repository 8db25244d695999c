"""Measure seconds and peak memory for increasingly large RGB images, each in a separate process.

    python benchmarks/scale.py --megapixels 0.25 1 4 12 --threads 2

The image is the demo image, mirrored repeatedly, with white noise of sigma 15.
"""

import argparse
import resource
import time
from collections import deque
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import mashpix
from _common import Table, measure_alone

COLUMNS = ("megapixels", "height", "width", "preset", "threads", "seconds", "peak_mib")


def measure(megapixels: float, *, preset: str, threads: int) -> tuple[object, ...]:
    torch.set_num_threads(threads)
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(megapixels * 1e6 / height)
    with files("mashpix").joinpath("data/demo.png").open("rb") as file:
        piece = np.asarray(Image.open(file))
    clean = np.pad(piece, ((0, height), (0, width), (0, 0)), mode="symmetric")[:height, :width]
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 15, clean.shape), 0, 255).astype(np.uint8)
    started = time.perf_counter()
    deque(mashpix.denoise_steps(noisy, channel_axis=-1, settings=preset, device="cpu", preview_every=0), maxlen=1)
    seconds = round(time.perf_counter() - started, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return megapixels, height, width, preset, threads, seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.25, 1, 4])
    parser.add_argument("--preset", default="default")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if len(args.megapixels) == 1:
        print(*measure(args.megapixels[0], preset=args.preset, threads=args.threads))
        return
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for megapixels in args.megapixels:
            options = ("--megapixels", megapixels, "--preset", args.preset, "--threads", args.threads)
            table.add(*measure_alone(__file__, *options))


if __name__ == "__main__":
    main()
