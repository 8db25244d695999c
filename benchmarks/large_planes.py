"""Measure seconds and peak memory of `mashpix denoise --by-blocks` against the size of one plane.

    python benchmarks/large_planes.py KODAK --megapixels 16 64 256 1024
    python benchmarks/large_planes.py KODAK --megapixels 16 64 --refine --append
    python benchmarks/large_planes.py KODAK --megapixels 256 1024 --filled 0.03 --append

The plane is a mosaic of the grey images in KODAK, each time turned in another way, with new white noise of sigma 15;
each size runs in a separate process, with a tiny network, few updates and one mask: the time per pixel is that of these
settings. Below the share of it that is `filled`, the plane is 0, as most of a slide of a microscope is empty. Memory is
sampled: that of the process itself, and with it the pages of the file that it has mapped.
"""

import argparse
import tempfile
import threading
import time
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from _common import Table, measure_alone
from mashpix.jobs import DenoiseRequest, denoise_file, run
from mashpix.settings import preset

COLUMNS = ("megapixels", "side", "filled", "refine", "seconds", "cpu_seconds", "peak_mib", "peak_with_maps_mib")
PIECE = 512
"""Side of the pieces of the mosaic, pixels."""
SETTINGS = preset("fast").replace(steps=10, masks=1, channels=4, depth=1)
SAMPLE_EVERY = 0.02
"""Seconds between two looks at the memory in use."""


class Memory(threading.Thread):
    """Samples the memory in use for as long as the process lives: `anonymous` and `all` are the peaks, bytes."""

    anonymous = all = 0

    def run(self) -> None:
        """Look again and again."""
        while True:
            status = Path("/proc/self/status").read_text().splitlines()
            sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in status if line.startswith("Rss")}
            self.anonymous = max(self.anonymous, sizes["RssAnon"])
            self.all = max(self.all, sum(sizes.values()))
            time.sleep(SAMPLE_EVERY)


@cache
def read_grey(path: Path) -> NDArray[np.uint8]:
    """Read an image without its colours."""
    return np.asarray(Image.open(path).convert("L"))


def write_mosaic(path: Path, side: int, images: list[Path], *, filled: float) -> None:
    """Write a mosaic row by row of pieces, as far as it is filled."""
    rng, numbers = np.random.default_rng(0), count()
    open_memmap(path, "w+", np.uint16, (side, side))
    for top in range(0, round(side * filled), PIECE):
        plane = open_memmap(path, "r+")  # pages of a map count as memory in use for as long as the map exists
        for left in range(0, side, PIECE):
            number = next(numbers)
            piece = read_grey(images[number % len(images)])[:PIECE, :PIECE].astype(np.float32)
            piece = np.rot90(piece[:, :: 1 - 2 * (number // len(images) % 2)], number // len(images) // 2)
            height, width = (min(PIECE, side - start) for start in (top, left))
            piece = np.pad(piece, [(0, PIECE - length) for length in piece.shape], "reflect")[:height, :width]
            plane[top : top + height, left : left + width] = piece * 16 + rng.normal(1000, 240, piece.shape)


def measure(folder: Path, megapixels: float, *, filled: float, refine: bool) -> tuple[object, ...]:
    """Denoise one mosaic; the time is that of the denoising, the memory that of the whole process."""
    torch.set_num_threads(1)
    side = round((megapixels * 1e6) ** 0.5)
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "a.npy"), Path(place, "b.npy")
        write_mosaic(source, side, sorted(folder.glob("*.png")), filled=filled)
        memory = Memory(daemon=True)
        memory.start()
        before = time.perf_counter(), time.process_time()
        settings = SETTINGS.replace(refine=refine)
        request = DenoiseRequest(
            source=source, target=target, settings=settings, device="cpu", by_blocks=1, max_pixels=2**34
        )
        run(denoise_file(request))
        seconds, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
    peaks = (round(size / 2**20) for size in (memory.anonymous, memory.all))
    return megapixels, side, filled, refine, round(seconds, 1), round(cpu, 1), *peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[16, 64, 256])
    parser.add_argument("--filled", type=float, default=1.0)
    parser.add_argument("--refine", action="store_true")
    parser.add_argument("--append", action="store_true")
    parser.add_argument("--print", action="store_true", help="measure the first size in this process")
    args = parser.parse_args()
    if args.print:
        print(*measure(args.images, args.megapixels[0], filled=args.filled, refine=args.refine))
        return
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS, append=args.append) as table:
        for megapixels in args.megapixels:
            options = ("--megapixels", megapixels, "--filled", args.filled, *["--refine"] * args.refine, "--print")
            table.add(*measure_alone(__file__, args.images, *options))


if __name__ == "__main__":
    main()
