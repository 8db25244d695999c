"""Do all that waits for a GPU, the most important first, within some minutes; run again, it goes on where it stopped.

python benchmarks/gpu.py DATA --minutes 9 --out benchmarks/gpu
Each step is a program of its own: the tests, the bytes of two runs, the seconds of all presets and the agreement with a
CPU, images per minute in a folder, `scripts` on whole images of the sets, the published studies. `steps.csv` in the
folder says what became of each, `log.txt` what it printed, and the other CSVs are those of `mashpix bench` and
`mashpix study`. A step that is done is not done again; one that failed, or for which the time ran out, is.
`--device cpu --quick` does a little of each, to see that it works.
"""

import argparse
import csv
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from _common import Table, load
from mashpix.files import ImageFile, write_image

ROOT = Path(__file__).parents[1]
SIDE, SMALL = 256, 48
"""Side of crops in pixels, in full and of `--quick`."""
FEW = 4
"""Images of each set that come first."""
N_FOLDER = 64
"""Images in the folder whose images per minute are counted."""
STUDIES = ("ratio", "shuffle", "gap", "ablation", "table")
PAIRED = ("ablation", "table")
"""Studies of real pairs; the others take clean images."""
KODAK = "kodak"
"""The folder of clean images in DATA; all others hold pairs."""
NOISES = {"white noise": ("--model", "gaussian", "--sigma", 25), "beta 1": ("--beta", 1)}
PRESETS = ("default", "fast", "scripts", "paper")
"""The first two are counted in a folder and compared with a CPU, the first three measured on whole images."""
CPU = "cpu"
COLUMNS = ("step", "device", "outcome", "seconds", "figure")
DONE, FAILED, LATE = "done", "failed", "out of time"
GRACE = 20
"""Seconds in which a program may end by itself."""


class OutOfTimeError(Exception):
    """The minutes are over."""


@dataclass(frozen=True)
class Run:
    """What all steps share; `deadline` is a time of `time.monotonic`."""

    data: Path
    out: Path
    device: str
    quick: bool
    deadline: float

    @property
    def presets(self) -> tuple[str, ...]:
        """Presets to measure, as `PRESETS`."""
        return ("fast",) if self.quick else PRESETS

    @property
    def where(self) -> str:
        """What a step is done for: one of `--quick` is not one in full."""
        return f"{self.device}, quick" if self.quick else self.device

    @property
    def sets(self) -> list[Path]:
        """Folders of pairs."""
        return sorted(folder for folder in self.data.iterdir() if (folder / "noisy").is_dir())

    def call(self, *arguments: object) -> None:
        """Run a program of Python until it ends or the time is over; what it prints goes to the log."""
        command = [sys.executable, *map(str, arguments)]
        with (self.out / "log.txt").open("a") as log:
            print("$", *command[1:], file=log, flush=True)
            with subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT) as child:
                try:
                    code = child.wait(timeout=max(self.deadline - time.monotonic(), 0))
                except subprocess.TimeoutExpired:
                    raise OutOfTimeError from None
                finally:
                    end(child)
        if code:
            raise subprocess.CalledProcessError(code, command)

    def mashpix(self, *arguments: object) -> None:
        """Run a command of mashpix on the device."""
        self.call("-m", "mashpix", *arguments, "--device", self.device)

    def bench(self, folder: Path, table: str, *options: object) -> None:
        """Measure images of a folder; rows that the table has are not measured again."""
        few = ("--limit", 1, "--crop", SMALL) if self.quick else ()  # the last of an option counts
        self.mashpix("bench", folder, "--csv", self.out / f"{table}.csv", "--resume", *options, *few)

    def crops(self) -> Iterator[tuple[str, ImageFile]]:
        """Noisy crops of all sets by name."""
        for folder in self.sets:
            for path in sorted((folder / "noisy").iterdir()):
                yield f"{folder.name}_{path.stem}.png", ImageFile(load(path, SMALL if self.quick else SIDE), "png")


