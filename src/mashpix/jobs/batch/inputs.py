"""Find the files of a batch: walk folders, expand patterns; skip and count own outputs and other files."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mashpix.errors import FileError, UsageError
from mashpix.files import is_zarr
from mashpix.files.formats import readable_suffixes
from mashpix.jobs.batch.items import OWN_MARK

WILDCARDS = "*?["


@dataclass
class Discovered:
    """The files found in the inputs.

    sources : image files in sorted order, each with its path below its folder or pattern, which its output reuses
    not_images : number of files skipped because of their names
    own_outputs : number of files skipped because an earlier run made them
    unreadable : folders that could not be read, with the reason
    """

    sources: dict[Path, Path] = field(default_factory=dict)
    not_images: int = 0
    own_outputs: int = 0
    unreadable: list[tuple[Path, str]] = field(default_factory=list)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder of images, and not a Zarr, which is an image itself."""
    return os.path.isdir(path) and not is_zarr(path)


def is_pattern(path: Path) -> bool:
    """Return whether a path is a pattern to expand and not a file, such as `scans/**/*.tif`."""
    return not os.path.lexists(path) and any(sign in str(path) for sign in WILDCARDS)


def find_sources(inputs: list[Path], out: Path) -> Discovered:
    """Find the images of a batch that writes into the folder `out`.

    Files given by name are always taken. In folders and patterns, hidden files are skipped; so are
    files without the name of an image, and own outputs if one of `out` and the input contains the other. Links are
    followed; each folder is visited once.

    Raises
    ------
    FileError
        For a folder that cannot be read, or a pattern without matches.
    UsageError
        For an invalid pattern.
    """
    found = Discovered()
    place = Path(os.path.realpath(out))
    for path in inputs:
        if is_folder(path):
            _take(_walk(path, place, found), path, place, found)
        elif is_pattern(path):
            base, matches = _expand(path)
            for match in matches:
                files = _walk(match, place, found) if is_folder(match) else [match]
                _take(files, base, place, found)
        else:
            found.sources[path] = Path(path.name)
    return found


def _expand(pattern: Path) -> tuple[Path, list[Path]]:
    """Return the folder before the first wildcard, and the sorted matches, except for files inside a matching Zarr."""
    first = next(index for index, part in enumerate(pattern.parts) if any(sign in part for sign in WILDCARDS))
    base = Path(*pattern.parts[:first])
    try:
        matches = sorted(base.glob(str(Path(*pattern.parts[first:]))))
    except ValueError as error:
        raise UsageError(f"not a pattern ({str(pattern)!r}; {error})") from None
    if not matches:
        raise FileError(f"nothing matches ({str(pattern)!r}; quote it, so that it arrives as it is)")
    zarrs = {match for match in matches if is_zarr(match)}
    return base, [match for match in matches if zarrs.isdisjoint(match.parents)]


def _walk(folder: Path, out: Path, found: Discovered) -> Iterator[Path]:
    """Find all files and Zarrs below a folder in sorted order, except those in an output folder below it."""

    def refuse(error: OSError) -> None:
        found.unreadable.append((Path(error.filename), f"cannot be read ({error.strerror})"))

    visited = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(place)
        if real in visited or (real == str(out) and place != str(folder)):
            folders.clear()
            continue
        visited.add(real)
        zarrs = [name for name in folders if is_zarr(Path(place, name))]
        folders[:] = sorted(name for name in folders if not (name.startswith(".") or name in zarrs))
        yield from (Path(place, name) for name in sorted([*names, *zarrs]))


def _take(files: Iterator[Path] | list[Path], base: Path, out: Path, found: Discovered) -> None:
    """Sort files into images, own outputs and others."""
    suffixes = readable_suffixes()
    for path in files:
        if any(part.startswith(".") for part in path.relative_to(base).parts):
            continue
        if path.suffix.lower() not in suffixes and not is_zarr(path):
            found.not_images += 1
        elif OWN_MARK in path.name and Path(os.path.realpath(path.parent)).is_relative_to(out):
            found.own_outputs += 1
        else:
            found.sources[path] = path.relative_to(base)
