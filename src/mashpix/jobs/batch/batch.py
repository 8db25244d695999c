"""The request for a batch, what earlier runs have done of it, and which files are still to be done."""

import contextlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from mashpix.errors import FileError, UsageError
from mashpix.jobs.batch.inputs import Discovered
from mashpix.jobs.batch.items import Item, check_targets, make_item, name_of, stamp_of
from mashpix.jobs.batch.manifest import MANIFEST, Entry, append_lines, provenance_of, read_lines, read_manifest
from mashpix.jobs.lock import LOCK
from mashpix.jobs.model_reference import ModelReference
from mashpix.jobs.recipe import hash_file
from mashpix.jobs.request import DenoiseRequest
from mashpix.jobs.shard import Shard, of_shards

NOWHERE = Path()
"""Placeholder for source and target in the request that all files of a batch share."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Denoise many files into one folder.

    inputs : files, folders and patterns
    out : the output folder
    request : the options for all files; its source and target are placeholders
    share_network : fit one network to a few of the files first, and apply it to all files of the most common kind
    resume : skip files that an earlier run has done
    watch_every : seconds between two searches for new files; None: end when all files are done
    shard : the part of the files to do, whose manifest has a name of its own; None: all, and the manifests of earlier
        shards are gathered into one
    """

    inputs: list[Path]
    out: Path
    request: DenoiseRequest = field(default_factory=lambda: DenoiseRequest(source=NOWHERE, target=NOWHERE))
    share_network: bool = False
    resume: bool = False
    watch_every: float | None = None
    shard: Shard | None = None

    def __post_init__(self) -> None:
        """Refuse what shards cannot do; `UsageError`."""
        if self.shard is not None and self.share_network:
            raise UsageError("`shard` cannot be combined with shared `networks`: each shard would fit its own")

    @property
    def manifest(self) -> Path:
        """Where the manifest of this run is."""
        return self.out / (MANIFEST if self.shard is None else self.shard.own(MANIFEST))

    def with_model(self, model: ModelReference) -> "Batch":
        """Return a batch that applies a model to all files."""
        return replace(self, request=replace(self.request, model=model))


@dataclass(frozen=True)
class EarlierRuns:
    """Earlier runs into one output folder.

    out : the folder
    entries : the last line of the manifests for each input, by its name
    outputs : all files that they wrote or began to write, as paths below the folder
    """

    out: Path
    entries: dict[str, Entry]
    outputs: set[str]

    def own(self, item: Item) -> bool:
        """Return whether all existing outputs of an item are from an earlier run."""
        return all(name_of(path, self.out) in self.outputs for path in item.outputs if os.path.lexists(path))

    def have_done(self, item: Item) -> bool:
        """Return whether input, provenance and outputs match the manifest.

        An input of the same size and modification time counts as the same; otherwise its hash decides. Outputs are
        hashed.
        """
        entry = self.entries.get(item.name)
        if entry is None or entry.status != "done" or entry.provenance != provenance_of(item.request):
            return False
        with contextlib.suppress(OSError):
            same = stamp_of(item.source) == (entry.size, entry.mtime_ns)
            return all(
                path.exists() and hash_file(path) == entry.outputs.get(name_of(path, self.out)) for path in item.outputs
            ) and (same or hash_file(item.source) == entry.input_sha256)
        return False


def read_earlier_runs(out: Path) -> EarlierRuns:
    """Read the manifests, and the lists of outputs that killed runs had begun."""
    entries = [entry for path in (out / MANIFEST, *of_shards(out, MANIFEST)) for entry in read_manifest(path)]
    begun = [names for path in (out / LOCK, *of_shards(out, LOCK)) for names in read_lines(path)]
    outputs = {name for entry in entries for name in entry.outputs} | {name for names in begun for name in names}
    return EarlierRuns(out, {entry.input: entry for entry in entries}, outputs)


def gather_shards(out: Path) -> None:
    """Append what shards have recorded to the files of a run of all; that run has locked the folder."""
    for name in (MANIFEST, LOCK):
        for path in of_shards(out, name):
            append_lines(out / name, read_lines(path))
            path.unlink()


def plan_items(batch: Batch, found: Discovered) -> tuple[list[Item], int]:
    """Return the items to do, and how many an earlier run has done already.

    With a shared network this is known only once its model exists: until then, all items are to be done.

    Raises
    ------
    UsageError
        If two outputs, or an output and an input, are the same file.
    FileError
        If outputs exist and neither `resume` nor `overwrite` is set, or the manifest cannot be read.
    """
    items = items_of(batch, found)
    check_targets(found.sources, (path for item in items for path in item.outputs))
    if os.path.exists(batch.out) and not os.path.isdir(batch.out):
        raise FileError(f"the output is a file ({str(batch.out)!r}; name a folder)")
    earlier = read_earlier_runs(batch.out)
    existing = [path for item in items for path in item.outputs if os.path.lexists(path)]
    if existing and not (batch.request.overwrite or batch.resume):
        raise FileError(
            f"{len(existing)} outputs exist (the first is {str(existing[0])!r}; `resume` goes on with an earlier run, "
            "`overwrite` replaces them)"
        )
    may_skip = batch.resume and not (batch.share_network and batch.request.model is None)
    todo = [item for item in items if not (may_skip and earlier.have_done(item))]
    return [allow_own(item, batch, earlier) for item in todo], len(items) - len(todo)


def items_of(batch: Batch, found: Discovered) -> list[Item]:
    """Make one item for each file that was found and belongs to the shard."""
    items = [make_item(path, relative, batch.out, batch.request) for path, relative in found.sources.items()]
    return [item for item in items if batch.shard is None or batch.shard.owns(name_of(item.target, batch.out))]


def allow_own(item: Item, batch: Batch, earlier: EarlierRuns) -> Item:
    """Allow an item to replace its outputs if all existing ones are from an earlier run."""
    overwrite = batch.request.overwrite or (batch.resume and earlier.own(item))
    return replace(item, request=replace(item.request, overwrite=overwrite))
