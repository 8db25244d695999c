"""One attempt to make mashpix misbehave: how it ended, and the limited child process that it is made in."""

import contextlib
import functools
import hashlib
import importlib
import multiprocessing
import os
import resource
import select
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from commands import COMMAND as MASHPIX

OUTCOMES = ("refused", "survived", "lost", "crashed", "hung", "wrong", "skipped")
"""refused: one clean line, nothing written. survived: the right result. lost: an input, an old output or a finished
result is gone or torn. crashed: killed by a signal, or a traceback. hung: no end within its time. wrong: another
message, exit code or result than the table says, or a file left behind. skipped: cannot be tried here."""
GOOD = ("refused", "survived", "skipped")
COMMAND = (*MASHPIX, "denoise")
QUICK = (
    *("--masking-ratio", "0.5", "--steps", "2", "--probe-steps", "1", "--masks", "1"),
    *("--network-channels", "4", "--depth", "2", "--threads", "1"),
)
"""Options for a denoising that takes a moment: what is written is tried here, not how good it is."""
MEMORY = 2**31
"""Bytes of address space that a child may take beside what it has when it starts."""
SECONDS = 60.0
"""That a child may take: a hundred times what it needs on an idle machine."""
LARGEST_FILE = 2**26
OPEN_FILES = 64


@dataclass(frozen=True)
class Attempt:
    """What was tried, which of `OUTCOMES` it ended with, and what is to be said of it."""

    name: str
    outcome: str
    detail: str = ""


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit code, negative for a signal, None if it hung and was killed; what it wrote."""

    code: int | None
    stdout: str
    stderr: str


def address_space() -> int:
    """Bytes of address space of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def limit(*, memory: int = MEMORY, seconds: float = SECONDS) -> None:
    """Limit this process: memory, processor time, size and number of files."""
    most = {
        resource.RLIMIT_AS: address_space() + memory,
        resource.RLIMIT_CPU: int(seconds) + 1,
        resource.RLIMIT_FSIZE: LARGEST_FILE,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for what, value in most.items():
        resource.setrlimit(what, (value, value))


def run_limited(
    work: Callable[[], None],
    *,
    memory: int = MEMORY,
    seconds: float = SECONDS,
    meanwhile: Callable[[int], None] | None = None,
) -> Ended:
    """Do something in a limited child of this process, which has all libraries already; `meanwhile` gets its number."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _work(work, out.fileno(), err.fileno(), memory=memory, seconds=seconds)
            finally:
                os._exit(code)
        if meanwhile is not None:
            meanwhile(child)
        code = wait_for(child, seconds=seconds)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="backslashreplace"))
    return Ended(code, *texts)


def wait_for(child: int, *, seconds: float) -> int | None:
    """Exit code of a child; None if it had to be killed because it took longer."""
    handle = os.pidfd_open(child)
    try:
        if not select.select([handle], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
    finally:
        os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _work(work: Callable[[], None], out: int, err: int, *, memory: int, seconds: float) -> int:
    """The child's side: its exit code."""
    code = 0
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
        limit(memory=memory, seconds=seconds)
        work()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120  # as Python itself ends where nobody reads its last words
    return code


def command_line(*arguments: str, folder: Path) -> None:
    """`mashpix denoise` with these arguments, in this process, as if it had been started in a folder."""
    from mashpix.cli import main

    os.chdir(folder)
    sys.argv = ["mashpix", "denoise", *arguments]
    main()


def fork_command(*arguments: str, folder: Path, said: int, first: Callable[[], None] = lambda: None) -> int:
    """Number of a child of this process that does `first` and then `command_line`, what it says going to a file."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.dup2(said, 1)
            os.dup2(said, 2)
            first()
            command_line(*arguments, folder=folder)
        except SystemExit as ending:
            code = int(ending.code or 0)
        finally:
            os._exit(code)
    return child


def fork_workers() -> None:
    """Let the workers of a batch be forks of this process, too: they start at once."""
    fork = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda _: fork


def wait_until(condition: Callable[[], bool], *, seconds: float = 30.0) -> bool:
    """Look again and again whether something has come true; False if it has not within its time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


@functools.cache
def warm_up() -> None:
    """Have all libraries before children are forked: a first child tells which ones denoising loads.

    This process denoises nothing: torch does not go on in the child of a process that has trained.
    """
    with tempfile.TemporaryDirectory() as name:
        np.save(Path(name, "a.npy"), np.random.default_rng(0).normal(size=(2, 32, 40)))

        def tell() -> None:
            try:
                command_line(*QUICK, "a.npy", folder=Path(name))
            finally:
                Path(name, "modules").write_text("\n".join(sys.modules))

        run_limited(tell, memory=8 * MEMORY, seconds=10 * SECONDS)
        for module in Path(name, "modules").read_text().splitlines():
            with contextlib.suppress(Exception):
                importlib.import_module(module)


def snapshot(folder: Path) -> dict[str, str]:
    """What lies in a folder: names, and of each its kind and content."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place, name)
            mode = path.lstat().st_mode
            what = os.readlink(path) if stat.S_ISLNK(mode) else ""
            if stat.S_ISREG(mode):
                what = f"{path.stat().st_size} "
                if path.stat().st_size < 2**26 and os.access(path, os.R_OK):  # larger ones are sparse
                    what += hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = f"{stat.S_IFMT(mode)} {what}"
    return found
