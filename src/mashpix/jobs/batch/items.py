"""One file of a batch: its request, its outputs, and the check that no two outputs are the same file."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mashpix.errors import UsageError
from mashpix.files.formats import output_ending
from mashpix.files.suffixes import split_name
from mashpix.jobs.outputs import sidecar_paths
from mashpix.jobs.request import DenoiseRequest

OWN_MARK = "_denoised"
"""Suffix of the stem of every output's name."""


@dataclass(frozen=True)
class Item:
    """One file of a batch.

    name : path below the folder it was found in, with slashes, as recorded in the manifest
    request : what to do; `overwrite` says whether existing outputs may be replaced
    """

    name: str
    request: DenoiseRequest

    @property
    def source(self) -> Path:
        """The input."""
        return self.request.source

    @property
    def target(self) -> Path:
        """The denoised file."""
        return self.request.target

    @property
    def sidecars(self) -> tuple[Path, ...]:
        """The other outputs: the recipe, and the files that the request asks for."""
        return tuple(sidecar_paths(self.request).values())

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All files that the job writes."""
        return (self.target, *self.sidecars)


def output_name(source: Path) -> str:
    """Return the name of the output for a file: `<stem>_denoised<ending>`, the ending of the format that is written."""
    return f"{split_name(source)[0]}{OWN_MARK}{output_ending(source)}"


def make_item(source: Path, relative: Path, out: Path, request: DenoiseRequest) -> Item:
    """Make the item of a file found at `relative` below its folder; the tree is mirrored in `out`."""
    target = out / relative.with_name(output_name(source))
    return Item(relative.as_posix(), replace(request, source=source, target=target))


def name_of(path: Path, out: Path) -> str:
    """Return the path of an output below the output folder, with slashes."""
    return path.relative_to(out).as_posix()


def stamp_of(path: Path) -> tuple[int, int]:
    """Return size and modification time (ns) of a file or folder: if both are the same, it has not changed."""
    found = [path.stat()]
    for place, folders, names in os.walk(path):
        found += [os.lstat(Path(place, name)) for name in (*folders, *names)]
    return sum(status.st_size for status in found), max(status.st_mtime_ns for status in found)


def check_targets(sources: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Refuse outputs that are the same file as another output or an input.

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
