"""The n-th write fails, for n = 1, 2, ... until a run ends without a failure: old outputs stay, or are new and whole.

A write is: opening a file to write, writing to it, making it durable (fsync), giving it its name (link, rename),
making a folder, and flushing a mapped file. Either that one call fails, as by an I/O error, or it and all that follow,
as on a full disk. Writes of a batch's worker count too.
"""

import builtins
import errno
import io
import mmap
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from bad_files import saved
from faults.attempts import QUICK, Attempt, Ended, command_line, fork_workers, run_limited, snapshot, warm_up
from faults.door import read_pixels
from mashpix.errors import MashpixError
from mashpix.files import ImageFile, write_image
from mashpix.files.atomic import MARK
from science_files import build_dicom, build_fits, build_mrc

RNG = np.random.default_rng(0)
RUNS = {
    "picture": ("a.png", "-o", "out.png", "--save", "spread,residual,report", "--compare", "look.png"),
    "TIFF": ("a.tif", "-o", "out.tif", "--save", "spread,residual,report"),
    "TIFF stack": ("stack.tif", "-o", "out.tif", "--save", "report"),
    "NPY stack": ("stack.npy", "-o", "out.npy"),
    "FITS": ("stack.fits", "-o", "out.fits"),
    "DICOM": ("stack.dcm", "-o", "out.dcm"),
    "MRC": ("stack.mrc", "-o", "out.mrc"),
    "animation": ("moving.gif", "-o", "out.png"),
    "JPEG XL": ("a.jxl", "-o", "out.jxl"),
    "batch": ("in", "-o", "out"),
}
OUTPUTS = {Path(run[2]) for run in RUNS.values()} - {Path("out")}
"""Files that a run makes of its input."""
QUICK_RUNS = ("picture",)
MODES = (("once", errno.EIO), ("from then on", errno.ENOSPC))
KILLED = "killed"
STEP = 8
"""A quick run lets every n-th write fail."""


class Failing:
    """Counts writes and lets the n-th fail, or end the process by SIGKILL; the count is shared with the parent."""

    def __init__(self, place: int, *, number: int = 0, mode: str) -> None:
        self.place, self.number, self.mode = place, number, mode
        self.count = mmap.mmap(-1, 8)

    @property
    def done(self) -> int:
        """Writes so far."""
        return int.from_bytes(self.count[:8], "little")

    def tick(self) -> None:
        """One write."""
        now = self.done + 1
        self.count[:8] = now.to_bytes(8, "little")
        if now == self.place and self.mode == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if now == self.place or (now > self.place and self.mode == "from then on"):
            raise OSError(self.number, os.strerror(self.number))

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that is a write."""

        def failing(*arguments: Any, **options: Any) -> Any:
            self.tick()
            return function(*arguments, **options)

        return failing


def inject(failing: Failing) -> None:
    """Let the writes of this process count, and fail."""

    class File(io.FileIO):
        def write(self, data: Any) -> int:
            failing.tick()
            return super().write(data)

    def wrap(file: io.FileIO, mode: str) -> Any:
        return io.BufferedRandom(file) if "+" in mode else io.BufferedWriter(file)

    def open_file(real: Callable[..., Any], file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+"):
            return real(file, mode, *arguments, **options)
        if not isinstance(file, int):  # a handle was counted when it was opened
            failing.tick()
        return wrap(File(file, mode.replace("b", ""), opener=options.get("opener")), mode)

    real_open = os.open

    def open_handle(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            failing.tick()
        return real_open(path, flags, *arguments, **options)

    builtins.open = io.open = partial(open_file, io.open)
    os.fdopen = partial(open_file, os.fdopen)
    os.open = open_handle
    for name in ("fsync", "link", "replace", "mkdir", "truncate", "fchmod"):
        setattr(os, name, failing.before(getattr(os, name)))
    np.memmap.flush = failing.before(np.memmap.flush)


def fail_writes(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt a run of the command line."""
    warm_up()
    for kind in QUICK_RUNS if quick else RUNS:
        for mode, number in MODES[:1] if quick else MODES:
            yield from _let_fail(kind, mode, number, step=STEP if quick else 1)


