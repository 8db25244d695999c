"""One picture of a batch: where it comes from, where its outputs go, and that no two meet."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mashpix.errors import UsageError
from mashpix.files.formats import output_suffix

OWN_MARK = "_denoised"
"""What the names of outputs have before their ending."""


@dataclass(frozen=True)
class Item:
    """A picture of a batch.

    source : the input
    name : its path below the folder it was found in, as the manifest has it
    target : the denoised picture
    beside : the other outputs: the recipe and what --save asks for
    replace : whether outputs that are there may be replaced
    """

    source: Path
    name: str
    target: Path
    beside: tuple[Path, ...]
    replace: bool = False

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All files that are written."""
        return (self.target, *self.beside)


def output_name(source: Path) -> str:
    """Name of the denoised picture of a file: `<stem>_denoised<ending>`."""
    return f"{source.stem}{OWN_MARK}{output_suffix(source.suffix)}"


def make_item(source: Path, relative: Path, out: Path, beside_of: Callable[[Path], Iterable[Path]]) -> Item:
    """The item of a picture that is found at `relative` below its folder: the tree is mirrored in `out`."""
    target = out / relative.with_name(output_name(relative))
    return Item(source, relative.as_posix(), target, tuple(beside_of(target)))


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of change (ns) of a file, or of all in a folder: while both stay, it is taken for the same."""
    found = [path.stat()]
    for place, folders, names in os.walk(path):
        found += [os.lstat(Path(place, name)) for name in (*folders, *names)]
    return sum(status.st_size for status in found), max(status.st_mtime_ns for status in found)


def check_targets(sources: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Refuse outputs that would meet each other or an input.

    Raises
    ------
    UsageError
        Naming the first of them.
    """
    inputs = {source.resolve() for source in sources}
    taken: set[Path] = set()
    for output in outputs:
        place = output.resolve()
        if place in taken:
            raise UsageError(f"two inputs have one output ({str(output)!r}; denoise them into different folders)")
        if place in inputs:
            raise UsageError(f"an input is the output of another ({str(output)!r}; leave it out)")
        taken.add(place)
