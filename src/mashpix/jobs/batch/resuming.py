"""Find out what earlier runs into an output folder have done, and whether a file must be done again."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from mashpix.jobs.batch.items import Item, stamp_of
from mashpix.jobs.batch.lock import LOCK
from mashpix.jobs.batch.manifest import MANIFEST, Entry, Provenance, read_lines, read_manifest
from mashpix.jobs.recipe import hash_file


@dataclass(frozen=True)
class EarlierRuns:
    """Earlier runs into one output folder.

    entries : the last line of the manifest for each input, by its name
    outputs : all files that they wrote or began to write, as paths below the output folder
    """

    entries: dict[str, Entry]
    outputs: set[str]


def read_earlier_runs(out: Path) -> EarlierRuns:
    """Read the manifest, and the list of outputs that a killed run had begun."""
    entries = read_manifest(out / MANIFEST)
    begun = read_lines(out / LOCK)
    outputs = {name for entry in entries for name in entry.outputs} | {name for names in begun for name in names}
    return EarlierRuns({entry.input: entry for entry in entries}, outputs)


def name_of(path: Path, out: Path) -> str:
    """Return the path of an output below the output folder, with slashes."""
    return path.relative_to(out).as_posix()


def is_done(item: Item, earlier: EarlierRuns, provenance: Provenance, out: Path) -> bool:
    """Return whether input, provenance and outputs match the manifest.

    An input of the same size and modification time counts as the same; otherwise its hash decides. Outputs are hashed.
    """
    entry = earlier.entries.get(item.name)
    if entry is None or entry.status != "done" or entry.provenance != provenance:
        return False
    with contextlib.suppress(OSError):
        outputs = all(
            path.exists() and hash_file(path) == entry.outputs.get(name_of(path, out)) for path in item.outputs
        )
        same = stamp_of(item.source) == (entry.size, entry.mtime_ns)
        return outputs and (same or (item.source.exists() and hash_file(item.source) == entry.input_sha256))
    return False
