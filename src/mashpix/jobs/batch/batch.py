"""The request for a batch, and which of its files are still to be done."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from mashpix.errors import FileError
from mashpix.jobs.batch.inputs import Discovered
from mashpix.jobs.batch.items import Item, check_targets, make_item
from mashpix.jobs.batch.resuming import EarlierRuns, read_earlier_runs
from mashpix.jobs.model_reference import ModelReference
from mashpix.jobs.request import DenoiseRequest

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
    """

    inputs: list[Path]
    out: Path
    request: DenoiseRequest = field(default_factory=lambda: DenoiseRequest(source=NOWHERE, target=NOWHERE))
    share_network: bool = False
    resume: bool = False
    watch_every: float | None = None

    def with_model(self, model: ModelReference) -> "Batch":
        """Return a batch that applies a model to all files."""
        return replace(self, request=replace(self.request, model=model))


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
    check_targets((item.source for item in items), (path for item in items for path in item.outputs))
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
    """Make one item for each file that was found."""
    return [make_item(source.path, source.relative, batch.out, batch.request) for source in found.sources]


def allow_own(item: Item, batch: Batch, earlier: EarlierRuns) -> Item:
    """Allow an item to replace its outputs if all existing ones are from an earlier run."""
    overwrite = batch.request.overwrite or (batch.resume and earlier.own(item))
    return replace(item, request=replace(item.request, overwrite=overwrite))
