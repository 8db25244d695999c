"""Compare this version with another in one run: PSNR, processor seconds, and whether the bytes are the same.

    python benchmarks/before_after.py ../shared/data --before OTHER/src [--presets fast default] [--count 2]

Centre crops of `--count` images of each set, spread over it, and of the clean images in `kodak` with the noise of
Eq. 2 (sigma 25, beta 0 and 1). Each result comes from a process of its own with one thread, the two versions in turn.
Written to benchmarks/before_after.csv.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import mashpix
from _common import SETS, Table, centre, load, load_pair
from mashpix.simulation import correlated_noise

SIGMA, SEED = 25, 0
COLUMNS = (
    "set", "name", "side", "preset", "seed", "noisy_db", "before_db", "after_db", "before_cpu", "after_cpu",
    "same_bytes",
)  # fmt: skip
PROGRAM = f"""
import sys, time, numpy as np, torch, mashpix
torch.set_num_threads(1)
source, target, preset = sys.argv[1:]
noisy = np.load(source)
start = time.process_time()
axis = -1 if noisy.ndim == 3 else None
np.save(target, mashpix.denoise(noisy, channel_axis=axis, settings=preset, seed={SEED}, device="cpu"))
print(time.process_time() - start)
"""


def spread_out(paths, count):
    """Return `count` paths at equal distances, none of them the first or the last."""
    paths = sorted(paths)
    return [paths[len(paths) * (2 * index + 1) // (2 * count)] for index in range(count)]


def cases(root, *, count, side):
    """Yield set, name, and clean and noisy crop."""
    for kind in (*SETS, "renoir"):
        for path in spread_out((root / kind / "noisy").iterdir(), count):
            yield kind, path.name, *load_pair(root, kind, path.name, side)
    for beta in (0, 1):
        for path in spread_out((root / "kodak").glob("*.png"), count):
            clean = centre(load(path), side).astype(np.float32)
            noise = correlated_noise(clean.shape, sigma=SIGMA, beta=beta, rng=np.random.default_rng(SEED))
            yield f"kodak beta {beta}", path.name, clean, clean + noise.astype(np.float32)


def denoise(noisy, preset, *, source, folder):
    """Denoise with the version in `source`; return the result and its processor seconds."""
    before, after = folder / "noisy.npy", folder / "denoised.npy"
    np.save(before, noisy)
    command = [sys.executable, "-c", PROGRAM, before, after, preset]
    environment = os.environ | {"PYTHONPATH": str(source)}
    run = subprocess.run(list(map(str, command)), check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return np.load(after), float(run.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--before", type=Path, required=True, help="the folder src of the other version")
    parser.add_argument("--presets", nargs="+", default=["fast", "default"])
    parser.add_argument("--count", type=int, default=2, help="images of each set")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    sources = options.before.resolve(), Path(mashpix.__file__).resolve().parents[1]
    with Table(options.out, COLUMNS) as table, tempfile.TemporaryDirectory() as folder:
        for preset in options.presets:
            for kind, name, clean, noisy in cases(options.root, count=options.count, side=options.side):
                runs = [denoise(noisy, preset, source=source, folder=Path(folder)) for source in sources]
                levels = [
                    mashpix.psnr(clean, image, data_range=255) for image in (noisy, *(image for image, _ in runs))
                ]
                times = [seconds for _, seconds in runs]
                same = np.array_equal(runs[0][0], runs[1][0])
                row = *(f"{level:.3f}" for level in levels), *(f"{seconds:.1f}" for seconds in times), same
                table.add(kind, name, options.side, preset, SEED, *row)


if __name__ == "__main__":
    main()
