"""Measure the peak memory of `mashpix denoise` for increasingly long stacks, with all maps saved.

python benchmarks/stack_memory.py --frames 4 16 64
"""

import argparse
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import tifffile

from _common import Table

COLUMNS = ("format", "planes", "side", "fit", "refine", "threads", "stack_mib", "peak_mib", "anonymous_mib")
NETWORKS = {"once": "shared", "each": "each"}
"""Names of the choices of --networks in the CSV, which is older."""
CHILD = """
import re, sys, threading, time
from pathlib import Path
from mashpix.cli import app
most = 0
def watch():
    global most
    while True:
        most = max(most, int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
try:
    app(sys.argv[1:])
finally:
    from mashpix.evaluation.timed_process import peak_mib
    print("memory", peak_mib(), most / 1024)
"""
"""Runs `mashpix denoise` in a process that reports its peak memory at the end: all, and without mapped files."""


def measure(kind: str, *, planes: int, side: int, fit: str, refine: bool, threads: int) -> list[object]:
    """Return the size of a stack of noise, and the peak memory while it is denoised, MiB."""
    rng = np.random.default_rng(0)
    rows = 1000 + 300 * np.sin(np.arange(side) / 9)[:, None]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        make = np.lib.format.open_memmap if kind == "npy" else tifffile.memmap
        stack = make(path, dtype=np.uint16, shape=(planes, side, side), **({"mode": "w+"} if kind == "npy" else {}))
        for index in range(planes):
            stack[index] = rng.normal(rows, 50, (side, side))
        del stack
        compare = str(Path(folder) / "c.png")
        options = ["--axes", "ZYX", "--networks", NETWORKS[fit],
                   "--preset", "fast", "--steps", "10", "--threads", str(threads),
                   "--save", "spread,residual", "--compare", compare, *([] if refine else ["--no-refine"])]  # fmt: skip
        done = subprocess.run([sys.executable, "-c", CHILD, "denoise", str(path), *options], check=True,
                              capture_output=True, text=True)  # fmt: skip
        size = path.stat().st_size / 2**20
    peak, anonymous = map(float, done.stdout.splitlines()[-1].split()[1:])
    return [kind, planes, side, fit, refine, threads, round(size, 1), round(peak, 1), round(anonymous, 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--fit", nargs="+", default=["once"], choices=("once", "each"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-refine", action="store_true", help="quicker")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    args = parser.parse_args()
    with Table(args.csv, COLUMNS, append=True) as table:
        for kind, planes, fit in product(("tif", "npy"), args.frames, args.fit):
            options = {"side": args.side, "fit": fit, "refine": not args.no_refine, "threads": args.threads}
            table.add(*measure(kind, planes=planes, **options))


if __name__ == "__main__":
    main()
