"""Run the job on one file of a batch: protect files of others, and detect an input that changes meanwhile."""

import os
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from pathlib import Path

from mashpix.errors import FileError, reason_of
from mashpix.files.atomic import remove, remove_stale
from mashpix.jobs.batch.items import Item, name_of, stamp_of
from mashpix.jobs.batch.manifest import Entry, provenance_of
from mashpix.jobs.events import Event, Outcome
from mashpix.jobs.recipe import hash_file
from mashpix.jobs.request import DenoiseRequest

Job = Callable[[DenoiseRequest], Generator[Event, None, Outcome]]
"""Denoises one file; picklable."""


def run_item(item: Item, attempt: int, *, job: Job, out: Path) -> Generator[Event, None, tuple[Outcome | None, Entry]]:
    """Run the job on one file. It never raises: it returns the outcome, None after a failure, and the manifest line."""
    started, request = time.monotonic(), item.request
    if attempt > 1:  # the files there now were left by the process that died
        request = replace(request, overwrite=True)
        remove_leftovers(item)
    outcome: Outcome | None = None
    stamp, is_begun = None, False
    try:
        _prepare(item, overwrite=request.overwrite)
        is_begun = True
        stamp = stamp_of(item.source)
        outcome = yield from job(request)
        if stamp_of(item.source) != stamp:
            for path in item.outputs:
                remove(path)
            raise FileError("it changed while it was denoised (its outputs are removed; denoise it again)")
        entry = done_entry(item, outcome, out, stamp=stamp)
    except Exception as problem:  # one failed file must not end the others
        outcome, entry = None, failed_entry(item, reason_of(problem), out, stamp=stamp, is_begun=is_begun)
    return outcome, replace(entry, seconds=round(time.monotonic() - started, 2))


def done_entry(item: Item, outcome: Outcome, out: Path, *, stamp: tuple[int, int]) -> Entry:
    """Make the manifest line of a file that is done."""
    return Entry(
        item.name,
        "done",
        **asdict(provenance_of(item.request)),
        size=stamp[0],
        mtime_ns=stamp[1],
        input_sha256=outcome.recipe.input_sha256,
        output=name_of(item.target, out),
        output_sha256=outcome.recipe.output_sha256,
        sidecars={name_of(path, out): hash_file(path) for path in item.sidecars},
        verdict=outcome.recipe.report.get("verdict"),
    )


def failed_entry(
    item: Item, error: str, out: Path, *, stamp: tuple[int, int] | None = None, is_begun: bool = True
) -> Entry:
    """Remove the temporary files of a file that has failed; make its manifest line, with the outputs left behind.

    `stamp` is size and modification time of the input, if it was there; only one that `is_begun` has left anything.
    """
    remove_leftovers(item)
    left = [name_of(path, out) for path in item.outputs if is_begun and os.path.lexists(path)]
    size, mtime_ns = stamp or (None, None)
    return Entry(
        item.name,
        "failed",
        **asdict(provenance_of(item.request)),
        size=size,
        mtime_ns=mtime_ns,
        output=left[0] if left else None,
        sidecars=dict.fromkeys(left[1:]),
        error=error,
    )


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
