"""One network for a stack against one for each frame: processor time, PSNR and flicker, to a CSV.

    python benchmarks/stack.py motion ../shared/data/fmdd/clean/Confocal_FISH_1.png --csv benchmarks/stack.csv
    python benchmarks/stack.py series ../shared/data/sidd 01_08 01_30 --csv benchmarks/stack.csv

`motion`: a window that moves over one clean picture, a pixel a frame, with fresh Poisson-Gaussian noise in every frame.
`series`: real noisy pictures of one kind, from noisy/ and clean/ of a folder; nothing stands still there, so there is
no flicker to measure.

Flicker is the standard deviation over time of what is left of the noise, denoised minus clean: of single pixels
(`flicker_pixel`), and of the mean of 16 x 16 pixels (`flicker_block`), where the clean frames are flat, in the units
of the picture.
"""

import argparse
import csv
import time
from pathlib import Path

import imagecodecs
import numpy as np
import torch

import mashpix
from mashpix.noise import add_poisson_gaussian

COLUMNS = ("stack", "frames", "side", "preset", "fit", "threads", "seed", "cpu_seconds", "noisy_db", "denoised_db",
           "worst_gain_db", "flicker_pixel", "flicker_block", "noisy_flicker_pixel")  # fmt: skip
GAIN, READ_NOISE = 3.0, 6.0
"""Of the added noise: units of the picture an electron, and standard deviation in units of the picture."""
FLAT = 0.25
"""Fraction of the blocks that are taken for flat."""
BLOCK = 16


def moving_window(path: Path, *, frames: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clean and noisy frames (T, Y, X)."""
    picture = imagecodecs.imread(path).astype(np.float32)
    top, left = (length // 2 - side // 2 for length in picture.shape)
    windows = [picture[top : top + side, left + shift : left + shift + side] for shift in range(frames)]
    clean, rng = np.stack(windows), np.random.default_rng(seed)
    noisy = np.stack([add_poisson_gaussian(frame, gain=GAIN, sigma=READ_NOISE, rng=rng) for frame in clean])
    return clean, noisy.astype(np.float32)


def series(folder: Path, names: list[str], *, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Clean and noisy pictures, (T, Y, X) or (T, Y, X, S), the centre of each."""
    pair = []
    for kind in ("clean", "noisy"):
        pictures = [imagecodecs.imread(folder / kind / f"{name}.png") for name in names]
        top, left = (max(length // 2 - side // 2, 0) for length in pictures[0].shape[:2])
        pair.append(np.stack([picture[top : top + side, left : left + side] for picture in pictures]))
    return pair[0], pair[1]


def flicker(error: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """Deviation over time of an error (T, Y, X) in flat blocks: of pixels, and of the means of blocks."""
    count = clean.shape[1] // BLOCK
    shape = (len(clean), count, BLOCK, count, BLOCK)
    cut = (slice(None), slice(count * BLOCK), slice(count * BLOCK))
    variation = clean[cut].reshape(shape).std(axis=(2, 4)).max(axis=0)
    flat = variation <= np.quantile(variation, FLAT)
    blocks = error[cut].reshape(shape)
    of_pixels = blocks.std(axis=0).mean(axis=(1, 3))[flat].mean()
    of_means = blocks.mean(axis=(2, 4)).std(axis=0)[flat].mean()
    return float(of_pixels), float(of_means)


def measure(clean: np.ndarray, noisy: np.ndarray, *, fit: str, preset: str, seed: int, moves: bool) -> list[object]:
    """Processor seconds, PSNR and flicker of one way to fit."""
    axes = "TYX" if clean.ndim == 3 else "TYXS"
    started = time.process_time()
    denoised = mashpix.denoise_stack(noisy, axes=axes, fit=fit, settings=preset, seed=seed, device="cpu")
    seconds = time.process_time() - started
    before, after = ([mashpix.psnr(*pair, data_range=255) for pair in zip(clean, stack, strict=True)]
                     for stack in (noisy, denoised))  # fmt: skip
    gains = np.subtract(after, before)
    flickers: tuple[object, ...] = ("", "", "")
    if moves:
        pixel, block = flicker(denoised - clean, clean)
        flickers = (round(pixel, 3), round(block, 3), round(flicker(noisy - clean, clean)[0], 3))
    quality = [round(float(value), 3) for value in (np.mean(before), np.mean(after), gains.min())]
    return [round(seconds, 1), *quality, *flickers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("motion", "series"))
    parser.add_argument("path", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    moves = args.what == "motion"
    if moves:
        clean, noisy = moving_window(args.path, frames=args.frames, side=args.side, seed=args.seed)
    else:
        clean, noisy = series(args.path, args.names, side=args.side)
    name = " ".join([args.what, args.path.stem, *args.names])
    new = not args.csv.exists()
    with args.csv.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        for fit in ("once", "each"):
            row = measure(clean, noisy, fit=fit, preset=args.preset, seed=args.seed, moves=moves)
            writer.writerow([name, len(clean), clean.shape[1], args.preset, fit, args.threads, args.seed, *row])
            file.flush()
            print(name, fit, *row, sep="\t", flush=True)


if __name__ == "__main__":
    main()
