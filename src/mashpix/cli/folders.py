"""`mashpix denoise` on many files: when that applies, its plan, its progress and its summary."""

import time
from contextlib import closing
from dataclasses import dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mashpix.cli.console import complain, progress, spell_flag, use_threads
from mashpix.cli.outcomes import describe_fit, describe_outcome, print_lines
from mashpix.durations import format_duration
from mashpix.errors import MashpixError, UsageError, spelled
from mashpix.extras import need
from mashpix.jobs import DenoiseRequest
from mashpix.jobs.batch import (
    Batch,
    BatchEvent,
    BatchProgress,
    Counts,
    Executor,
    FileDone,
    FileFailed,
    FileNote,
    NetworkFitted,
    ProcessExecutor,
    Shard,
    is_folder,
    is_pattern,
    run_batch,
)
from mashpix.jobs.plan import Plan, plan_batch
from mashpix.report import Step
from mashpix.settings import number

if TYPE_CHECKING:
    from mashpix.arrays.costs import Estimate

MIN_FRACTION = 0.05
"""Fraction of a batch that must be done before the time left is shown: starting the workers takes a while."""
MAX_REASONS = 20
"""Largest number of failed files that the summary names."""


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """The options for many files."""

    resume: bool = number(False, "skip what an earlier run has done")
    jobs: int = number(1, "images at a time", low=1)
    dry_run: bool = number(False, "list the files with time and memory, write nothing")
    watch: bool = number(False, "denoise files as they come in, until Ctrl-C")
    interval: float = number(5.0, "seconds between two looks of --watch", low=0.1)
    shard: str | None = field(default=None, metadata={"help": "denoise this part only", "metavar": "I/N"})
    cluster: str | None = field(
        default=None,
        metadata={"help": "denoise on this dask cluster, or on N processes here", "metavar": "tcp://HOST:PORT|local:N"},
    )

    @property
    def used(self) -> list[str]:
        """The options in use, as messages name them."""
        return [f"`{item.name}`" for item in fields(self) if getattr(self, item.name) != item.default]


def has_folder(inputs: list[Path]) -> bool:
    """Return whether an input stands for many files: a folder, or a pattern."""
    return any(is_folder(path) or is_pattern(path) for path in inputs)


def is_batch(inputs: list[Path], output: str | None, options: FolderOptions, *, in_place: bool) -> bool:
    """Return whether the command line asks for a batch: a folder, a pattern, several files into one, or a flag."""
    several = len(inputs) > 1 and output is not None and not in_place
    return several or bool(options.used) or has_folder(inputs)


def denoise_folder(
    inputs: list[Path],
    output: str | None,
    request: DenoiseRequest,
    options: FolderOptions,
    *,
    threads: int | None,
    share_network: bool,
) -> int:
    """Denoise many files, or list them; `request` holds their common options. Return the exit code."""
    if request.in_place or output is None:
        if has_folder(inputs):
            raise UsageError("a folder of images needs an output folder (name it with -o; `in_place` is for files)")
        raise UsageError(f"{options.used[0]} needs an output folder (name it with -o, and leave out `in_place`)")
    batch = Batch(
        inputs=inputs,
        out=Path(output),
        request=request,
        share_network=share_network,
        resume=options.resume,
        watch_every=options.interval if options.watch else None,
        shard=Shard.parse(options.shard) if options.shard else None,
    )
    if options.cluster is not None and (options.dry_run or options.jobs > 1):
        raise UsageError("`cluster` cannot be combined with `jobs` or `dry_run`: they are about this machine")
    executor = ProcessExecutor(options.jobs, threads)
    if options.dry_run:
        use_threads(executor.threads_each(options.jobs))
        return _print_plan(plan_batch(batch, jobs=options.jobs), jobs=options.jobs)
    if options.cluster is not None:
        need("distributed", what="cluster", extra="cluster")
        from mashpix.cluster import on_cluster

        with on_cluster(batch, options.cluster, threads=threads, say=complain) as (batch, execute):
            return _denoise_batch(batch, execute)
    if request.device not in ("auto", "cpu"):
        from mashpix.devices import choose_device

        choose_device(request.device)  # a missing device ends the batch, not each of its files
    return _denoise_batch(batch, executor)


