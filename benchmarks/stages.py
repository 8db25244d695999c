"""Measure wall and processor seconds of each stage, and the peak memory, for one large RGB image.

    python benchmarks/stages.py ../shared/data/cc15/noisy --megapixels 12 --label after [--threads 2]

The image is a mosaic of the photos in a folder, each mirrored as often as it takes. Another version is measured with
PYTHONPATH=OTHER/src. Rows are added to benchmarks/stages.csv.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch

import mashpix
from _common import Table, load

COLUMNS = ("label", "photos", "megapixels", "preset", "threads", "stage", "wall_s", "cpu_s", "peak_mib")


def mosaic(paths, height, width):
    """Return (height, width, 3) of photos, each with its mirror images, in rows."""
    tiles = [np.pad(load(path), ((0, 512), (0, 512), (0, 0)), mode="symmetric") for path in paths]
    side = min(min(tile.shape[:2]) for tile in tiles)
    down, right = -(-height // side), -(-width // side)
    rows = [
        np.concatenate([tiles[(row * right + column) % len(tiles)][:side, :side] for column in range(right)], axis=1)
        for row in range(down)
    ]
    return np.concatenate(rows)[:height, :width]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--label", required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    height = round((options.megapixels * 1e6 * 3 / 4) ** 0.5)
    noisy = mosaic(sorted(options.folder.iterdir()), height, round(options.megapixels * 1e6 / height))
    seconds, before = {}, (time.perf_counter(), time.process_time())
    for step in mashpix.denoise_steps(noisy, channel_axis=-1, settings=options.preset, device="cpu", preview_every=0):
        now = time.perf_counter(), time.process_time()
        wall, cpu, _ = seconds.get(step.stage, (0.0, 0.0, 0))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        seconds[step.stage] = wall + now[0] - before[0], cpu + now[1] - before[1], peak
        before = now
    walls, cpus, peaks = zip(*seconds.values(), strict=True)
    seconds["all"] = sum(walls), sum(cpus), max(peaks)
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS, append=True) as table:
        for stage, (wall, cpu, peak) in seconds.items():
            case = options.label, options.folder.parent.name, options.megapixels, options.preset, options.threads
            table.add(*case, stage, f"{wall:.1f}", f"{cpu:.1f}", peak)


if __name__ == "__main__":
    main()
