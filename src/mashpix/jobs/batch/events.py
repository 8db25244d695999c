"""What a batch yields on its way."""

from dataclasses import dataclass
from pathlib import Path

from mashpix.jobs.batch.items import Item
from mashpix.jobs.batch.manifest import Entry
from mashpix.jobs.events import FitOutcome, Note, Outcome


@dataclass
class Counts:
    """Numbers of files, as far as the batch has come.

    total : to be done, folders that cannot be read included
    done, failed : of those
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
        """Files that are done or have failed."""
        return self.done + self.failed


@dataclass(frozen=True)
class BatchProgress:
    """How far the batch is: the share that is done, by the sizes of the files, and the numbers of files by now."""

    fraction: float
    counts: Counts


@dataclass(frozen=True)
class NetworkFitted:
    """The network that all files share is fitted, and its model written."""

    outcome: FitOutcome


@dataclass(frozen=True)
class FileNote:
    """A remark on one file."""

    path: Path
    note: Note


@dataclass(frozen=True)
class FileDone:
    """A file is done: how, and its line of the manifest, which is on the disk."""

    item: Item
    outcome: Outcome
    entry: Entry


@dataclass(frozen=True)
class FileFailed:
    """A file, or a folder that cannot be read, has failed: why, and its line of the manifest, if it is a file."""

    path: Path
    error: str
    entry: Entry | None = None


BatchEvent = BatchProgress | NetworkFitted | FileNote | FileDone | FileFailed
"""What happens during a batch."""
