"""Split a batch, or one large input, into shards for runs that know nothing of one another, such as SLURM tasks."""

import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from mashpix.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """One of the disjoint parts of a batch, or of one input.

    index, count : which part, from 1, of how many
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read "2/8"; `UsageError` for anything that is not a part of a whole."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"`shard`: not a part of a whole ({text!r}; 1/8 to 8/8 are the parts of 8)")
        return cls(int(found[1]), int(found[2]))

    def owns(self, output: str) -> bool:
        """Return whether an output, a path below the output folder, belongs to this part.

        Nothing but the path decides: shards stay disjoint even if files arrive between their starts.
        """
        digest = hashlib.sha256(os.fsencode(output)).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1

    @property
    def numbers(self) -> range:
        """The numbers, from 0, of the blocks of one input that belong to this part."""
        return range(self.index - 1, sys.maxsize, self.count)

    def own(self, name: str) -> str:
        """Return the name of this part's version of a file of the run: `mashpix.2-of-8.jsonl`."""
        path = Path(name)
        return f"{path.stem}.{self.index}-of-{self.count}{path.suffix}"


def of_shards(folder: Path, name: str, *, but_of: int | None = None) -> list[Path]:
    """Return the versions of a file of the run that shards have left in a folder, the one last written at the end.

    `but_of` leaves out those that are part of this many shards.
    """
    path, found = Path(name), []
    for other in folder.glob(f"{path.stem}.*{path.suffix}"):
        match = re.fullmatch(rf"{re.escape(path.stem)}\.\d+-of-(\d+){re.escape(path.suffix)}", other.name)
        if match and int(match[1]) != but_of:
            found.append(other)
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))
