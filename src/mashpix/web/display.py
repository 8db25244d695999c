"""What a worker process prepares for the page: each plane in halving sizes, in the units of the image."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import WITHIN, Index
from mashpix.files.pyramid import means_of, rounded
from mashpix.trust.drawing import as_shown
from mashpix.web.tiles import level_path, n_levels


@dataclass(frozen=True)
class Display:
    """The display arrays of one job.

    folder : where they are written
    axes : of the file
    is_rgb : whether samples are drawn as colours; of others the mean is
    """

    folder: Path
    axes: str
    is_rgb: bool

    def show(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return a plane as it is drawn: (H, W) or (H, W, 3)."""
        within = [letter for letter in self.axes if letter in WITHIN]
        last = plane.transpose([within.index(letter) for letter in "YXS" if letter in within])
        return last if last.ndim == 2 or self.is_rgb else as_shown(last, is_rgb=False).astype(np.float32)

    def put(self, kind: str, index: Index, plane: NDArray[Any]) -> None:
        """Write a plane as one of the kinds of `tiles`, in all sizes."""
        shown = self.show(plane)
        for level in range(n_levels(shown.shape[:2])):
            path = level_path(self.folder, kind, numbers(index), level)
            path.parent.mkdir(exist_ok=True)
            temporary = path.with_suffix(".new")
            with temporary.open("wb") as file:
                np.save(file, shown, allow_pickle=False)
            os.replace(temporary, path)  # who looks meanwhile sees the old one or the new one
            small = (-(-shown.shape[0] // 2), -(-shown.shape[1] // 2), *shown.shape[2:])
            shown = rounded(means_of(shown, small), shown.dtype)


def numbers(index: Index) -> tuple[int, ...]:
    """Return the numbers of a plane along the axes outside of it."""
    return tuple(place for place in index if isinstance(place, int))
