"""Run a batch from its plan to its last file, as a generator of `BatchEvent`."""

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mashpix.errors import FileError, UsageError
from mashpix.jobs.batch.batch import Batch, allow_own, items_of, plan_items
from mashpix.jobs.batch.events import BatchEvent, BatchProgress, Counts, FileDone, FileFailed, FileNote
from mashpix.jobs.batch.executor import Executor
from mashpix.jobs.batch.inputs import Discovered, find_sources, is_folder, is_pattern
from mashpix.jobs.batch.items import Item, stamp_of
from mashpix.jobs.batch.lock import lock_folder
from mashpix.jobs.batch.manifest import MANIFEST, Entry, append_entry, append_line, provenance_of
from mashpix.jobs.batch.one_file import FileResult, Job, remove_leftovers, run_item
from mashpix.jobs.batch.resuming import is_done, name_of, read_earlier_runs
from mashpix.jobs.batch.watching import watch
from mashpix.jobs.denoise_file import denoise_file
from mashpix.jobs.events import Event, Note
from mashpix.jobs.series import share_network
from mashpix.report import Step


def run_batch(batch: Batch, *, execute: Executor, job: Job = denoise_file) -> Generator[BatchEvent, None, Counts]:
    """Denoise many files; a failed file is counted and does not end the others.

    Closing the generator stops all work at once and leaves no partial file; `resume` continues from there.

    Parameters
    ----------
    batch : Batch
        What to do.
    execute : Executor
        Runs the jobs, such as `ProcessExecutor(jobs=4)`.
    job : callable
        Denoises one file; picklable.

    Yields
    ------
    BatchEvent
        The first, a `BatchProgress`, when the plan is ready; then a few per second.

    Returns
    -------
    Counts
        Of the files, at the end.

    Raises
    ------
    UsageError, FileError
        Before any work is done, for an impossible request; later only if the manifest cannot be written.
    """
    found = _discover(batch)
    try:
        batch.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"no folder can be made there ({str(batch.out)!r}; {error.strerror})") from None
    with lock_folder(batch.out) as lock:
        items, skipped = plan_items(batch, found)
        counts = _count(found, items, skipped)
        yield BatchProgress(0.0, replace(counts))
        for path, reason in found.unreadable:
            yield FileFailed(path, reason)
        if batch.share_network:
            batch = batch.with_model((yield from share_network(batch, items, execute=execute, counts=replace(counts))))
            items, skipped = plan_items(batch, found)
            counts = _count(found, items, skipped)
        yield from _run(batch, items, execute=execute, job=job, lock=lock, counts=counts)
    return counts


def _discover(batch: Batch) -> Discovered:
    """Find the files; refuse an impossible request before its output folder is created."""
    if batch.watch_every is not None:
        if batch.share_network:
            raise UsageError(
                "`watch` cannot be combined with shared `networks`: the files are not known in advance "
                "(fit a model to a few and apply it)"
            )
        if named := [path for path in batch.inputs if not (is_folder(path) or is_pattern(path))]:
            raise UsageError(f"`watch` looks into folders ({str(named[0])!r}; a folder or a pattern needed)")
        return Discovered()
    found = find_sources(batch.inputs, batch.out)
    if not found.sources:
        raise FileError(f"no images there ({found.not_images + found.own_outputs} other files are)")
    if not os.path.isdir(batch.out):
        plan_items(batch, found)
    return found


def _count(found: Discovered, items: list[Item], skipped: int) -> Counts:
    """Return the counts at the start."""
    unreadable = len(found.unreadable)
    total = len(items) + unreadable
    return Counts(total, 0, unreadable, skipped, found.not_images, found.own_outputs)


@dataclass
class _Work:
    """The progress of the files of a batch.

    sizes : bytes of each file by its name
    running : items that have started and not ended, by their names
    fractions : the done fraction of each of those
    ended : total bytes of the files that have ended
    """

    sizes: dict[str, int]
    running: dict[str, Item] = field(default_factory=dict)
    fractions: dict[str, float] = field(default_factory=dict)
    ended: int = 0

    @property
    def fraction(self) -> float:
        """Return the fraction of the batch that is done."""
        whole = sum(self.sizes.values())
        running = sum(self.sizes.get(name, 0) * fraction for name, fraction in self.fractions.items())
        return (self.ended + running) / whole if whole else 0.0

    def end(self, item: Item) -> None:
        """Record that an item has ended."""
        self.running.pop(item.name, None)
        self.fractions.pop(item.name, None)
        self.ended += self.sizes.get(item.name, 0)


