"""The zoo: bad and odd inputs, each through the real command line in a limited child, against a table of messages."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from faults.attempts import (
    COMMAND,
    MEMORY,
    QUICK,
    SECONDS,
    Attempt,
    Ended,
    command_line,
    limit,
    run_limited,
    snapshot,
    warm_up,
)  # fmt: skip
from faults.case import Case
from faults.door import is_lossy, read_pixels
from faults.zoo_files import FILES
from faults.zoo_paths import PATHS
from faults.zoo_pixels import PIXELS
from mashpix.files.atomic import MARK

SHARE = 16
"""A quick run takes every n-th case of the zoo."""


def list_cases() -> list[Case]:
    """All cases in the order of docs/faults.md."""
    return [*FILES, *PIXELS, *PATHS]


def visit_zoo(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt a case."""
    warm_up()
    for number, case in enumerate(list_cases()):
        if case.always or number % SHARE == 0 or not quick:
            yield try_case(case)


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
            parts = child.communicate(timeout=4 * SECONDS)  # it loads its libraries itself, on a busy machine maybe
            texts = [text.decode(errors="backslashreplace") for text in parts]
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


LOSSY = (".jpg", ".webp", ".jxl", ".avif")
CODING_ERROR = 16.0
"""Grey levels by which a lossy format may leave the range of the values that it was given."""


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
    slack = CODING_ERROR if new.dtype == np.uint8 and target.suffix in LOSSY and is_lossy(target) else 0.0
    before, after = (values[finite].astype(np.float64) for values in (old, new)) if finite.any() else (np.zeros(1),) * 2
    if not before.min() - slack <= after.min() <= after.max() <= before.max() + slack:
        return "values out of range"
    if is_same and not np.array_equal(old, new, equal_nan=old.dtype.kind == "f"):
        return "other pixels"
    return ""
