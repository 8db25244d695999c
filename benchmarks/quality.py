"""PSNR of presets on real pairs: one CSV line a picture, with seed and seconds.

    python benchmarks/quality.py sidd --preset scripts --preset default --crop 128 --count 8 --csv out.csv

Pairs are `noisy/NAME` and `clean/NAME` below the folder of the set; `--count N` takes N of them, evenly spaced in
sorted order. PSNR is over all channels with peak 255, of the centre crop, predictions rounded to 8 bit. A line that the
CSV already holds is not measured again.
"""

import argparse
import csv
import statistics
import time
from collections import deque
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import mashpix

DATA = Path(__file__).parents[2] / "shared" / "data"
COLUMNS = (
    "set",
    "name",
    "crop",
    "preset",
    "seed",
    "threads",
    "noisy_db",
    "denoised_db",
    "seconds",
    "masking_ratio",
    "gap",
    "correlation",
)


def centre(path: Path, side: int) -> np.ndarray:
    image = np.asarray(Image.open(path))
    top, left = ((length - side) // 2 if side else 0 for length in image.shape[:2])
    return image[top : image.shape[0] - top, left : image.shape[1] - left] if side else image


def measure(folder: Path, name: str, *, crop: int, preset: str, seed: int) -> dict[str, object]:
    noisy, clean = (centre(folder / kind / name, crop) for kind in ("noisy", "clean"))
    started = time.perf_counter()
    options = {"channel_axis": -1 if noisy.ndim == 3 else None, "settings": preset, "seed": seed, "device": "cpu"}
    (step,) = deque(mashpix.denoise_steps(noisy, preview_every=0, **options), maxlen=1)
    seconds = time.perf_counter() - started
    return {
        "set": folder.name,
        "name": name,
        "crop": crop,
        "preset": preset,
        "seed": seed,
        "threads": torch.get_num_threads(),
        "noisy_db": round(mashpix.psnr(clean, noisy, data_range=255), 3),
        "denoised_db": round(mashpix.psnr(clean, step.denoised, data_range=255), 3),
        "seconds": round(seconds, 1),
        "masking_ratio": step.report.masking_ratio,
        "gap": None if step.report.noise_level_gap is None else round(step.report.noise_level_gap, 4),
        "correlation": round(step.report.neighbour_correlation, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", help="folders below ../shared/data, or paths")
    parser.add_argument("--preset", action="append", required=True)
    parser.add_argument("--crop", type=int, default=128, help="side of the centre crop; 0: whole pictures")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--part", default="1/1", help="I/N: only every N-th of them, from the I-th")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--csv", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    part, parts = map(int, args.part.split("/"))
    known = (
        {tuple(row[c] for c in COLUMNS[:5]) for row in csv.DictReader(args.csv.open())} if args.csv.exists() else set()
    )
    rows = []
    for folder in (DATA / name for name in args.sets):
        names = sorted(path.name for path in (folder / "noisy").iterdir())
        chosen = [names[round(i * len(names) / args.count)] for i in range(min(args.count, len(names)))]
        for name in chosen[part - 1 :: parts]:
            for preset in args.preset:
                if (folder.name, name, str(args.crop), preset, str(args.seed)) in known:
                    continue
                rows.append(measure(folder, name, crop=args.crop, preset=preset, seed=args.seed))
                print(*rows[-1].values(), flush=True)
                fresh = not args.csv.exists()
                with args.csv.open("a", newline="") as file:
                    writer = csv.DictWriter(file, COLUMNS)
                    if fresh:
                        writer.writeheader()
                    writer.writerow(rows[-1])
    for preset in args.preset:
        gains = [row["denoised_db"] for row in rows if row["preset"] == preset]
        if gains:
            print(f"{preset}: mean {statistics.mean(gains):.2f} dB over {len(gains)} pictures")


if __name__ == "__main__":
    main()
