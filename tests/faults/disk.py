"""A really full disk, a small tmpfs: what was there stays, what is new is whole, and with room again all is done."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from faults.attempts import COMMAND, QUICK, SECONDS, Attempt, Ended, command_line, run_limited, snapshot, warm_up
from faults.door import read_pixels
from faults.kills import find_wrong
from mashpix.files import ImageFile, write_image
from mashpix.files.atomic import MARK
from science_files import build_dicom, build_fits, build_mrc

SIZE = 256 * 1024
"""Bytes of the disk."""
LEFT = (0, 4096, 8192, 12_288, 16_384, 24_576, 32_768, 65_536)
"""Bytes that are free when a run starts: it fails later and later, and in the end not at all."""
QUICK_LEFT = (0, 8192)
SAVE = ("--save", "spread,residual,report")
RUNS = {
    "picture": ("in/0.png", "-o", "disk/out.png", *SAVE, "--overwrite"),
    "stack": ("stack.npy", "-o", "disk/out.npy", "--save", "report", "--overwrite"),
    "FITS": ("stack.fits", "-o", "disk/out.fits", "--overwrite"),
    "DICOM": ("stack.dcm", "-o", "disk/out.dcm", "--overwrite"),
    "MRC": ("stack.mrc", "-o", "disk/out.mrc", "--overwrite"),
    "batch": ("in", "-o", "disk/batch", "--resume"),
}


def fill_disk(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt a run and a number of free bytes."""
    rng = np.random.default_rng(seed)
    warm_up()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        try:
            disk = stack.enter_context(small_disk(folder / "disk"))
        except (OSError, subprocess.CalledProcessError):
            yield Attempt("all", "skipped", "no disk can be mounted: root's rights are needed")
            return
        (folder / "in").mkdir()
        for index in range(4):
            pixels = rng.integers(0, 256, (40, 64)).astype(np.uint8)
            write_image(folder / "in" / f"{index}.png", ImageFile(pixels, "png"))
        stack = rng.integers(0, 256, (5, 40, 64)).astype(np.uint8)
        np.save(folder / "stack.npy", stack)
        for ending, build in (("fits", build_fits), ("dcm", build_dicom), ("mrc", build_mrc)):
            (folder / f"stack.{ending}").write_bytes(build(stack.astype(np.int16)))
        for kind in ("picture", "stack") if quick else RUNS:
            for left in QUICK_LEFT if quick else LEFT:
                yield _attempt(kind, disk, left)


def _attempt(kind: str, disk: Path, left: int) -> Attempt:
    """A run on a disk with so many bytes left; then room is made, and the same run must succeed."""
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    output = disk.parent / RUNS[kind][2]
    if kind == "batch":
        output.mkdir()
    else:
        output.write_bytes(b"old")
    _fill(disk / "filler", left)
    before = snapshot(disk.parent)
    ended = _run(kind, disk.parent)
    full, complaint = os.statvfs(disk).f_bavail * 4096 < left, _find_wrong(kind, disk, before, ended)
    (disk / "filler").unlink()
    again = _run(kind, disk.parent)
    if not complaint and again.code != 0:
        complaint = f"with room again: {again}"
    outcome = "lost" if complaint else "refused" if ended.code else "survived"
    return Attempt(f"{kind}, {left} bytes left{', filled' if full else ''}", outcome, complaint)


def _run(kind: str, folder: Path) -> Ended:
    if kind != "batch":
        return run_limited(partial(command_line, *QUICK, *RUNS[kind], folder=folder))
    done = subprocess.run(
        [*COMMAND, *RUNS[kind], *QUICK], cwd=folder, capture_output=True, text=True, timeout=2 * SECONDS
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def _find_wrong(kind: str, disk: Path, before: dict[str, str], ended: Ended) -> str:
    """What a run on a full disk has done wrong."""
    said = f"{ended.code}, {ended.stdout!r}, {ended.stderr[-1000:]!r}"
    after = snapshot(disk.parent)
    inputs = [name for name in before if not name.startswith("disk")]
    if any(before[name] != after.get(name) for name in inputs):
        return f"an input has changed; {said}"
    if any(MARK in name for name in after):
        return f"a temporary file is left; {said}"
    if ended.code not in (0, 1) or "Traceback" in ended.stderr:
        return said
    if ended.code == 1 and "No space left" not in ended.stderr:
        return f"no clear word; {said}"
    if kind == "batch":
        return "; ".join(find_wrong(disk / "batch"))
    output = disk / RUNS[kind][2].removeprefix("disk/")
    if output.read_bytes() != b"old":
        read_pixels(output)
    return ""


def _fill(path: Path, left: int) -> None:
    """A file that takes all room but `left` bytes."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    with path.open("r+b") as file:
        file.truncate(max(path.stat().st_size - left, 0))


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A disk of SIZE bytes in memory."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
