"""Unrelated channels, as of fluorescence: each alone, as `channels="auto"` takes them, jointly, and jointly before.

    python benchmarks/channels.py [--presets fast default] [--channels 1 2 3 4 5] [--through denoise stack command]
        [--modes auto joint] [--side 128] [--before OTHER/src] [--append]

Sparse scenes of `--side` pixels with white noise of 5 % of each channel's range (26.0 dB); ranges are equal,
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
from itertools import product
from pathlib import Path

import numpy as np
import tifffile

import mashpix
from _common import Table

NOISE, COUNTS, BLACK = 0.05, 40.0, 12_000.0
COLUMNS = "preset", "side", "through", "channels", "ranges", "mode", "seed", "psnr", "worst_difference", "same_bytes"
CALLS = {
    "denoise": "mashpix.denoise(a, channel_axis=0, settings=preset, seed=seed, device='cpu')",
    "stack": "mashpix.denoise_stack(a, axes='CYX', joint=True, settings=preset, seed=seed, device='cpu')",
}
"""What `--before` calls on an array in a process of its own."""


def spots(rng, side):
    """Draw spots of different sizes on black, 0..1."""
    rows, columns = np.mgrid[:side, :side]
    scene = np.zeros((side, side))
    for _ in range(25):
        row, column, size = *rng.uniform(0, side, 2), rng.uniform(1.5, 6)
        scene += rng.uniform(0.2, 1) * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * size**2))
    return scene / scene.max()


def make_case(channels, ratio, seed, side):
    """Make clean and noisy channels (C, H, W) and their ranges; a channel shows the same scene in every case."""
    ranges = 1000.0 * np.geomspace(1, 1 / ratio, channels) if channels > 1 else np.array([1000.0])
    clean, noisy = np.empty((2, channels, side, side))
    for index, size in enumerate(ranges):
        rng = np.random.default_rng([seed, index])
        clean[index] = size * spots(rng, side)
        noisy[index] = clean[index] + rng.normal(0, NOISE * size, (side, side))
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
    """Denoise channels (C, H, W) in one way."""
    how = {"settings": preset, "seed": seed, "device": "cpu"}
    if through == "command":
        flags = ["--joint"] if mode == "before" else ["--channels", mode] if mode else []
        source = before if mode == "before" else None
        return np.reshape(call_command(noisy, *flags, preset=preset, seed=seed, source=source), noisy.shape)
    if mode == "before":
        return call_before(before, noisy, through=through, preset=preset, seed=seed)
    if through == "stack":
        return mashpix.denoise_stack(noisy, axes="CYX", channels=mode or "auto", **how)
    return mashpix.denoise(noisy, channel_axis=0, channels=mode or "auto", **how)


def denoise_alone(noisy, *, found, **how):
    """Denoise each channel (C, H, W) by itself; `found` holds those of earlier cases."""
    for plane in noisy:
        key = how["through"] == "command", how["preset"], how["seed"], plane.tobytes()
        if key not in found:
            found[key] = denoise(plane[None], mode=None, **how)[0]
        yield found[key]


def score(clean, result, ranges):
    """Return the PSNR of each channel, dB."""
    planes = zip(clean, result, ranges, strict=True)
    return np.array([mashpix.psnr(truth, plane, data_range=size) for truth, plane, size in planes])


def rows_of(options):
    """Yield the rows of all cases, with `COLUMNS`."""
    cases = product(options.presets, options.through, options.channels, options.ratios, range(options.seeds))
    found = {}
    for preset, through, channels, ratio, seed in cases:
        if channels == 1 and ratio > 1:
            continue
        clean, noisy, ranges = make_case(channels, ratio, seed, options.side)
        how = {"through": through, "preset": preset, "seed": seed, "before": options.before}
        alone = np.stack(list(denoise_alone(noisy, found=found, **how)))
        for mode in ["alone", *options.modes, *(["before"] if options.before else [])]:
            result = alone if mode == "alone" else denoise(noisy, mode=mode, **how)
            scores, reference = (score(clean, image, ranges) for image in (result, alone))
            texts = " ".join(f"{value:.2f}" for value in scores), f"{(scores - reference).min():.2f}"
            case = preset, options.side, through, channels, f"{ratio}:1", mode, seed
            yield *case, *texts, np.array_equal(result, alone)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["fast", "default"])
    parser.add_argument("--through", nargs="+", default=["denoise"])
    parser.add_argument("--modes", nargs="+", default=["auto", "joint"])
    parser.add_argument("--side", type=int, default=128)
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
