"""Run the job on one file of a batch: protect files of others, and detect an input that changes meanwhile."""

import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mashpix.errors import FileError, MashpixError
from mashpix.files.atomic import remove, remove_stale
from mashpix.jobs.batch.items import Item, stamp_of
from mashpix.jobs.events import Event, Outcome
from mashpix.jobs.recipe import hash_file
from mashpix.jobs.request import DenoiseRequest

Job = Callable[[DenoiseRequest], Generator[Event, None, Outcome]]
"""Denoises one file; picklable."""


@dataclass(frozen=True)
class FileResult:
    """How the job on one file ended.

    outcome : of the job; None after a failure
    error : reason of a failure
    is_begun : whether it started to write
    stamp : size and modification time (ns) of the input before it was read
    sidecars : hashes of the other outputs
    seconds : duration of the job
    """

    outcome: Outcome | None = None
    error: str | None = None
    is_begun: bool = False
    stamp: tuple[int, int] | None = None
    sidecars: dict[Path, str] = field(default_factory=dict)
    seconds: float = 0.0


def run_item(item: Item, attempt: int, *, job: Job) -> Generator[Event, None, FileResult]:
    """Run the job on one file. It never raises; errors are in the result."""
    started, result = time.monotonic(), FileResult()
    request = item.request
    if attempt > 1:  # the files there now were left by the process that died
        request = replace(request, overwrite=True)
        remove_leftovers(item)
    try:
        _prepare(item, overwrite=request.overwrite)
        result = replace(result, is_begun=True)
        stamp = stamp_of(item.source)
        result = replace(result, stamp=stamp)
        outcome = yield from job(request)
        if stamp_of(item.source) != stamp:
            for path in item.outputs:
                remove(path)
            raise FileError("it changed while it was denoised (its outputs are removed; denoise it again)")
        hashes = {path: hash_file(path) for path in item.sidecars}
        result = replace(result, outcome=outcome, sidecars=hashes)
    except Exception as problem:  # one failed file must not end the others
        result = replace(result, error=reason_of(problem))
    return replace(result, seconds=time.monotonic() - started)


def reason_of(error: Exception) -> str:
    """Return the reason why a job failed, in one line."""
    if isinstance(error, MashpixError):
        return str(error)
    if isinstance(error, OSError):  # it vanished
        return f"cannot be read ({error.strerror})"
    return f"{type(error).__name__}: {error}"


def remove_leftovers(item: Item) -> None:
    """Remove the temporary files of a job that was killed."""
    for path in item.outputs:
        remove_stale(path, older_than=0)


def _prepare(item: Item, *, overwrite: bool) -> None:
    """Create the folder of the outputs; refuse to replace files that no run of ours wrote."""
    for path in item.outputs:
        if os.path.lexists(path) and not overwrite:
            raise FileError(f"the output exists ({str(path)!r}; `overwrite` replaces it)")
    try:
        item.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write there ({str(item.target.parent)!r}; {error.strerror})") from None
