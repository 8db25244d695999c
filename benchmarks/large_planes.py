"""Measure seconds and peak memory of `mashpix denoise --by-blocks` against the size of one plane.

    python benchmarks/large_planes.py KODAK --megapixels 16 64 256

The plane is a mosaic of the grey images in KODAK, each time turned in another way, with new white noise of sigma 15;
each size runs in a separate process, with few updates and masks: the time per pixel is that of these settings.
"""

import argparse
import resource
import tempfile
import time
from itertools import count
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from PIL import Image

from _common import Table, measure_alone
from mashpix.jobs import DenoiseRequest, denoise_file, run
from mashpix.settings import preset

COLUMNS = ("megapixels", "side", "refine", "seconds", "seconds_per_megapixel", "cpu_seconds", "peak_mib")
PIECE = 512
"""Side of the pieces of the mosaic, pixels."""


def write_mosaic(path: Path, side: int, images: list[Path]) -> None:
    """Write a mosaic row by row of pieces."""
    rng, numbers = np.random.default_rng(0), count()
    open_memmap(path, "w+", np.uint16, (side, side))
    for top in range(0, side, PIECE):
        plane = open_memmap(path, "r+")  # pages of a map count as memory in use for as long as the map exists
        for left in range(0, side, PIECE):
            number = next(numbers)
            piece = np.asarray(Image.open(images[number % len(images)]).convert("L"), np.float32)[:PIECE, :PIECE]
            piece = np.rot90(piece[:, :: 1 - 2 * (number // len(images) % 2)], number // len(images) // 2)
            height, width = (min(PIECE, side - start) for start in (top, left))
            piece = np.pad(piece, [(0, PIECE - length) for length in piece.shape], "reflect")[:height, :width]
            plane[top : top + height, left : left + width] = piece * 16 + rng.normal(1000, 240, piece.shape)


def measure(folder: Path, megapixels: float, *, refine: bool) -> tuple[object, ...]:
    """Denoise one mosaic; seconds and memory are those of the whole process."""
    torch.set_num_threads(1)
    settings = preset("fast").replace(steps=20, masks=2, refine=refine)
    side = round((megapixels * 1e6) ** 0.5)
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "a.npy"), Path(place, "b.npy")
        write_mosaic(source, side, sorted(folder.glob("*.png")))
        before = time.perf_counter(), time.process_time()
        request = DenoiseRequest(
            source=source, target=target, settings=settings, device="cpu", by_blocks=1, max_pixels=2**34
        )
        run(denoise_file(request))
        seconds, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return megapixels, side, refine, round(seconds, 1), round(seconds / megapixels, 2), round(cpu, 1), peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[16, 64, 256])
    parser.add_argument("--refine", action="store_true")
    args = parser.parse_args()
    if len(args.megapixels) == 1:
        print(*measure(args.images, args.megapixels[0], refine=args.refine))
        return
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for megapixels in args.megapixels:
            options = (args.images, "--megapixels", megapixels, *(["--refine"] if args.refine else []))
            table.add(*measure_alone(__file__, *options))


if __name__ == "__main__":
    main()
