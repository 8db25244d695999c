"""Events of a batch."""

from dataclasses import dataclass
from pathlib import Path

from mashpix.jobs.batch.items import Item
from mashpix.jobs.batch.manifest import Entry
from mashpix.jobs.events import FitOutcome, Note, Outcome


@dataclass
class Counts:
    """Numbers of files, up to this point of the batch.

    total : to be done, including unreadable folders
    done, failed : of the total
    skipped : done by an earlier run
    not_images, own_outputs : left out, see `Discovered`
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    not_images: int = 0
    own_outputs: int = 0

    @property
    def ended(self) -> int:
        """Number of files that are done or have failed."""
        return self.done + self.failed


@dataclass(frozen=True)
class BatchProgress:
    """Progress of the batch: the fraction that is done, weighted by file size, and the current numbers of files."""

    fraction: float
    counts: Counts


@dataclass(frozen=True)
class NetworkFitted:
    """The shared network has been fitted and its model written."""

    outcome: FitOutcome


@dataclass(frozen=True)
class FileNote:
    """A remark on one file."""

    path: Path
    note: Note


@dataclass(frozen=True)
class FileDone:
    """A file is done: its outcome, and its line of the manifest, which is on disk."""

    item: Item
    outcome: Outcome
    entry: Entry


@dataclass(frozen=True)
class FileFailed:
    """A file, or a folder that cannot be read, has failed: the reason, and for a file its line of the manifest."""

    path: Path
    error: str
    entry: Entry | None = None


BatchEvent = BatchProgress | NetworkFitted | FileNote | FileDone | FileFailed
"""What happens during a batch."""
