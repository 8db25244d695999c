"""The finished blocks of large planes, in a folder beside the output: a killed run goes on with the next block.

Each block is a file of its own, which is durable before its record is written: no writers share a file, and a record
is the proof that a block is done.
"""

import json
import shutil
import sys
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.kept import Fit, Kept, Place
from mashpix.axes import WITHIN, Index, window_of
from mashpix.errors import FileError
from mashpix.files.atomic import atomic_write
from mashpix.files.ome_zarr.array import overlap_of, region_of, relative, shape_of
from mashpix.files.opened import numbers_of
from mashpix.files.windows import WindowedPlane, within
from mashpix.jobs.recipe import sha256, to_json
from mashpix.report import Report
from mashpix.trust.outcome import Verdict

RUN = "run.json"
"""Name of the file that says what the blocks of a folder depend on."""
DENOISED, SPREAD = "npy", "spread.npy"
"""Endings of the files of a block, by what they hold."""


@dataclass(frozen=True)
class BlockStore(Kept):
    """The blocks of all planes of a stack, and the models that they are made with.

    folder : where they are
    axes, shape, dtype : of the stack
    side : of the blocks, pixels; None: each plane is a block
    run : what the blocks depend on, as JSON
    wanted : numbers of the blocks to do, see `Place`
    """

    folder: Path
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    side: int | None
    run: bytes
    wanted: Container[int] = range(sys.maxsize)

    @property
    def parts(self) -> str:
        """What the blocks are called."""
        return "planes" if self.side is None else "blocks"

    def begin(self, *, may_remove: bool) -> int:
        """Keep the blocks of a run with the same input and options; return how many are done.

        If it `may_remove` those of other runs it does, unless only the threads differ; `FileError` if not.
        """
        path = self.folder / RUN
        _write_first(path, self.run)
        known, own = (json.loads(run) for run in (path.read_bytes(), self.run))
        differs = [name for name in own if known.get(name) != own[name]]
        if differs and may_remove and differs != ["threads"]:
            self._forget()
            atomic_write(path, self.run, overwrite=True)
        elif differs:
            found = ", ".join(f"{name} {str(known.get(name))[:8]}, here {str(own[name])[:8]}" for name in differs)
            raise FileError(
                f"blocks of another run are there ({str(self.folder)!r}; {found}; remove it to start again)"
            )
        return sum(1 for _ in self.folder.glob("block-*.json"))

    def remove(self) -> None:
        """Remove all blocks."""
        self._forget()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _forget(self) -> None:
        """Remove all blocks and models, their records first: a record proves that the rest is there."""
        for pattern in ("block-*.json", "fit-*.json", "block-*", "fit-*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def put(
        self, index: Index, verdict: Verdict, report: Report | None, arrays: dict[str, NDArray[Any] | None]
    ) -> None:
        """Write the arrays of a block by their endings, then its record."""
        for ending, array in arrays.items():
            data = BytesIO()
            np.save(data, np.asarray(array))
            atomic_write(self._path(index, ending), data.getvalue(), overwrite=True)
        record = {"verdict": verdict.to_dict(), "report": report and report.to_dict()}
        atomic_write(self._path(index, "json"), to_json(record), overwrite=True)

    def report_of(self, index: Index) -> Report | None:
        """Return the report of a block that is done, else None."""
        found = self._record(index)
        return Report(**found["report"]) if found and found["report"] else None

    def is_wanted(self, place: Place) -> bool:
        """Return whether a block is one to do."""
        return place.number in self.wanted

    def fit_of(self, group: int) -> Fit | None:
        """Read the models of a group, if they are there."""
        from mashpix.jobs.model_file import read_model

        record = self.folder / f"fit-{group}.json"
        if not record.exists():
            return None
        found = json.loads(record.read_bytes())
        models = [name and read_model(self.folder / name) for name in found["models"]]
        return tuple(map(tuple, found["groups"])), models

    def keep_fit(self, group: int, fit: Fit) -> Fit:
        """Write the models of a group, unless they are there; return those that are there then."""
        from mashpix.jobs.model_file import encode_model

        record, names = self.folder / f"fit-{group}.json", list[str | None]()
        for model in fit[1]:
            data = encode_model(model, origin={}) if model else b""
            names.append(f"fit-{sha256(data)[:16]}.safetensors" if model else None)
            if model:
                atomic_write(self.folder / str(names[-1]), data, overwrite=True)
        _write_first(record, to_json({"groups": fit[0], "models": names}))
        return self.fit_of(group) or fit

    def verdict_of(self, index: Index) -> Verdict:
        """Return the verdict on a block that is done."""
        return Verdict(**self._record(index)["verdict"])

    def read(self, index: Index, ending: str = DENOISED) -> NDArray[Any]:
        """Read a plane or a window of it from the blocks that it touches."""
        region = region_of(index, self.shape)
        result = np.empty(shape_of(region), np.float32 if ending == SPREAD else self.dtype)
        for block in self.blocks(index):
            place = region_of(block, self.shape)
            both, values = overlap_of(place, region), np.load(self._path(block, ending), mmap_mode="r")
            result[relative(both, region)] = values.reshape(shape_of(place))[relative(both, place)]
        lengths = zip(result.shape, self.axes, strict=True)
        return result.reshape([length for length, letter in lengths if letter in WITHIN])

    def blocks(self, index: Index) -> Iterator[Index]:
        """Yield the blocks that a plane or a window touches."""
        ranges = dict(zip(self.axes, region_of(index, self.shape), strict=True))
        lengths = dict(zip(self.axes, self.shape, strict=True))
        if self.side is None:
            yield index
            return
        side = self.side
        edges = (
            [
                slice(start, min(start + side, lengths[letter]))
                for start in range(ranges[letter].start // side * side, ranges[letter].stop, side)
            ]
            for letter in "YX"
        )
        for rows, columns in product(*edges):
            yield window_of(index, self.axes, rows, columns)

    def plane(self, index: Index, read: Callable[[Index], NDArray[Any]] | None = None) -> NDArray[Any] | WindowedPlane:
        """Return a plane of the result, or of what `read` returns; one in several blocks to be read by windows."""
        read = read or self.read
        return read(index) if self.side is None else WindowedPlane(index, self.axes, self.shape, self.dtype, read)

    def _record(self, index: Index) -> Any:
        path = self._path(index, "json")
        return json.loads(path.read_bytes()) if path.is_file() else None

    def _path(self, index: Index, ending: str) -> Path:
        starts = [*numbers_of(index), *(item.start or 0 for item in within(index))]
        return self.folder / f"block-{'-'.join(map(str, starts))}.{ending}"


def _write_first(path: Path, data: bytes) -> None:
    """Write a file, unless it is there or another run writes it at the same moment."""
    try:
        atomic_write(path, data)
    except FileError:
        if not path.exists():
            raise