def _print_plan(plan: Plan, *, jobs: int) -> int:
    """List the files with their targets, expected time and memory; return the exit code."""
    for path, error in (*plan.unreadable, *plan.unlike):
        complain(error, name=str(path))
    if plan.network is not None:
        typer.echo(f"one network for {plan.series}: {_describe_cost(plan.network)}")
    for file, cost in plan.files:
        size = (f"{file.axes} " if file.is_stack else "") + " x ".join(map(str, file.shape))
        size += " in blocks" if file.by_blocks else ""
        typer.echo(f"{str(file.item.source)!r} -> {str(file.item.target)!r}: {size}, {_describe_cost(cost)}")
    unlike = f"{len(plan.unlike)} unlike the series, " if plan.series else ""
    typer.echo(
        f"{len(plan.files)} files, about {format_duration(plan.seconds)} with {jobs} at a time, up to "
        f"{plan.memory / 2**30:.1f} GiB; {plan.skipped} skipped, {len(plan.unreadable)} cannot be read, "
        f"{unlike}{plan.left_out} left out; nothing is written"
    )
    return int(bool(plan.unreadable or plan.unlike))


def _describe_cost(cost: "Estimate") -> str:
    return f"about {format_duration(cost.seconds)}, {cost.memory / 2**30:.1f} GiB"


def _denoise_batch(batch: Batch, executor: Executor) -> int:
    """Denoise many files, print what happens, and return the exit code."""
    counts, failures, started = Counts(), list[tuple[Path, str]](), time.monotonic()
    exit_code = 0
    with closing(run_batch(batch, execute=executor)) as events:
        first = next(events)  # impossible requests are refused here, without a summary
        if batch.watch_every is not None:
            complain(f"watching, a look every {batch.watch_every:g} s; Ctrl-C ends it")
        try:
            with progress(str(batch.out)) as show:
                for event in chain([first], events):
                    if isinstance(event, BatchProgress):
                        counts = event.counts
                        fraction = event.fraction if event.fraction >= MIN_FRACTION else 0.0
                        show(Step("file", min(counts.ended + 1, counts.total), counts.total, fraction))
                    else:
                        failures += [(event.path, event.error)] if isinstance(event, FileFailed) else []
                        _print_event(event)
        except MashpixError as error:  # here, so that the reason comes before the summary
            complain(str(error))
            exit_code = error.exit_code
        finally:
            typer.echo(summarise(counts, failures, seconds=time.monotonic() - started))
    return exit_code or int(bool(failures))


def _print_event(event: BatchEvent) -> None:
    """Print an event of a batch, if it is worth a line."""
    if isinstance(event, FileNote):
        complain(event.note.text, name=str(event.path))
    elif isinstance(event, FileFailed):
        complain(event.error, name=str(event.path))
    elif isinstance(event, FileDone):
        print_lines(describe_outcome(event.outcome))
    elif isinstance(event, NetworkFitted):
        typer.echo(f"{describe_fit(event.outcome)}; for {event.outcome.kinds[0]}")


def summarise(counts: Counts, failures: list[tuple[Path, str]], *, seconds: float) -> str:
    """Return the table at the end, and why files failed."""
    rows = [
        ("done", counts.done, ""),
        ("skipped", counts.skipped, "done by an earlier run"),
        ("failed", counts.failed, ""),
        ("not reached", counts.total - counts.ended, "--resume goes on with them"),
        ("left out", counts.not_images, "not named like images"),
        ("left out", counts.own_outputs, "outputs of an earlier run"),
    ]
    lines = [
        f"{what:<12}{count:>7}  {why}".rstrip() for what, count, why in rows if count or what in ("done", "failed")
    ]
    for path, error in failures[:MAX_REASONS]:
        lines.append(f"failed: {str(path)!r}: {' '.join(spelled(error, spell_flag).split())}")
    if len(failures) > MAX_REASONS:
        lines.append(f"failed: {len(failures) - MAX_REASONS} more: see the manifest")
    return "\n".join([*lines, format_duration(seconds)])
