"""Two runs into one folder, or to one file, at once: one is refused or all outputs are valid, also if one is killed."""

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from faults.attempts import QUICK, SECONDS, Attempt, fork_command, wait_for, warm_up
from faults.door import read_pixels
from faults.kills import find_wrong, make_folder, pictures, start
from mashpix.files import ImageFile, write_image
from mashpix.files.atomic import MARK

FOLDERS, FILES, QUICK_FILES = 12, 40, 2
RUNS = 4
"""Runs to one file at once."""


def run_two(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt for each pair of batches, and for each few runs to one file."""
    chance = random.Random(seed)
    warm_up()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_folder(folder / "in", files=4, bad=0, rng=np.random.default_rng(seed))
        for index in range(0 if quick else FOLDERS):
            yield _two_batches(folder / "in", folder / f"out{index}", chance, is_killed=index % 3 == 0)
        write_image(
            folder / "a.png", ImageFile(np.random.default_rng(0).integers(0, 256, (24, 40)).astype("u1"), "png")
        )
        for index in range(QUICK_FILES if quick else FILES):
            yield _to_one_file(folder, f"b{index}.png", chance, overwrite=index % 2 == 1)


def _two_batches(folder: Path, out: Path, chance: random.Random, *, is_killed: bool) -> Attempt:
    """Two batches, started within half a second; the first may be killed; then all is finished."""
    first = start(folder, out, "--resume")
    time.sleep(chance.uniform(0, 0.5))
    second = start(folder, out, "--resume")
    if is_killed:
        time.sleep(chance.uniform(0, 4))
        first.send_signal(signal.SIGKILL)
    ended = [child.communicate()[1] for child in (first, second)]
    wrong = find_wrong(out)
    refused = sum("another run is writing there" in text for text in ended)
    codes = (first.returncode, second.returncode)
    if not is_killed and not (refused == 1 and sorted(codes) == [0, 1]) and codes != (0, 0):
        wrong.append(f"exit codes {codes}, {ended}")
    last = start(folder, out, "--resume")
    text = last.communicate()[1]
    if last.returncode != 0 or len(pictures(out)) != 4:
        wrong.append(f"afterwards: exit code {last.returncode}, {len(pictures(out))} outputs, {text}")
    wrong += find_wrong(out) + [path.name for path in out.rglob(f".*{MARK}") if not is_killed]
    outcome = "lost" if wrong else "refused" if refused else "survived"
    return Attempt(f"{out.name}, {'the first killed' if is_killed else 'both to their end'}", outcome, "; ".join(wrong))


def _to_one_file(folder: Path, target: str, chance: random.Random, *, overwrite: bool) -> Attempt:
    """A few runs to one file at once; one of them is killed every other time."""
    more = ("--overwrite",) if overwrite else ()
    with open(os.devnull, "w") as null:
        children = [
            fork_command(*QUICK, "--seed", str(seed), "a.png", "-o", target, *more, folder=folder, said=null.fileno())
            for seed in range(RUNS)
        ]
    is_killed = chance.random() < 0.5
    if is_killed:
        time.sleep(chance.uniform(0, 1))
        os.kill(children[0], signal.SIGKILL)
    codes = [wait_for(child, seconds=SECONDS) for child in children]
    read_pixels(folder / target)
    wrong = [] if overwrite or codes.count(0) <= 1 else [f"{codes.count(0)} runs say that they made it"]
    wrong += [f"exit codes {codes}"] * (not set(codes) <= {0, 1, -signal.SIGKILL})
    wrong += ["no run made it"] * (0 not in codes and not is_killed)
    wrong += [path.name for path in folder.glob(f".{target}*{MARK}") if not is_killed]
    outcome = "lost" if wrong else "refused" if 1 in codes else "survived"
    return Attempt(f"{RUNS} runs to {target}, overwrite {overwrite}, killed {is_killed}", outcome, "; ".join(wrong))
