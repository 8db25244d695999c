"""Six small files cut at every byte: each cut is refused."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from faults.attempts import Attempt
from faults.door import read_all
from faults.many import try_many
from mashpix.errors import FileError
from mashpix.files import ImageFile, write_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (8, 9)).astype(np.uint8)
STEP = 7
"""A quick run cuts at every so-manieth byte."""


def make_files() -> dict[str, bytes]:
    """A few hundred bytes each."""
    files = {}
    with tempfile.TemporaryDirectory() as name:
        for kind in ("png", "jpeg", "webp", "npy", "npz"):
            pixels = np.dstack([GREY] * 3) if kind == "webp" else GREY
            write_image(Path(name, f"a.{kind}"), ImageFile(pixels, kind))
            files[kind] = Path(name, f"a.{kind}").read_bytes()
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([GREY, GREY[::-1]]), photometric="minisblack", metadata=None)
    return files | {"tiff": file.getvalue()}


def cut_files(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt a byte of each file."""
    cuts = [(kind, data, length) for kind, data in make_files().items() for length in range(len(data))]
    with tempfile.TemporaryDirectory() as folder:

        def work(number: int) -> tuple[str, str]:
            kind, data, length = cuts[number]
            path, whole = Path(folder, f"a.{kind}"), Path(folder, f"whole.{kind}")
            path.write_bytes(data[:length])
            whole.write_bytes(data)
            try:
                found = read_all(path)
            except FileError as error:
                return "refused", str(error)
            if found.tobytes() != read_all(whole).tobytes():
                return "lost", "other pixels, without a word"
            return "wrong", "read as if it were whole"

        for number, outcome, detail in try_many(range(0, len(cuts), STEP if quick else 1), work, seconds=5.0):
            kind, data, length = cuts[number]
            yield Attempt(f"{kind}, {length} of {len(data)} bytes", outcome, detail)
