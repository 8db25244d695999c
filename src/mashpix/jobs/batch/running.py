"""A batch from its plan to its last file, as a generator of `Event`."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mashpix.errors import FileError, MashpixError, UsageError
from mashpix.jobs.batch.inputs import Found, find_sources, is_folder, is_pattern
from mashpix.jobs.batch.items import Item, check_targets, make_item, stamp_of
from mashpix.jobs.batch.lock import lock_folder
from mashpix.jobs.batch.manifest import MANIFEST, Entry, Origin, append_entry, append_line
from mashpix.jobs.batch.resuming import Past, is_done, name_of, read_past
from mashpix.jobs.batch.watching import watch
from mashpix.jobs.batch.workers import Answer, Denoise, run_workers
from mashpix.jobs.recipe import hash_file, read_recipe, recipe_path


@dataclass(frozen=True)
class Batch:
    """What is asked for.

    inputs : files, folders and patterns
    out : the output folder
    denoise : see `workers.Denoise`
    beside_of : the other outputs of a target
    origin : what outputs depend on beside the input
    jobs : pictures at a time
    resume : skip what an earlier run has done
    overwrite : replace what is there
    watch_every : seconds between two looks for new files; None ends when all is done
    prepare : does what all pictures need before the first is begun, and returns the batch to go on with
    """

    inputs: list[Path]
    out: Path
    denoise: Denoise
    beside_of: Callable[[Path], Iterable[Path]]
    origin: Origin
    jobs: int = 1
    resume: bool = False
    overwrite: bool = False
    watch_every: float | None = None
    prepare: "Prepare | None" = None


@dataclass
class Tally:
    """Counts of files, as far as the batch has come; `errors` holds why inputs failed."""

    total: int = 0
    done: int = 0
    skipped: int = 0
    no_pictures: int = 0
    own_outputs: int = 0
    errors: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def ended(self) -> int:
        """Files that are done or have failed."""
        return self.done + len(self.errors)


@dataclass(frozen=True)
class Event:
    """Something that has happened.

    fraction : share of the batch that is done, by the sizes of the files
    item, entry : the file that has ended, and its line of the manifest; None if none has
    said, complained : what denoising it wrote to stdout and stderr
    """

    fraction: float = 0.0
    item: Item | None = None
    entry: Entry | None = None
    said: str = ""
    complained: str = ""


Prepare = Callable[[Batch, list[Item]], Generator[Event, None, Batch]]
"""Gets the batch and its items, those too that may be done already."""


def plan_items(batch: Batch, found: Found) -> tuple[list[Item], int]:
    """The items that are to be done, and how many an earlier run has done already.

    Raises
    ------
    UsageError
        If outputs meet each other or an input.
    FileError
        If outputs exist and neither `resume` nor `overwrite` is asked for, or the manifest cannot be read.
    """
    items = [make_item(source.path, source.relative, batch.out, batch.beside_of) for source in found.sources]
    check_targets((item.source for item in items), (path for item in items for path in item.outputs))
    if os.path.exists(batch.out) and not os.path.isdir(batch.out):
        raise FileError(f"the output is a file ({str(batch.out)!r}; name a folder)")
    past = read_past(batch.out)
    there = [path for item in items for path in item.outputs if os.path.lexists(path)]
    if there and not (batch.overwrite or batch.resume):
        raise FileError(
            f"{len(there)} outputs exist (the first is {str(there[0])!r}; --resume goes on with an earlier run, "
            "--overwrite replaces them)"
        )
    todo = [item for item in items if not (batch.resume and is_done(item, past, batch.origin, batch.out))]
    return [_allow(item, batch, past) for item in todo], len(items) - len(todo)


def _allow(item: Item, batch: Batch, past: Past) -> Item:
    """The item with leave to replace its outputs, if all that are there are those of an earlier run."""
    own = all(name_of(path, batch.out) in past.outputs for path in item.outputs if os.path.lexists(path))
    return replace(item, replace=batch.overwrite or (batch.resume and own))


def run_batch(batch: Batch, tally: Tally) -> Generator[Event, None, None]:
    """Denoise many files; one that fails is counted and does not end the others.

    Closing the generator ends all work at once; nothing is half-written, and `resume` goes on from there.

    Parameters
    ----------
    batch : Batch
        What to do.
    tally : Tally
        Kept up to date.

    Yields
    ------
    Event
        The first when the plan stands, then a few a second.

    Raises
    ------
    UsageError, FileError
        Before any work is done, for what cannot be meant; later only if the manifest cannot be written.
    """
    if batch.watch_every is None:
        found = find_sources(batch.inputs, batch.out)
        if not found.sources:
            raise FileError(f"no pictures there ({found.no_pictures + found.own_outputs} other files are)")
        if not os.path.isdir(batch.out):
            plan_items(batch, found)  # so that no folder is made for what is refused
    else:
        if named := [path for path in batch.inputs if not (is_folder(path) or is_pattern(path))]:
            raise UsageError(f"--watch looks into folders ({str(named[0])!r}; a folder or a pattern needed)")
        found = Found()
    try:
        batch.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"no folder can be made there ({str(batch.out)!r}; {error.strerror})") from None
    with lock_folder(batch.out) as lock:
        items, tally.skipped = plan_items(batch, found)
        tally.total, tally.errors = len(items) + len(found.unreadable), list(found.unreadable)
        tally.no_pictures, tally.own_outputs = found.no_pictures, found.own_outputs
        yield Event()
        if batch.prepare is not None and items:
            batch = yield from batch.prepare(batch, items)
            items, tally.skipped = plan_items(batch, found)
            tally.total = len(items) + len(found.unreadable)
        yield from _run(batch, items, lock, tally)


def _run(batch: Batch, items: list[Item], lock: Path, tally: Tally) -> Generator[Event, None, None]:
    """Denoise the items, or those that a watched folder gets, and write the manifest."""
    sizes = {item.name: _size_of(item.source) for item in items}
    whole, through, working = sum(sizes.values()), 0, dict[str, float]()
    failed: set[str] = set()
    todo = iter(items) if batch.watch_every is None else _watch(batch, tally, failed)
    for item, answer in run_workers(_note(todo, batch.out, lock), batch.denoise, jobs=batch.jobs):
        entry = None
        if item is not None:
            size = sizes.get(item.name, 0)
            working[item.name] = answer.fraction * size
        if item is not None and answer.ended:
            through += size
            del working[item.name]
            entry = _make_entry(item, answer, batch)
            append_entry(batch.out / MANIFEST, entry)
            if entry.error is None:
                tally.done += 1
            else:
                failed.add(item.name)
                tally.errors.append((item.source, entry.error))
        fraction = (through + sum(working.values())) / whole if whole else 0.0
        yield Event(fraction, item, entry, answer.said, answer.complained)


def _note(todo: Iterator[Item | None], out: Path, lock: Path) -> Iterator[Item | None]:
    """Write down which outputs are begun before each item is: after a kill they are known for ours."""
    for item in todo:
        if item is not None:
            append_line(lock, [name_of(path, out) for path in item.outputs if not os.path.lexists(path)])
        yield item


def _watch(batch: Batch, tally: Tally, failed: set[str]) -> Iterator[Item | None]:
    """Items of the files that come into the folders, once they are complete; those done already are passed over."""
    assert batch.watch_every is not None
    past = read_past(batch.out)
    begun: set[Path] = set()

    def look() -> list[Item]:
        try:
            found = find_sources(batch.inputs, batch.out)
        except FileError:  # nothing there yet, or a network folder that is away for a moment
            return []
        return [make_item(source.path, source.relative, batch.out, batch.beside_of) for source in found.sources]

    for item in watch(look, every=batch.watch_every, failed=failed):
        if item is None:
            yield None
        elif batch.resume and is_done(item, past, batch.origin, batch.out):
            tally.skipped += 1
        else:
            tally.total += 1
            allowed = _allow(item, batch, past)
            yield replace(allowed, replace=allowed.replace and begun.isdisjoint(item.outputs))
            begun.update(item.outputs)


def _size_of(path: Path) -> int:
    """Bytes of a file, at least 1; 1 for one that is not there."""
    try:
        return max(stamp_of(path)[0], 1)
    except OSError:
        return 1


def _make_entry(item: Item, answer: Answer, batch: Batch) -> Entry:
    """The line of the manifest for an item that has ended."""
    origin = batch.origin
    entry = Entry(item.name, "failed", origin.settings, origin.seed, origin.version, seconds=round(answer.seconds, 2))
    if answer.stamp is not None:
        entry = replace(entry, size=answer.stamp[0], mtime_ns=answer.stamp[1])
    try:
        if answer.error is not None:
            raise FileError(answer.error)
        recipe = read_recipe(recipe_path(item.target))
        hashes: dict[str, str | None] = {name_of(path, batch.out): hash_file(path) for path in item.beside}
    except (MashpixError, OSError) as error:
        left = [name_of(path, batch.out) for path in item.outputs if answer.begun and os.path.lexists(path)]
        return replace(entry, error=str(error), output=left[0] if left else None, beside=dict.fromkeys(left[1:]))
    return replace(
        entry,
        status="done",
        input_sha256=recipe.input_sha256,
        output=name_of(item.target, batch.out),
        output_sha256=recipe.output_sha256,
        beside=hashes,
        verdict=recipe.report.get("verdict"),
    )
