"""Shared by the benchmarks: centre crops, pairs, finished results, and tables for the screen and a CSV."""

import argparse
import csv
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SETS = ("sidd", "polyu", "cc15", "fmdd")
CROP = 256
Result = tuple[NDArray[np.uint8], NDArray[np.uint8], Mapping[str, NDArray[Any]]]
"""Clean and noisy crop, and the arrays that benchmarks/verdicts.py cached for them."""


def centre(image: NDArray[Any], side: int) -> NDArray[Any]:
    """Crop an image (H, W) or (H, W, C) to its centre, at most its own size."""
    top, left = (max((length - side) // 2, 0) for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def load(path: Path, side: int | None = None) -> NDArray[Any]:
    """Read an image with Pillow, whole or cropped to its centre."""
    with Image.open(path) as image:
        array = np.asarray(image)
    return array if side is None else centre(array, side)


def load_pair(root: Path, kind: str, name: str, side: int | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Load a clean and a noisy image of a set."""
    return load(root / kind / "clean" / name, side), load(root / kind / "noisy" / name, side)


class Table:
    """A CSV to which rows are added; each is printed and written at once."""

    def __init__(self, path: Path, columns: Iterable[str], *, append: bool = False) -> None:
        is_new = not append or not path.exists()
        self.file = path.open("a" if append else "w", newline="")
        self.writer = csv.writer(self.file)
        if is_new:
            self.writer.writerow(columns)

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, *row: object) -> None:
        """Add a row."""
        self.writer.writerow(row)
        self.file.flush()
        print(*row, sep="\t", flush=True)


def measure_alone(script: str, *arguments: object) -> list[str]:
    """Return the words that a script prints in a separate process, which has its own peak memory."""
    command = [sys.executable, script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def finished(root: Path, kind: str, preset: str, cache: Path) -> Iterator[Result]:
    """Yield the images of a set whose results are in the cache."""
    for path in sorted((root / kind / "clean").iterdir()):
        stored = cache / f"{preset}_{kind}_{path.stem}.npz"
        if stored.exists():
            yield *load_pair(root, kind, path.name, CROP), np.load(stored)


def read_folder(about: str) -> Path:
    """Return the only argument of a program, a folder; `about` is the program's docstring."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("folder", type=Path)
    return parser.parse_args().folder


def tabulate(
    script: str, about: str, columns: Iterable[str], rows_of: Callable[[Iterable[Result]], Iterable[list[object]]]
) -> None:
    """Write a CSV beside a script: rows for each set, from the finished results of a preset."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    args = parser.parse_args()
    with Table(Path(script).with_suffix(".csv"), columns) as table:
        for kind in SETS:
            for row in rows_of(finished(args.root, kind, args.preset, args.cache)):
                table.add(args.preset, kind, *row)
