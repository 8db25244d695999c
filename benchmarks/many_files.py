"""Denoise many small files in one run and monitor its memory and its open files: both must stay constant.

    python benchmarks/many_files.py --files 1000

The command line runs as for a user; its two processes (the run and its worker) are read from /proc, on
Linux only, whenever the manifest has reached another of `MARKS`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from _common import Table
from mashpix.files import ImageFile, write_image

COLUMNS = ("file", "seconds", "run_rss_mib", "run_open", "worker_rss_mib", "worker_open")
MARKS = (10, 100, 250, 500, 750, 1000)
SETTINGS = ("--preset", "fast", "--steps", "2", "--masks", "1", "--threads", "1")
COMMAND = (sys.executable, "-P", "-c", "from mashpix.cli import main; main()", "denoise")


def look(process: int) -> tuple[float, int]:
    """Return memory in use (MiB) and number of open files of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return round(int(resident.split()[1]) / 2**10, 1), len(os.listdir(f"/proc/{process}/fd"))


def find_worker(process: int) -> int:
    """Find the child with the most memory: the other one tracks resources."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return max(map(int, children), key=lambda child: look(child)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--side", type=int, default=32)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name, Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        folder, manifest = Path(name, "in"), Path(name, "out", "mashpix.jsonl")
        folder.mkdir()
        for index in range(args.files):
            pixels = rng.integers(0, 256, (args.side, args.side)).astype(np.uint8)
            write_image(folder / f"{index:04}.png", ImageFile(pixels, "png"))
        started = time.perf_counter()
        with subprocess.Popen([*COMMAND, folder, "-o", manifest.parent, *SETTINGS], stdout=subprocess.DEVNULL) as child:
            for mark in (mark for mark in MARKS if mark <= args.files):
                lines = 0
                while lines < mark - 2 and child.poll() is None:  # before the last file ends, while it is still running
                    time.sleep(0.02)
                    lines = manifest.read_bytes().count(b"\n") if manifest.exists() else 0
                seconds = round(time.perf_counter() - started, 1)
                table.add(mark, seconds, *look(child.pid), *look(find_worker(child.pid)))
        statuses = [b'"status": "done"' in line for line in manifest.read_bytes().splitlines()]
    print(f"exit code {child.returncode}, {sum(statuses)} of {len(statuses)} lines are done")


if __name__ == "__main__":
    main()
