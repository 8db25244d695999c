"""The finished blocks of large planes, in a folder beside the output: a killed run goes on with the next block.

Each block is a file of its own, which is durable before its record is written: no writers share a file, and a record
is the proof that a block is done.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import WITHIN, Index, window_of
from mashpix.files.atomic import atomic_write
from mashpix.files.ome_zarr.array import overlap_of, region_of, relative, shape_of
from mashpix.files.opened import numbers_of
from mashpix.files.windows import WindowedPlane, within
from mashpix.jobs.recipe import to_json
from mashpix.report import Report
from mashpix.trust.outcome import Verdict

RUN = "run.json"
"""Name of the file that says what the blocks of a folder depend on."""
DENOISED, SPREAD = "npy", "spread.npy"
"""Endings of the files of a block, by what they hold."""


@dataclass(frozen=True)
class BlockStore:
    """The blocks of all planes of a stack.

    folder : where they are
    axes, shape, dtype : of the stack
    side : of the blocks, pixels
    run : what the blocks depend on, as JSON
    """

    folder: Path
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    side: int
    run: bytes

    def begin(self) -> int:
        """Keep the blocks of a run with the same input and options, else remove them; return how many are done."""
        if not (self.folder / RUN).is_file() or (self.folder / RUN).read_bytes() != self.run:
            self.remove()
        return sum(1 for _ in self.folder.glob("block-*.json"))

    def remove(self) -> None:
        """Remove all blocks."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def put(
        self, index: Index, verdict: Verdict, report: Report | None, arrays: dict[str, NDArray[Any] | None]
    ) -> None:
        """Write the arrays of a block by their endings, then its record; the first block makes the folder."""
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            atomic_write(self.folder / RUN, self.run)
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
        edges = (
            [
                slice(start, min(start + self.side, lengths[letter]))
                for start in range(ranges[letter].start // self.side * self.side, ranges[letter].stop, self.side)
            ]
            for letter in "YX"
        )
        for rows, columns in product(*edges):
            yield window_of(index, self.axes, rows, columns)

    def plane(self, index: Index, read: Callable[[Index], NDArray[Any]] | None = None) -> WindowedPlane:
        """Return a plane of the result, or of what `read` returns, to be read window by window."""
        return WindowedPlane(index, self.axes, self.shape, self.dtype, read or self.read)

    def _record(self, index: Index) -> Any:
        path = self._path(index, "json")
        return json.loads(path.read_bytes()) if path.is_file() else None

    def _path(self, index: Index, ending: str) -> Path:
        starts = [*numbers_of(index), *(item.start or 0 for item in within(index))]
        return self.folder / f"block-{'-'.join(map(str, starts))}.{ending}"
