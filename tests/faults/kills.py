"""Kill a batch, or its worker, at random moments and resume it: every output must be whole and nothing lost.

A folder of small pictures of mixed formats, some of them bad, is denoised by the command line, which is killed
(SIGKILL) at a random moment and resumed, until it has been killed so often; whenever the folder is finished, a new
one is begun. After each kill every output must be a whole picture, and every line of the manifest that says "done"
must be true; at the end, each good picture is done, with the bytes that a run without kills gives. A second run into
the folder is tried while the last one works on it; it is refused, or finds all done.

To start a run takes longer than all else. So only every fifth folder is denoised by processes that start from nothing,
as a user starts them; the others are forks of this one, and so are their workers.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from faults.attempts import COMMAND, QUICK, SECONDS, Attempt, fork_command, fork_workers, wait_until, warm_up
from mashpix.errors import MashpixError
from mashpix.files import ImageFile, read_image, write_image

ENDINGS = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif", "npy": ".npy"}
KILLS, QUICK_KILLS = 200, 1
FILES, BAD, QUICK_FILES = 12, 2, 3
MOST = 3
"""Files that a run gets through at most before it is killed."""
WORKERS = 1 / 3
"""Share of the kills that hit the worker; the run goes on with another."""
FRESH = 5
"""Every n-th folder is denoised by processes that start from nothing."""


def kill_batches(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt a kill, and one for each folder that is finished in the end."""
    chance, kills, folders = random.Random(seed), 0, 0
    most, files, bad = (QUICK_KILLS, QUICK_FILES, 1) if quick else (KILLS, FILES, BAD)
    warm_up()
    with tempfile.TemporaryDirectory() as name:
        folder, plain = Path(name, "in"), Path(name, "plain")
        make_folder(folder, files=files, bad=bad, rng=np.random.default_rng(seed))
        text = Fork(folder, plain).communicate()
        expected = pictures(plain)
        assert len(expected) == files - bad, text
        while kills < most:
            out, folders = Path(name, f"out{folders}"), folders + 1
            again = partial(start if folders % FRESH == 0 else Fork, folder, out, "--resume")
            child = again()
            while kills < most and (victim := kill(child, out, chance)):
                kills += 1
                if victim == "run":
                    child = again()
                wrong = find_wrong(out)
                yield Attempt(f"kill {kills}, of the {victim}", "lost" if wrong else "survived", "; ".join(wrong))
            yield finish(again, out, child, expected, bad=bad)


class Fork:
    """A batch as `start` starts it, in a fork of this process; as much of `Popen` as is needed here."""

    def __init__(self, folder: Path, out: Path, *more: str) -> None:
        self.said, self.returncode = tempfile.TemporaryFile(), None  # noqa: SIM115 - read when it has ended
        arguments = (str(folder), "-o", str(out), *QUICK, *more)
        self.pid = fork_command(*arguments, folder=Path.cwd(), said=self.said.fileno(), first=fork_workers)

    def poll(self) -> int | None:
        """Exit code, or None if it still runs."""
        if self.returncode is None and (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.returncode = os.waitstatus_to_exitcode(ended[1])
        return self.returncode

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout: float = 10 * SECONDS) -> tuple[str, str]:
        """What it said, when it has ended."""
        if not wait_until(lambda: self.poll() is not None, seconds=timeout):
            raise subprocess.TimeoutExpired("mashpix", timeout)
        self.said.seek(0)
        text = self.said.read().decode(errors="backslashreplace")
        return text, text


Child = subprocess.Popen[str] | Fork