def end(child: "subprocess.Popen[bytes]") -> None:
    """End a program, with its own children, as Ctrl-C would, or else at once."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            child.kill()


def test(run: Run) -> None:
    """Laws of a CUDA device; without one they are skipped."""
    run.call("-m", "pytest", "-q", "tests/test_cuda.py")


def same_bytes(run: Run, *, preset: str) -> str:
    """Denoise one image in two processes."""
    with tempfile.TemporaryDirectory() as name:
        source, *targets = (Path(name, each) for each in ("noisy.png", "first.png", "second.png"))
        write_image(source, next(run.crops())[1])
        for target in targets:
            run.mashpix("denoise", source, "-o", target, "--preset", preset)
        first, second = (target.read_bytes() for target in targets)
    return "the same" if first == second else "DIFFERENT"


def time_presets(run: Run, *, presets: tuple[str, ...], device: str) -> None:
    """PSNR and seconds of presets on crops; the table holds both devices."""
    replace(run, device=device).bench(run.sets[0], "presets", "--crop", SIDE, "--limit", FEW, *flags(presets))


def count_per_minute(run: Run, *, preset: str) -> str:
    """Images per minute in a folder, with the time in which the program starts."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "noisy"), Path(name, "denoised")
        source.mkdir()
        for (file, image), _ in zip(run.crops(), range(2 if run.quick else N_FOLDER), strict=False):
            write_image(source / file, image)
        started = time.monotonic()
        run.mashpix("denoise", source, "-o", target, "--preset", preset)
        minutes = (time.monotonic() - started) / 60
        return f"{len(list(source.iterdir())) / minutes:.1f} per minute"


def bench_set(run: Run, *, folder: Path, limit: int | None, noise: tuple[object, ...] = ()) -> None:
    """Presets on whole images, evenly spaced in a set, or on all of it."""
    few = () if limit is None else ("--limit", limit)
    run.bench(folder, "sets", *few, *noise, *flags(run.presets[:3]))


def study(run: Run, *, name: str) -> None:
    """A published study in full, on crops of several images."""
    folders = run.sets if name in PAIRED else [run.data / KODAK]
    images = [word for folder in folders for word in ("--images", folder)]
    size = ("--quick", "--crop", 32, "--limit", 1, "--steps", 10) if run.quick else ("--crop", SIDE, "--limit", FEW)
    run.mashpix("study", name, *images, *size, "-o", run.out / f"study_{name}")


def flags(presets: tuple[str, ...]) -> list[str]:
    """The options that name presets."""
    return [word for preset in presets for word in ("--preset", preset)]


def steps(run: Run) -> Iterator[tuple[str, Callable[[Run], str | None]]]:
    """All steps by name, the most important first."""
    yield "tests", test
    for preset in run.presets:
        yield f"bytes of two runs, {preset}", partial(same_bytes, preset=preset)
    yield "seconds of presets", partial(time_presets, presets=run.presets, device=run.device)
    if run.device != CPU:
        yield "the same on the CPU", partial(time_presets, presets=run.presets[:2], device=CPU)
    for preset in run.presets[:2]:
        yield f"images in a folder, {preset}", partial(count_per_minute, preset=preset)
    yield from whole_sets(run, FEW)
    for name in STUDIES:
        yield f"study {name}", partial(study, name=name)
    if not run.quick:
        yield from whole_sets(run, None)


def whole_sets(run: Run, limit: int | None) -> Iterator[tuple[str, Callable[[Run], None]]]:
    """Steps for the sets of pairs, and for clean images with two kinds of noise."""
    amount = "all" if limit is None else limit
    for folder in run.sets:
        yield f"{amount} of {folder.name}", partial(bench_set, folder=folder, limit=limit)
    for name, noise in NOISES.items():
        yield f"{amount} of {KODAK}, {name}", partial(bench_set, folder=run.data / KODAK, limit=limit, noise=noise)


def attempt(step: Callable[[Run], str | None], run: Run) -> tuple[str, str]:
    """Do a step; return what became of it, and its figure or error."""
    if time.monotonic() >= run.deadline:
        return LATE, ""
    try:
        return DONE, step(run) or ""
    except OutOfTimeError:
        return LATE, ""
    except (subprocess.CalledProcessError, OSError) as error:
        return FAILED, f"{error}; see log.txt"


def done_before(path: Path, where: str) -> set[str]:
    """Names of the steps that an earlier run has done."""
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {row["step"] for row in csv.DictReader(file) if (row["device"], row["outcome"]) == (where, DONE)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(""))
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * args.minutes
    run = Run(args.data.resolve(), args.out.resolve(), args.device, args.quick, deadline)
    table = run.out / "steps.csv"
    known = done_before(table, run.where)
    outcomes = set()
    with Table(table, COLUMNS, append=True) as rows:
        for name, step in steps(run):
            if name in known:
                continue
            started = time.monotonic()
            outcome, figure = attempt(step, run)
            rows.add(name, run.where, outcome, round(time.monotonic() - started, 1), figure)
            outcomes.add(outcome)
            if outcome == LATE:
                break
    raise SystemExit(int(FAILED in outcomes))


if __name__ == "__main__":
    main()
