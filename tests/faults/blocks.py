"""Stop runs that denoise a plane by blocks, and start the same command again: it ends as an unbroken run does.

A plane of 3 x 4 cells, small ones here, one of them empty, those at two edges not whole, is denoised by forks of this
process, in each format in turn. They are stopped at a random moment (SIGKILL, some by SIGTERM or SIGINT) until the
command ends by itself; then, as a single block, at every fourth write (see `writes`), by SIGKILL or by a disk
that is full from then on. After each stop the output is absent or whole, and the inputs are as they were; in the end
there is nothing but what an unbroken run leaves, with the same bytes.

A command that was stopped after its output had got its name, but before its recipe had, is refused when it is given
again: the output exists. With `--overwrite` it writes both from the blocks.
"""

import errno
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle
from pathlib import Path

import numpy as np

from faults.attempts import QUICK, SECONDS, Attempt, fork_command, run_limited, snapshot, wait_for, warm_up
from faults.writes import KILLED, Failing, inject
from mashpix.files.atomic import MARK

KILLS, QUICK_KILLS = 200, 3
SIGNALS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
"""Signals that stop a run, each with its exit code."""
WEIGHTS = (8, 1, 1)
"""How often each of them is sent, relative to the others."""
STEP, QUICK_STEP = 4, 25
"""Runs are stopped at every n-th write."""
CELL, SHAPE = 64, (150, 200)
"""Side of the cells, and shape of the plane, pixels."""
ARGUMENTS = (*QUICK, "--no-refine", "--no-find-defects", "--save", "spread")


def shrink_cells() -> None:
    """Make cells, and the windows that networks and files see, small in this process, and few of them."""
    from mashpix.arrays import blocks
    from mashpix.files import windows

    blocks.CELL = blocks.WINDOW = windows.AT_ONCE = CELL
    blocks.MAX_SEEN = 8


def make_plane(seed: int) -> np.ndarray:
    """Noise on a slope, and nothing in one cell."""
    noise = np.random.default_rng(seed).normal(0, 40, SHAPE)
    plane = (1000 + 2 * np.arange(SHAPE[1]) + noise).astype(np.uint16)
    plane[CELL : 2 * CELL, CELL : 2 * CELL] = 0
    return plane


