"""`mashpix denoise` on many files: when it is that, its plan, its progress and its summary."""

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import typer

from mashpix.cli.console import complain, progress
from mashpix.errors import UsageError
from mashpix.jobs.batch import Batch, Tally, is_folder, is_pattern, run_batch
from mashpix.report import Step
from mashpix.settings import number

LEAST_FRACTION = 0.05
"""Share of a batch that must be done before the time left is told: starting the workers takes a while."""
MOST_REASONS = 20
"""Failed files that the summary names."""


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """The options for many files."""

    resume: bool = number(False, "skip what an earlier run has done")
    jobs: int = number(1, "images at a time", low=1)
    dry_run: bool = number(False, "list the files with time and memory, write nothing")
    watch: bool = number(False, "go on with files that come in, until Ctrl-C")
    interval: float = number(5.0, "seconds between two looks of --watch", low=0.1)


def is_batch(inputs: list[Path], output: str | None, options: FolderOptions, *, in_place: bool) -> bool:
    """Whether a command line means many files: a folder, a pattern, several files into one folder, or a flag for it."""
    several = len(inputs) > 1 and output is not None and not in_place
    return several or options != FolderOptions() or any(is_folder(path) or is_pattern(path) for path in inputs)


def find_folder(output: str | None, *, in_place: bool) -> Path:
    """The output folder of many files; raises `UsageError` where there is none."""
    if in_place or output is None:
        raise UsageError("a folder of pictures needs an output folder (name it with -o; --in-place is for files)")
    return Path(output)


def denoise_batch(batch: Batch, *, device: str) -> int:
    """Denoise many files, tell what happens, and return the exit code."""
    if device not in ("auto", "cpu"):
        from mashpix.devices import choose_device

        choose_device(device)  # a device that is not there ends the batch, not each of its files
    tally, started = Tally(), time.monotonic()
    with closing(run_batch(batch, tally)) as events:
        next(events)
        for path, message in tally.errors:
            complain(message, name=str(path))
        if batch.watch_every is not None:
            complain(f"watching, a look every {batch.watch_every:g} s; Ctrl-C ends it")
        try:
            with progress(str(batch.out)) as show:
                for event in events:
                    typer.echo(event.complained, err=True, nl=False)
                    typer.echo(event.said, nl=False)
                    if event.item is not None and event.entry is not None and event.entry.error is not None:
                        complain(event.entry.error, name=str(event.item.source))
                    fraction = event.fraction if event.fraction >= LEAST_FRACTION else 0.0
                    show(Step("file", min(tally.ended + 1, tally.total), tally.total, fraction))
        finally:
            typer.echo(summarise(tally, seconds=time.monotonic() - started))
    return int(bool(tally.errors))


def summarise(tally: Tally, *, seconds: float) -> str:
    """The table at the end, and why files failed."""
    rows = [
        ("done", tally.done, ""),
        ("skipped", tally.skipped, "done by an earlier run"),
        ("failed", len(tally.errors), ""),
        ("not reached", tally.total - tally.ended, "--resume goes on with them"),
        ("left out", tally.no_pictures, "not named like pictures"),
        ("left out", tally.own_outputs, "outputs of an earlier run"),
    ]
    lines = [
        f"{what:<12}{count:>7}  {why}".rstrip() for what, count, why in rows if count or what in ("done", "failed")
    ]
    lines += [f"failed: {str(path)!r}: {' '.join(error.split())}" for path, error in tally.errors[:MOST_REASONS]]
    if len(tally.errors) > MOST_REASONS:
        lines.append(f"failed: {len(tally.errors) - MOST_REASONS} more: see the manifest")
    return "\n".join([*lines, f"{seconds:.0f} s"])
