"""The zoo: bad and odd inputs, each through the real command line in a limited child, against a table of messages."""

import contextlib
import functools
import hashlib
import importlib
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faults.attempts import COMMAND, MEMORY, QUICK, SECONDS, Attempt, Ended, command_line, limit, run_limited
from mashpix.axes import plane_groups
from mashpix.files import open_stack, read_image
from mashpix.files.atomic import MARK

SHARE = 16
"""A quick run takes every so-manieth case of the zoo."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A bad or odd input, and what is to become of it.

    row : what kind of input it is, in docs/faults.md
    name : of the input
    build : puts it into an empty folder; the bytes of a file stand for that file, called like `source`
    code : exit code
    message : pattern of the one line on stderr, or of all that is said if the exit code is 0
    source, target : file that is denoised and its output, where there is one
    arguments : of the command line; None stands for `source -o target`
    is_same : whether the pixels come out as they went in
    replaced : names of files that may change
    lines : on stderr if it is refused: with stacks, a remark comes first
    left : whether a refused run may leave files, as a batch leaves a manifest
    memory : bytes that the child may take
    environment : of a process of its own, which has no libraries yet; None stands for a fork of this one
    prepare : called in the child before the command line
    meanwhile : called with folder and process while the child runs
    always : whether a quick run tries it too
    """

    row: str
    name: str
    build: Callable[[Path], Any] | bytes
    code: int = 1
    message: str = ""
    source: str = "a.png"
    target: str = ""
    arguments: tuple[str, ...] | None = None
    is_same: bool = False
    replaced: tuple[str, ...] = ()
    lines: int = 1
    left: bool = False
    memory: int = MEMORY
    environment: dict[str, str] | None = None
    prepare: Callable[[], None] | None = None
    meanwhile: Callable[[Path, int], None] | None = None
    always: bool = False

    @property
    def output(self) -> str:
        """Name of the output."""
        return self.target or "out" + Path(self.source).suffix

    @property
    def command(self) -> tuple[str, ...]:
        """What stands behind `mashpix denoise`, options for a quick run left out."""
        return (self.source, "-o", self.output) if self.arguments is None else self.arguments


def list_cases() -> list[Case]:
    """All cases in the order of docs/faults.md."""
    from faults.zoo_files import FILES
    from faults.zoo_paths import PATHS
    from faults.zoo_pixels import PIXELS

    return [*FILES, *PIXELS, *PATHS]


def visit_zoo(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt a case."""
    warm_up()
    for number, case in enumerate(list_cases()):
        if case.always or number % SHARE == 0 or not quick:
            yield try_case(case)


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


def try_case(case: Case) -> Attempt:
    """Build the input in a folder of its own, denoise it there and look at what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if isinstance(case.build, bytes):
            (folder / case.source).write_bytes(case.build)
        else:
            case.build(folder)
        before = snapshot(folder)
        ended = start(case, folder)
        outcome, detail = judge(case, folder, ended, before)
        for path in (folder, *folder.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
    return Attempt(f"{case.row}: {case.name}", outcome, detail)


def start(case: Case, folder: Path) -> Ended:
    """The command line in a limited child."""
    arguments = (*QUICK, *case.command)

    def work() -> None:
        if case.prepare is not None:
            case.prepare()
        command_line(*arguments, folder=folder)

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
        limit(memory=8 * MEMORY)
        if case.prepare is not None:
            case.prepare()

    if case.environment is None:
        meanwhile = case.meanwhile
        watcher = None if meanwhile is None else (lambda process: meanwhile(folder, process))
        return run_limited(work, memory=case.memory, meanwhile=watcher)
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=os.environ | case.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=prepare,
    ) as child:
        try:
            if case.meanwhile is not None:
                case.meanwhile(folder, child.pid)
            texts = [text.decode(errors="backslashreplace") for text in child.communicate(timeout=SECONDS)]
        except subprocess.TimeoutExpired:
            child.kill()
            return Ended(None, "", "")
    return Ended(child.returncode, *texts)


def judge(case: Case, folder: Path, ended: Ended, before: dict[str, str]) -> tuple[str, str]:
    """One of `OUTCOMES`, and why."""
    said = f"exit code {ended.code}, stdout {ended.stdout!r}, stderr {ended.stderr[-1000:]!r}"
    after = snapshot(folder)
    gone = [name for name, what in before.items() if after.get(name) != what and name not in case.replaced]
    new = sorted(set(after) - set(before))
    if gone:
        return "lost", f"changed: {gone}; {said}"
    if ended.code is None:
        return "hung", said
    if "Traceback" in ended.stderr or (ended.code < 0 and ended.code != case.code):
        return "crashed", said
    if any(MARK in name for name in new) or (case.code and new and not case.left):
        return "wrong", f"left behind: {new}; {said}"
    text = ended.stderr if case.code else ended.stdout + ended.stderr
    if ended.code != case.code or not re.search(case.message, text):
        return "wrong", f"{case.code}, {case.message!r} expected; {said}"
    lines = ended.stderr.splitlines()
    if any(not line.startswith("mashpix: ") for line in lines if case.code != 2) or (
        case.code == 1 and len(lines) != case.lines and not case.left
    ):
        return "wrong", f"not one clean line; {said}"
    if case.code:
        return "refused", ""
    complaint = compare(folder / case.source, folder / case.output, is_same=case.is_same)
    return ("wrong", f"{complaint}; {said}") if complaint else ("survived", "")


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


def compare(source: Path, target: Path, *, is_same: bool) -> str:
    """What is wrong with an output, or an empty string."""
    (old, old_alpha), (new, new_alpha) = read_pixels(source), read_pixels(target)
    if (old.dtype, old.shape) != (new.dtype, new.shape):
        return f"{new.dtype} {new.shape} of {old.dtype} {old.shape}"
    if (old_alpha is None) != (new_alpha is None) or (old_alpha is not None and (old_alpha != new_alpha).any()):
        return "another alpha"
    finite = np.isfinite(old)
    if not np.array_equal(new[~finite], old[~finite], equal_nan=True) or not np.isfinite(new[finite]).all():
        return "holes at other places"
    if finite.any() and not old[finite].min() <= new[finite].min() <= new[finite].max() <= old[finite].max():
        return "values out of range"
    if is_same and not np.array_equal(old, new, equal_nan=old.dtype.kind == "f"):
        return "other pixels"
    return ""


def read_pixels(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """All pixels of a file, and the alpha of a single picture."""
    stack = open_stack(path)
    if stack is None:
        image = read_image(path)
        return image.pixels, image.alpha
    with closing(stack):
        groups = plane_groups(stack.axes, stack.shape, joint=False)
        return np.stack([stack[index] for group in groups for picture in group for index in picture]), None