def write_tiff(path: Path, plane: np.ndarray) -> None:
    """Write a BigTIFF of compressed tiles, with a smaller size."""
    import tifffile

    how = {"tile": (48, 32), "compression": "deflate", "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(plane, subifds=1, **how)
        file.write(plane[::2, ::2], subfiletype=1, **how)


def write_zarr(path: Path, plane: np.ndarray, *, shards: tuple[int, int] | None = None) -> None:
    """Write an OME-Zarr 0.5 of two sizes, the first of them sharded or not, with all of its chunks."""
    import zarr

    root = zarr.open_group(path, mode="w", zarr_format=3)
    axes = [{"name": name, "type": "space"} for name in "yx"]
    multiscale = {"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}
    root.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    how = {"chunks": (32, 32), "config": {"write_empty_chunks": True}}
    root.create_array("0", data=plane, shards=shards, **how)
    root.create_array("1", data=plane[::2, ::2], **how)


KINDS: dict[str, tuple[str, Callable[[Path, np.ndarray], None]]] = {
    "tiff": (".tif", write_tiff),
    "npy": (".npy", np.save),
    "zarr": (".zarr", write_zarr),
    "sharded": (".zarr", partial(write_zarr, shards=(64, 96))),
}
"""Ending of a name, and the writer of a file, for each format."""


@dataclass(frozen=True)
class Stop:
    """How a run is stopped: by a signal after some seconds, or at a write; `code` is its exit code then."""

    name: str
    code: int
    sent: int | None = None
    after: float = 0.0
    failing: Failing | None = None


def stop_blocks(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt for each run: those that are stopped, and those that end by themselves."""
    warm_up()
    import tifffile  # noqa: F401 - else each fork loads it

    chance, left = random.Random(seed), QUICK_KILLS if quick else KILLS
    with tempfile.TemporaryDirectory() as name:
        seconds = {}
        for kind in list(KINDS)[:1] if quick else KINDS:
            folder = Path(name, kind)
            folder.mkdir()
            ending, write = KINDS[kind]
            run_limited(partial(write, folder / f"a{ending}", make_plane(seed)))
            started = time.monotonic()
            code, said = _run(folder, folder / "plain")
            seconds[folder] = time.monotonic() - started
            assert code == 0, said
        for number, folder in enumerate(cycle(seconds)):
            stops = [_draw_stop(chance, seconds[folder]) for _ in range(left)]
            before = left
            for attempt in _stop_until_done(folder, folder / f"out{number}", stops):
                yield attempt
                left -= "stopped" in attempt.name
            if not left:
                break
            if left == before:  # the unbroken run took longer than runs take now: else no stop might ever come in time
                seconds[folder] /= 2
        for folder in seconds:
            yield from _stop_at_writes(folder, KILLED, -signal.SIGKILL, step=QUICK_STEP if quick else STEP)
            yield from _stop_at_writes(folder, "from then on", 1, step=QUICK_STEP if quick else STEP)


def _draw_stop(chance: random.Random, seconds: float) -> Stop:
    """Draw a signal, and when to send it."""
    sent = chance.choices(list(SIGNALS), WEIGHTS)[0]
    return Stop(sent.name, SIGNALS[sent], sent, after=chance.uniform(0, seconds))


def _stop_at_writes(folder: Path, mode: str, code: int, *, step: int) -> Iterator[Attempt]:
    """Stop runs at a later and later write, until one ends before."""
    for place in count(step, step):
        failing = Failing(place, number=errno.ENOSPC, mode=mode)
        stop = Stop(f"write {place}, {mode}", code, failing=failing)
        yield from _stop_until_done(folder, folder / f"{mode[:6]}{place}", [stop], side=999)
        if failing.done < place:
            return


def _stop_until_done(folder: Path, out: Path, stops: Iterable[Stop], *, side: int = 1) -> Iterator[Attempt]:
    """Start the same command again and again, until one ends by itself or something is wrong."""
    before, is_named = snapshot(folder), False
    for stop in (*stops, None, None):
        code, said = _run(folder, out, stop, "--by-blocks", str(side), *["--overwrite"] * is_named)
        is_named = code == 1 and "the output exists" in said and not is_named
        wrong = _find_wrong(folder, out, is_over=code == 0)
        now = {path: what for path, what in snapshot(folder).items() if Path(path).parts[0] != out.name}
        wrong += ["an input, or an earlier output, has changed"] * (now != before)
        wrong += [f"exit code {code}: {said}"] * (code not in (0, stop and stop.code) and not is_named)
        wrong += [f"a traceback: {said}"] * ("Traceback" in said)
        how = "to its end" if code == 0 else f"stopped by {stop.name if stop else code}, {_stage(out)}"
        outcome = "lost" if wrong else "refused" if is_named else "survived"
        yield Attempt(f"{folder.name}, {out.name}, {how}", outcome, "; ".join(wrong))
        if wrong or code == 0:
            return


def _run(folder: Path, out: Path, stop: Stop | None = None, *more: str) -> tuple[int | None, str]:
    """Denoise the plane of a folder, and stop that; return the exit code, and what was said."""
    source = next(path for path in folder.iterdir() if path.stem == "a")
    out.mkdir(exist_ok=True)

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
        shrink_cells()
        if stop is not None and stop.failing is not None:
            inject(stop.failing)

    with tempfile.TemporaryFile() as said:
        words = (source.name, "-o", f"{out.name}/{source.name}", *ARGUMENTS, "--by-blocks", "1", *more)
        child = fork_command(*words, folder=folder, said=said.fileno(), first=prepare)
        if stop is not None and stop.sent is not None:
            time.sleep(stop.after)
            os.kill(child, stop.sent)
        code = wait_for(child, seconds=10 * SECONDS)
        said.seek(0)
        return code, said.read().decode(errors="backslashreplace")


def _find_wrong(folder: Path, out: Path, *, is_over: bool) -> list[str]:
    """Compare what is there with an unbroken run; hidden files may be there until all is over."""
    whole, found = _content(folder / "plain"), _content(out)
    hidden = [name for name in found if name.startswith(".")]
    wrong = [f"not as it should be: {name}" for name in found.keys() - hidden if found[name] != whole.get(name)]
    if is_over:
        wrong += [f"missing: {name}" for name in whole.keys() - found.keys()] + [f"left: {name}" for name in hidden]
    return wrong


def _content(out: Path) -> dict[str, str]:
    """What is in a folder; of the recipe, which holds times, only the hash of its output."""
    found = snapshot(out)
    for recipe in out.glob("a.*.json"):
        found[recipe.name] = json.loads(recipe.read_bytes())["output_sha256"]
    return found


def _stage(out: Path) -> str:
    """How far a run had come."""
    if list(out.glob("a*")):
        return "named"
    blocks = len(list(out.glob(".*/block-*.json")))
    return f"{blocks} blocks" + ", writing" * bool(list(out.glob(f".*{MARK}")))