def finish(again: Callable[[], Child], out: Path, child: Child, expected: dict[str, bytes], *, bad: int) -> Attempt:
    """Let the last run come to its end beside a second one; what it leaves must be that of a run without kills."""
    wait_for_lines(out, child, 0)
    second = again()
    second_says = second.communicate()[1]
    says = child.communicate()[1]
    if any("process died" in (line["error"] or "") for line in last_lines(out).values()):
        child = again()  # a picture whose worker was killed twice has failed until then
        says = child.communicate()[1]
    wrong = find_wrong(out)
    wrong += ["other bytes than those of a run without kills"] * (pictures(out) != expected)
    statuses = [line["status"] for line in last_lines(out).values()]
    wrong += [f"{statuses.count('done')} done"] * (statuses.count("done") != len(expected))
    wrong += [f"exit code {child.returncode}"] * (child.returncode != int(bad > 0))
    refused = "another run is writing there" in second_says
    wrong += ["the second run: " + second_says] * (not refused and second.returncode not in (0, int(bad > 0)))
    wrong += [f"it said {says[-300:]!r}, the second {second_says[-300:]!r}"] * bool(wrong)
    return Attempt(f"{out.name} to its end", "lost" if wrong else "survived", "; ".join(wrong))


def make_folder(folder: Path, *, files: int, bad: int, rng: np.random.Generator) -> None:
    """Small pictures of four formats in three folders; the last ones are cut in half."""
    for index in range(files):
        form = list(ENDINGS)[index % 4]
        shape = (32, 40, 3) if index % 3 or form == "jpeg" else (40, 32)
        dtype = np.uint16 if form in ("tiff", "npy") else np.uint8
        path = folder / f"part{index % 3}" / f"{index:02}{ENDINGS[form]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, ImageFile(rng.integers(0, 256, shape).astype(dtype), form))
        if index >= files - bad:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def start(folder: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """A batch in a process of its own."""
    command = [*COMMAND, folder, "-o", out, *QUICK, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_lines(out: Path) -> list[dict[str, str]]:
    """The whole lines of the manifest."""
    manifest = out / "mashpix.jsonl"
    return [json.loads(line) for line in manifest.read_bytes().split(b"\n")[:-1]] if manifest.exists() else []


def last_lines(out: Path) -> dict[str, dict[str, str]]:
    """The last line of each input."""
    return {line["input"]: line for line in read_lines(out)}


def find_wrong(out: Path) -> list[str]:
    """Outputs that are no whole pictures, and lines of the manifest that are not true."""
    wrong = []
    for name in pictures(out):
        try:
            read_image(out / name)
        except MashpixError as error:
            wrong.append(f"torn: {name}: {error}")
    for line in last_lines(out).values():
        if line["status"] == "done":
            path = out / line["output"]
            if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != line["output_sha256"]:
                wrong.append(f"not as the manifest says: {path.name}")
    return wrong


def pictures(out: Path) -> dict[str, bytes]:
    """Names and content of all outputs but the recipes, which hold times."""
    found = (path for path in out.rglob("*_denoised.*") if path.suffix != ".json" and not path.name.startswith("."))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def wait_for_lines(out: Path, child: Child, more: int) -> None:
    """Wait until a run has begun a picture and the manifest has so many lines more, or the run has ended."""
    lock, before = out / ".mashpix.lock", len(read_lines(out))
    size = lock.stat().st_size if lock.exists() else 0

    def is_far_enough() -> bool:
        begun = lock.exists() and lock.stat().st_size > size and len(read_lines(out)) >= before + more
        return begun or child.poll() is not None

    wait_until(is_far_enough)


def kill(child: Child, out: Path, chance: random.Random) -> str | None:
    """Kill a run, or its worker, at a random moment, one time in five while it starts; None if it had ended before."""
    if chance.random() > 0.2:
        wait_for_lines(out, child, chance.randint(0, MOST))
    try:
        child.communicate(timeout=chance.uniform(0, 0.5))
    except subprocess.TimeoutExpired:
        if chance.random() < WORKERS:
            with contextlib.suppress(OSError, IndexError):  # there is none yet, or it has just ended
                os.kill(find_workers(child.pid)[0], signal.SIGKILL)
                return "worker"
        child.kill()
        child.communicate()
        wait_until(lambda: is_free(out / ".mashpix.lock"))  # a forked worker has the lock too, until it has noticed
        return "run"
    return None


def is_free(lock: Path) -> bool:
    """Whether no process has locked a file."""
    with contextlib.suppress(FileNotFoundError), lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def find_workers(process: int) -> list[int]:
    """Worker processes of a run; its other child tracks resources."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, command in commands.items() if b"resource_tracker" not in command]