def _run(
    batch: Batch, items: list[Item], *, execute: Executor, job: Job, lock: Path, counts: Counts
) -> Generator[BatchEvent, None, None]:
    """Denoise the items, or those that arrive in a watched folder, and write the manifest."""
    work = _Work({item.name: _size_of(item.source) for item in items})
    failed: set[str] = set()
    todo = iter(items) if batch.watch_every is None else _watch(batch, counts, failed)
    try:
        with closing(execute(partial(run_item, job=job), _begin(todo, batch.out, lock, work))) as messages:
            for message in messages:
                if message is None:
                    yield BatchProgress(work.fraction, replace(counts))
                elif message.event is not None:
                    yield from _pass_on(message.task, message.event, work)
                else:
                    result = message.result or FileResult(error=message.death, is_begun=True)
                    event = _end(batch, message.task, result, work)
                    counts.done += isinstance(event, FileDone)
                    if isinstance(event, FileFailed):
                        counts.failed += 1
                        failed.add(message.task.name)
                    yield BatchProgress(work.fraction, replace(counts))
                    yield event
    finally:
        for item in work.running.values():
            remove_leftovers(item)


def _begin(todo: Iterator[Item | None], out: Path, lock: Path, work: _Work) -> Iterator[Item | None]:
    """Record the outputs of each item before it starts: after a kill they are known to be ours."""
    for item in todo:
        if item is not None:
            append_line(lock, [name_of(path, out) for path in item.outputs if not os.path.lexists(path)])
            work.running[item.name] = item
        yield item


def _pass_on(item: Item, event: Event, work: _Work) -> Iterator[BatchEvent]:
    """Pass on to the front end what concerns it in an event of a job."""
    if isinstance(event, Note):
        yield FileNote(item.source, event)
    elif isinstance(event, Step):
        work.fractions[item.name] = event.fraction


def _end(batch: Batch, item: Item, result: FileResult, work: _Work) -> FileDone | FileFailed:
    """Write the manifest line of an item that has ended."""
    if result.outcome is None:
        remove_leftovers(item)
    work.end(item)
    entry = _make_entry(item, result, batch)
    append_entry(batch.out / MANIFEST, entry)
    if result.outcome is not None:
        return FileDone(item, result.outcome, entry)
    return FileFailed(item.source, result.error or "", entry)


def _watch(batch: Batch, counts: Counts, failed: set[str]) -> Iterator[Item | None]:
    """Yield items for files that arrive in the folders, once they are complete; skip those done already."""
    assert batch.watch_every is not None
    earlier, provenance = read_earlier_runs(batch.out), provenance_of(batch.request)
    begun: set[Path] = set()

    def look() -> list[Item]:
        try:
            return items_of(batch, find_sources(batch.inputs, batch.out))
        except FileError:  # nothing there yet, or a network folder that is briefly unavailable
            return []

    for item in watch(look, every=batch.watch_every, failed=failed):
        if item is None:
            yield None
        elif batch.resume and is_done(item, earlier, provenance, batch.out):
            counts.skipped += 1
        else:
            counts.total += 1
            allowed = allow_own(item, batch, earlier)
            overwrite = allowed.request.overwrite and begun.isdisjoint(item.outputs)
            yield replace(allowed, request=replace(allowed.request, overwrite=overwrite))
            begun.update(item.outputs)


def _size_of(path: Path) -> int:
    """Return the bytes of a file, at least 1; 1 for a missing file."""
    try:
        return max(stamp_of(path)[0], 1)
    except OSError:
        return 1


def _make_entry(item: Item, result: FileResult, batch: Batch) -> Entry:
    """Make the manifest line of an item that has ended."""
    provenance = provenance_of(batch.request)
    seconds = round(result.seconds, 2)
    entry = Entry(item.name, "failed", provenance.settings, provenance.seed, provenance.version, seconds=seconds)
    if result.stamp is not None:
        entry = replace(entry, size=result.stamp[0], mtime_ns=result.stamp[1])
    if result.outcome is None:
        left = [name_of(path, batch.out) for path in item.outputs if result.is_begun and os.path.lexists(path)]
        output, sidecars = left[0] if left else None, dict.fromkeys(left[1:])
        return replace(entry, error=result.error, output=output, sidecars=sidecars)
    recipe = result.outcome.recipe
    return replace(
        entry,
        status="done",
        input_sha256=recipe.input_sha256,
        output=name_of(item.target, batch.out),
        output_sha256=recipe.output_sha256,
        sidecars={name_of(path, batch.out): digest for path, digest in result.sidecars.items()},
        verdict=recipe.report.get("verdict"),
    )
