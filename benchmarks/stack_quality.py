"""Compare one network per stack with one per frame: CPU time, PSNR, held-out error and flicker; to stack.csv.

    python benchmarks/stack_quality.py motion ../shared/data/fmdd/clean/Confocal_FISH_1.png
    python benchmarks/stack_quality.py series ../shared/data/sidd             # alike up to the last "_": one series
    python benchmarks/stack_quality.py series ../shared/data/sidd --together    # all of the folder as one series
    python benchmarks/stack_quality.py series ../shared/data/sidd 01_08 01_30   # the series of these names
    python benchmarks/stack_quality.py frames ../shared/data/formats/tubhiswt4D_sub.zarr --side 256

`motion`: a window that moves over one clean image, one pixel per frame, with new Poisson-Gaussian noise in each frame.
`series`: real noisy images of one kind, from noisy/ and clean/ of a folder. `frames`: a real time series, the first
channel and depth of a Zarr array, without a clean version.

Flicker is what is left of the noise in flat blocks, denoised minus clean: the standard deviation of single pixels
(`flicker_pixel`), and of the means of 16 x 16 pixels (`flicker_block`), in the units of the image. In a sequence it
is taken over time, place by place (of `frames`, where the mean over time is flat; real changes are in it); in a series,
where nothing stands still, over the flat blocks of each image and over those of all images.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import imagecodecs
import numpy as np
import torch

import mashpix
from _common import Table, centre
from mashpix.arrays.modelling import apply_model_steps, fit_model_steps
from mashpix.arrays.shared import choose_pictures
from mashpix.report import Step
from mashpix.simulation import add_poisson_gaussian
from mashpix.steps import drain

COLUMNS = ("stack", "frames", "side", "preset", "fit", "threads", "seed", "cpu_seconds", "noisy_db", "denoised_db",
           "worst_gain_db", "held_out_error", "flicker_pixel", "flicker_block", "noisy_flicker_pixel",
           "noisy_flicker_block")  # fmt: skip
GAIN, READ_NOISE = 3.0, 6.0
"""Of the added noise: image units per electron, and standard deviation in image units."""
FLAT = 0.25
"""Fraction of the blocks that count as flat."""
BLOCK = 16
NETWORKS = {"once": "shared", "each": "each"}
"""Names of the choices of `networks` in the CSV, which is older."""


def moving_window(path: Path, *, frames: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make clean and noisy frames (T, Y, X)."""
    picture = imagecodecs.imread(path).astype(np.float32)
    top, left = (length // 2 - side // 2 for length in picture.shape)
    windows = [picture[top : top + side, left + shift : left + shift + side] for shift in range(frames)]
    clean, rng = np.stack(windows), np.random.default_rng(seed)
    noisy = np.stack([add_poisson_gaussian(frame, gain=GAIN, sigma=READ_NOISE, rng=rng) for frame in clean])
    return clean, noisy.astype(np.float32)


def series(folder: Path, names: list[str], *, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the centres of clean and noisy images, (T, Y, X) or (T, Y, X, S)."""
    files = {kind: {path.stem: path for path in (folder / kind).iterdir()} for kind in ("clean", "noisy")}
    clean, noisy = (np.stack([centre(imagecodecs.imread(files[kind][name]), side) for name in names])
                    for kind in ("clean", "noisy"))  # fmt: skip
    return clean, noisy


def find_series(folder: Path) -> list[list[str]]:
    """Group names of noisy images that are the same up to the last "_"; groups have at least two."""
    names = sorted(path.stem for path in (folder / "noisy").iterdir())
    groups = [list(group) for _, group in groupby(names, key=lambda name: name.rpartition("_")[0])]
    return [group for group in groups if len(group) > 1]


def to_blocks(stack: np.ndarray) -> np.ndarray:
    """Cut frames (T, Y, X), or the mean colour of (T, Y, X, S), into blocks (T, rows, columns, pixels)."""
    grey = stack.astype(np.float64) if stack.ndim == 3 else stack.mean(axis=3, dtype=np.float64)
    rows, columns = (length // BLOCK for length in grey.shape[1:])
    cut = grey[:, : rows * BLOCK, : columns * BLOCK].reshape(len(grey), rows, BLOCK, columns, BLOCK)
    return cut.swapaxes(2, 3).reshape(len(grey), rows, columns, -1)


def flicker(error: np.ndarray, clean: np.ndarray, *, moves: bool) -> tuple[float, float]:
    """Return the deviation of an error in flat blocks: of pixels, and of block means; over time in a sequence."""
    errors, variation = to_blocks(error), to_blocks(clean).std(axis=3)
    if moves:
        variation = variation.max(axis=0)
        flat = variation <= np.quantile(variation, FLAT)
        return float(errors.std(axis=0)[flat].mean()), float(errors.mean(axis=3).std(axis=0)[flat].mean())
    flat = variation <= np.quantile(variation, FLAT, axis=(1, 2), keepdims=True)
    return float(np.sqrt(errors.var(axis=3)[flat].mean())), float(errors.mean(axis=3)[flat].std())


def measure(
    clean: np.ndarray | None, noisy: np.ndarray, *, fit: str, preset: str, seed: int, moves: bool
) -> list[object]:
    """Measure CPU seconds, PSNR, held-out error and flicker of one way to fit."""
    channels = "auto" if noisy.ndim == 3 else "rgb"
    axes, denoised = "TYX" if noisy.ndim == 3 else "TYXS", np.empty_like(noisy)
    started = time.process_time()
    if fit == "model":
        steps = apply_fitted(noisy, axes, preset=preset, seed=seed)
    else:
        steps = mashpix.denoise_stack_steps(
            noisy, axes=axes, networks=NETWORKS[fit], channels=channels, settings=preset, seed=seed, device="cpu"
        )
    for step in steps:
        if step.plane is not None:
            denoised[step.plane] = step.denoised
    seconds = time.process_time() - started
    quality: tuple[object, ...] = ("", "", "")
    if clean is not None:
        before, after = ([mashpix.psnr(*pair, data_range=255) for pair in zip(clean, stack, strict=True)]
                         for stack in (noisy, denoised))  # fmt: skip
        gains = np.subtract(after, before)
        quality = tuple(round(float(value), 3) for value in (np.mean(before), np.mean(after), gains.min()))
    true = np.zeros(noisy.shape) if clean is None else clean.astype(np.float64)
    flat = np.broadcast_to(noisy.mean(axis=0), noisy.shape) if clean is None else clean
    flickers = [value for stack in (denoised, noisy) for value in flicker(stack - true, flat, moves=moves)]
    assert step.report is not None
    return [round(seconds, 1), *quality, round(step.report.held_out_error, 3), *(round(item, 3) for item in flickers)]


def apply_fitted(noisy: np.ndarray, axes: str, *, preset: str, seed: int) -> Iterator[Step]:
    """Fit a model to some of the frames and apply it to all, as for a series of files."""
    pictures = [frame[None] if frame.ndim == 2 else np.moveaxis(frame, -1, 0) for frame in noisy]
    chosen = choose_pictures(lambda index: pictures[index], len(pictures))
    model = drain(
        fit_model_steps(chosen, channels="auto" if noisy.ndim == 3 else "rgb", settings=preset, seed=seed, device="cpu")
    )
    return apply_model_steps(model, noisy, axes=axes, seed=seed, device="cpu")


def read_frames(path: Path, *, side: int) -> np.ndarray:
    """Read frames (T, Y, X) of a Zarr array TCZYX."""
    import zarr

    stack = np.asarray(zarr.open(str(path), mode="r")["0"][:, 0, 0])
    return np.stack([centre(frame, side) for frame in stack])


def list_stacks(args: argparse.Namespace) -> list[tuple[str, np.ndarray | None, np.ndarray]]:
    """Yield name, clean and noisy frames of the requested stacks."""
    if args.what == "motion":
        return [(f"motion {args.path.stem}", *moving_window(args.path, frames=args.frames, side=args.side,
                                                            seed=args.seed))]  # fmt: skip
    if args.what == "frames":
        return [(f"frames {args.path.stem}", None, read_frames(args.path, side=args.side))]
    if args.together:
        names = sorted(path.stem for path in (args.path / "noisy").iterdir())
        return [(f"series {args.path.stem}, all", *series(args.path, names, side=args.side))]
    groups = [args.names] if args.names else find_series(args.path)
    return [(" ".join(["series", args.path.stem, *names]), *series(args.path, names, side=args.side))
            for names in groups]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("motion", "series", "frames"))
    parser.add_argument("path", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--fit", nargs="+", default=["once", "model", "each"],
                        help="model: as a series of files has it, each with its own noise")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("stack.csv"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with Table(args.csv, COLUMNS, append=True) as table:
        for name, clean, noisy in list_stacks(args):
            for fit in args.fit:
                row = measure(clean, noisy, fit=fit, preset=args.preset, seed=args.seed, moves=args.what != "series")
                table.add(name, len(noisy), noisy.shape[1], args.preset, fit, args.threads, args.seed, *row)


if __name__ == "__main__":
    main()