def _let_fail(kind: str, mode: str, number: int, *, step: int) -> Iterator[Attempt]:
    """Runs with a later and later failure, until there is none; one run more with nothing to replace."""
    place = 1
    while True:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            old = _make_inputs(folder, kind, has_outputs=place % 3 > 0)
            failing = Failing(place, number=number, mode=mode)
            ended = run_limited(partial(_run, kind, failing, folder), seconds=60)
            outcome, detail = _judge(folder, old, ended)
            if failing.done < place:
                good = ended.code == 0
                yield Attempt(f"{kind}, no failure", "survived" if good else "wrong", "" if good else str(ended))
                return
        yield Attempt(f"{kind}, write {place} of {failing.done} fails {mode}, {os.strerror(number)}", outcome, detail)
        place += step


def _run(kind: str, failing: Failing, folder: Path) -> None:
    fork_workers()
    inject(failing)
    command_line(*QUICK, *RUNS[kind], "--overwrite", folder=folder)


def _make_inputs(folder: Path, kind: str, *, has_outputs: bool) -> dict[str, str]:
    """Inputs, and old outputs where they are to be replaced; what lies there then."""
    pixels = RNG.integers(0, 256, (3, 24, 40)).astype(np.uint8)
    (folder / "in").mkdir()
    write_image(folder / "a.png", ImageFile(pixels[0], "png"))
    write_image(folder / "in" / "a.png", ImageFile(pixels[0], "png"))
    write_image(folder / "a.tif", ImageFile(pixels[0], "tiff"))
    np.save(folder / "stack.npy", np.tile(pixels, (2, 1, 1)))
    stack, frames = pixels.astype(np.int16), [Image.fromarray(plane) for plane in pixels]
    (folder / "stack.fits").write_bytes(build_fits(stack))
    (folder / "stack.dcm").write_bytes(build_dicom(stack))
    (folder / "stack.mrc").write_bytes(build_mrc(stack))
    (folder / "moving.gif").write_bytes(saved(frames[0], "gif", save_all=True, append_images=frames[1:]))
    (folder / "a.jxl").write_bytes(imagecodecs.jpegxl_encode(pixels[0], lossless=True))
    import tifffile

    tifffile.imwrite(folder / "stack.tif", pixels, photometric="minisblack", compression="zlib")
    if has_outputs:
        for name in (*sorted(map(str, OUTPUTS)), "out_spread.tif", "look.png"):
            if Path(name).suffix in (*(Path(part).suffix for part in RUNS[kind]), ".tif") and kind != "batch":
                (folder / name).write_bytes(b"old " + name.encode())
    return snapshot(folder)


def _judge(folder: Path, old: dict[str, str], ended: Ended) -> tuple[str, str]:
    """What became of a run one of whose writes has failed."""
    said = f"{ended.code}, {ended.stdout!r}, {ended.stderr[-1500:]!r}"
    new = snapshot(folder)
    left = [name for name in new if MARK in name]
    changed = {name for name in set(new) - set(left) if old.get(name) != new[name] and (folder / name).is_file()}
    if set(old) - set(new) or any(not name.startswith(("out", "look")) for name in changed):
        return "lost", f"{sorted(changed)}; {said}"
    for name in changed:
        if Path(name).suffix in {path.suffix for path in OUTPUTS}:
            try:
                read_pixels(folder / name)
            except MashpixError as error:
                return "lost", f"{name}: {error}; {said}"
    if ended.code is None:
        return "hung", said
    if "Traceback" in ended.stderr or "Exception ignored" in ended.stderr or ended.code < 0:
        return "crashed", said
    lines = ended.stderr.splitlines()
    if left or not all(line.startswith("mashpix: ") for line in lines):
        return "wrong", f"{left}; {said}"
    if ended.code == 0:  # what failed was not needed: to make a name durable at once, say
        return "survived", ""
    return ("refused", "") if ended.code == 1 and lines else ("wrong", said)
