"""Find out what earlier runs into an output folder have done, and whether a file must be done again."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from mashpix.jobs.batch.items import Item, name_of, stamp_of
from mashpix.jobs.batch.lock import LOCK
from mashpix.jobs.batch.manifest import MANIFEST, Entry, provenance_of, read_lines, read_manifest
from mashpix.jobs.recipe import hash_file


@dataclass(frozen=True)
class EarlierRuns:
    """Earlier runs into one output folder.

    out : the folder
    entries : the last line of the manifest for each input, by its name
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
    """Read the manifest, and the list of outputs that a killed run had begun."""
    entries = read_manifest(out / MANIFEST)
    begun = read_lines(out / LOCK)
    outputs = {name for entry in entries for name in entry.outputs} | {name for names in begun for name in names}
    return EarlierRuns(out, {entry.input: entry for entry in entries}, outputs)
