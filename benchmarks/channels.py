"""Unrelated channels, as of fluorescence: each alone, as `channels="auto"` takes them, jointly, and jointly before.

    python benchmarks/channels.py [--presets fast default] [--channels 1 2 3 4 5] [--through denoise stack command]
        [--modes alone auto joint] [--before OTHER/src] [--append]

Sparse scenes of 128 x 128 pixels with white noise of 5 % of each channel's range (26.0 dB); ranges are equal,
or 1000 : 1 in equal ratios. One row per case and mode: the PSNR of each channel in dB, the least difference to the same
channel alone, and whether the bytes are those of the channel alone. `--before` adds the results of version 0.1, which
knew one way only through `denoise`, and elsewhere `joint`. Through the command, channels are uint16 in an OME-TIFF.
Written to benchmarks/channels.csv.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import tifffile

import mashpix
from _common import Table

SIDE, NOISE, COUNTS, BLACK = 128, 0.05, 40.0, 12_000.0
COLUMNS = "preset", "through", "channels", "ranges", "mode", "seed", "psnr", "worst_difference", "same_bytes"
CALLS = {
    "denoise": "mashpix.denoise(a, channel_axis=0, settings=preset, seed=seed, device='cpu')",
    "stack": "mashpix.denoise_stack(a, axes='CYX', joint=True, settings=preset, seed=seed, device='cpu')",
}
"""What `--before` calls on an array in a process of its own."""


def spots(rng):
    """Draw spots of different sizes on black, 0..1."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    scene = np.zeros((SIDE, SIDE))
    for _ in range(25):
        row, column, size = *rng.uniform(0, SIDE, 2), rng.uniform(1.5, 6)
        scene += rng.uniform(0.2, 1) * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * size**2))
    return scene / scene.max()


def make_case(channels, ratio, seed):
    """Make clean and noisy channels (C, H, W) and their ranges; a channel shows the same scene in every case."""
    ranges = 1000.0 * np.geomspace(1, 1 / ratio, channels) if channels > 1 else np.array([1000.0])
    clean, noisy = np.empty((2, channels, SIDE, SIDE))
    for index, size in enumerate(ranges):
        rng = np.random.default_rng([seed, index])
        clean[index] = size * spots(rng)
        noisy[index] = clean[index] + rng.normal(0, NOISE * size, (SIDE, SIDE))
    return clean, noisy, ranges


def call_before(source, array, *, through, preset, seed):
    """Denoise with another version, in a separate process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npy"
        np.save(path, array)
        lines = ["import sys, numpy as np, mashpix", "path, preset, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])"]
        code = "\n".join([*lines, "a = np.load(path)", f"np.save(path, {CALLS[through]})"])
        command = [sys.executable, "-c", code, path, preset, seed]
        subprocess.run(list(map(str, command)), check=True, env=os.environ | {"PYTHONPATH": str(source)})
        return np.load(path)


def call_command(array, *flags, preset, seed, source=None):
    """Denoise a uint16 OME-TIFF with the command."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = (Path(folder) / name for name in ("a.ome.tif", "b.ome.tif"))
        tifffile.imwrite(before, np.rint(BLACK + COUNTS * array).astype(np.uint16), metadata={"axes": "CYX"})
        command = [sys.executable, "-c", "from mashpix.cli import main; main()", "denoise", before, "-o", after, *flags]
        command += ["--preset", preset, "--seed", seed, "--device", "cpu"]
        env = os.environ | ({"PYTHONPATH": str(source)} if source else {})
        subprocess.run(list(map(str, command)), check=True, env=env, capture_output=True)
        return (tifffile.imread(after) - BLACK) / COUNTS


def denoise(noisy, *, through, mode, preset, seed, before):
    how = {"settings": preset, "seed": seed, "device": "cpu"}
    if through == "command":
        call = partial(call_command, preset=preset, seed=seed)
        if mode == "before":
            return call(noisy, "--joint", source=before)
        planes = [plane[None] for plane in noisy] if mode == "alone" else [noisy]
        flags = [] if mode == "alone" else ["--channels", mode]
        return np.concatenate([np.reshape(call(array, *flags), (-1, SIDE, SIDE)) for array in planes])
    if mode == "before":
        return call_before(before, noisy, through=through, preset=preset, seed=seed)
    if mode == "alone":
        return np.stack([mashpix.denoise(plane, **how) for plane in noisy])
    if through == "stack":
        return mashpix.denoise_stack(noisy, axes="CYX", channels=mode, **how)
    return mashpix.denoise(noisy, channel_axis=0, channels=mode, **how)


def rows_of(options):
    """Yield the rows of all cases, with `COLUMNS`."""
    cases = product(options.presets, options.through, options.channels, options.ratios, range(options.seeds))
    for preset, through, channels, ratio, seed in cases:
        if channels == 1 and ratio > 1:
            continue
        clean, noisy, ranges = make_case(channels, ratio, seed)
        alone = None
        for mode in [*options.modes, *(["before"] if options.before else [])]:
            found = denoise(noisy, through=through, mode=mode, preset=preset, seed=seed, before=options.before)
            planes = zip(clean, found, ranges, strict=True)
            scores = np.array([mashpix.psnr(truth, result, data_range=size) for truth, result, size in planes])
            alone = (found, scores) if mode == "alone" else alone
            texts = [" ".join(f"{score:.2f}" for score in scores), "", ""]
            if alone is not None and mode != "alone":
                texts[1:] = f"{(scores - alone[1]).min():.2f}", str(np.array_equal(found, alone[0]))
            yield preset, through, channels, f"{ratio}:1", mode, seed, *texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["fast", "default"])
    parser.add_argument("--through", nargs="+", default=["denoise"])
    parser.add_argument("--modes", nargs="+", default=["alone", "auto", "joint"])
    parser.add_argument("--channels", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--ratios", nargs="+", type=int, default=[1, 1000])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--before", type=Path, help="the folder src of version 0.1")
    parser.add_argument("--append", action="store_true", help="add rows to the existing table")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    with Table(options.out, COLUMNS, append=options.append) as table:
        for row in rows_of(options):
            table.add(*row)


if __name__ == "__main__":
    main()
