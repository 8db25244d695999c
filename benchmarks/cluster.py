"""Measure a folder on a cluster against the same without: seconds per file, and memory of the run with the scheduler.

    PYTHONPATH=src:tests/helpers python benchmarks/cluster.py --files 10000        # overhead: a job that reverses bytes
    PYTHONPATH=src:tests/helpers python benchmarks/cluster.py --files 32 --side 128 --denoise --append    # throughput

Each row is a process of its own. The time is that from the first file that is done to the last, for each file between:
to start the workers takes longer than tiny files do. "local:N" are N workers of one thread, "plain" is `--jobs 1`.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from _common import Table, measure_alone
from batches import reverse
from mashpix.cluster import ClusterExecutor, connect
from mashpix.files import ImageFile, write_image
from mashpix.jobs import DenoiseRequest, denoise_file
from mashpix.jobs.batch import NOWHERE, Batch, Executor, FileDone, ProcessExecutor, run_batch
from mashpix.settings import preset

COLUMNS = ("job", "how", "files", "side", "first_done_after_s", "seconds_per_file", "peak_mib")
HOWS = ("plain", "local:1", "local:2")


def measure(how: str, *, files: int, side: int, is_denoised: bool) -> tuple[object, ...]:
    """Run the batch in one way."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "in")
        folder.mkdir()
        for index in range(files):
            pixels = rng.integers(0, 256, (side, side)).astype(np.uint8)
            write_image(folder / f"{index:05}.png", ImageFile(pixels, "png"))
        request = DenoiseRequest(source=NOWHERE, target=NOWHERE, settings=preset("fast"), device="cpu")
        batch = Batch(inputs=[folder], out=Path(name, "out"), request=request)
        started = time.perf_counter()

        def run(execute: Executor) -> list[float]:
            events = run_batch(batch, execute=execute, job=denoise_file if is_denoised else reverse)
            return [time.perf_counter() - started for event in events if isinstance(event, FileDone)]

        if how == "plain":
            done = run(ProcessExecutor(1, 1))
        else:
            with connect(how, threads=1) as client:
                done = run(ClusterExecutor(client, threads=1))
    assert len(done) == files, f"{files - len(done)} files have failed"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    each = round((done[-1] - done[0]) / (files - 1), 4)
    return "denoise" if is_denoised else "reverse", how, files, side, round(done[0], 1), each, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=8)
    parser.add_argument("--denoise", action="store_true")
    parser.add_argument("--append", action="store_true")
    parser.add_argument("--how", choices=HOWS)
    args = parser.parse_args()
    if args.how is not None:
        print(*measure(args.how, files=args.files, side=args.side, is_denoised=args.denoise))
        return
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS, append=args.append) as table:
        for how in HOWS:
            options = ("--how", how, "--files", args.files, "--side", args.side, *["--denoise"] * args.denoise)
            table.add(*measure_alone(__file__, *options))


if __name__ == "__main__":
    main()
