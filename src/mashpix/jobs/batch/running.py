"""Run a batch from its plan to its last file, as a generator of `BatchEvent`."""

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mashpix.errors import FileError, UsageError
from mashpix.jobs.batch.batch import Batch, allow_own, gather_shards, items_of, plan_items, read_earlier_runs
from mashpix.jobs.batch.events import BatchEvent, BatchProgress, Counts, FileDone, FileFailed, FileNote
from mashpix.jobs.batch.executor import Executor, WorkerMessage
from mashpix.jobs.batch.inputs import Discovered, find_sources, is_folder, is_pattern
from mashpix.jobs.batch.items import Item, name_of, stamp_of
from mashpix.jobs.batch.manifest import Entry, append_entry, append_line
from mashpix.jobs.batch.one_file import Job, failed_entry, remove_leftovers, run_item
from mashpix.jobs.batch.watching import watch
from mashpix.jobs.denoise_file import denoise_file
from mashpix.jobs.events import Note, Outcome
from mashpix.jobs.lock import lock_folder
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
    with lock_folder(batch.out, batch.shard) as lock:
        if batch.shard is None:
            gather_shards(batch.out)
        items, skipped = plan_items(batch, found)
        counts = _count(found, items, skipped)
        yield BatchProgress(0.0, replace(counts))
        for path, reason in found.unreadable:
            yield FileFailed(path, reason)
        if batch.share_network:
            batch = batch.with_model((yield from share_network(batch, items, execute=execute, counts=replace(counts))))
            items, skipped = plan_items(batch, found)
            counts = _count(found, items, skipped)
        running = _Running(batch, lock, counts, {item.name: _size_of(item.source) for item in items})
        todo = iter(items) if batch.watch_every is None else running.arriving(batch.watch_every)
        yield from running.run(todo, execute=execute, job=job)
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
class _Running:
    """A batch that is running.

    batch, lock, counts : of the run
    sizes : bytes of each file by its name; empty if they are not known in advance
    items : those that have started and not ended, by their names
    fractions : the done fraction of each of those
    ended : total bytes of the files that have ended
    failed : names of the files that have failed
    """

    batch: Batch
    lock: Path
    counts: Counts
    sizes: dict[str, int]
    items: dict[str, Item] = field(default_factory=dict)
    fractions: dict[str, float] = field(default_factory=dict)
    ended: int = 0
    failed: set[str] = field(default_factory=set)

    def progress(self) -> BatchProgress:
        """Return the fraction of the batch that is done, and the numbers of files."""
        whole = sum(self.sizes.values())
        running = sum(self.sizes.get(name, 0) * fraction for name, fraction in self.fractions.items())
        return BatchProgress((self.ended + running) / whole if whole else 0.0, replace(self.counts))

    def run(self, todo: Iterator[Item | None], *, execute: Executor, job: Job) -> Generator[BatchEvent, None, None]:
        """Denoise the items, and write the manifest."""
        work = partial(run_item, job=job, out=self.batch.out)
        try:
            with closing(execute(work, self.begin(todo))) as messages:
                for message in messages:
                    if message is None:
                        yield self.progress()
                    elif isinstance(message.event, Note):
                        yield FileNote(message.task.source, message.event)
                    elif isinstance(message.event, Step):
                        self.fractions[message.task.name] = message.event.fraction
                    elif message.event is None:
                        event = self.end(message)
                        yield self.progress()
                        yield event
        finally:
            for item in self.items.values():
                remove_leftovers(item)

    def begin(self, todo: Iterator[Item | None]) -> Iterator[Item | None]:
        """Record the outputs of each item before it starts: after a kill they are known to be ours."""
        for item in todo:
            if item is not None:
                new = [name_of(path, self.batch.out) for path in item.outputs if not os.path.lexists(path)]
                append_line(self.lock, new)
                self.items[item.name] = item
            yield item

    def end(self, message: WorkerMessage[Item, tuple[Outcome | None, Entry]]) -> FileDone | FileFailed:
        """Count an item that has ended, and write its line of the manifest."""
        item = message.task
        outcome, entry = message.result or (None, failed_entry(item, message.death or "", self.batch.out))
        append_entry(self.batch.manifest, entry)
        self.items.pop(item.name, None)
        self.fractions.pop(item.name, None)
        self.ended += self.sizes.get(item.name, 0)
        if outcome is not None:
            self.counts.done += 1
            return FileDone(item, outcome, entry)
        self.counts.failed += 1
        self.failed.add(item.name)
        return FileFailed(item.source, entry.error or "", entry)

    def arriving(self, every: float) -> Iterator[Item | None]:
        """Yield items for files that arrive in the folders, once they are complete; skip those done already."""
        batch, earlier, begun = self.batch, read_earlier_runs(self.batch.out), set[Path]()

        def look() -> list[Item]:
            try:
                return items_of(batch, find_sources(batch.inputs, batch.out))
            except FileError:  # nothing there yet, or a network folder that is briefly unavailable
                return []

        for item in watch(look, every=every, failed=self.failed):
            if item is None:
                yield None
            elif batch.resume and earlier.have_done(item):
                self.counts.skipped += 1
            else:
                self.counts.total += 1
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
