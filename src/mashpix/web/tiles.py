"""Tiles of 256 x 256 pixels for the page, 8 bits: every kind of picture goes through the same mapping of values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mashpix.trust.drawing import to_8_bit

SIDE = 256
"""Side of a tile in pixels."""
Kind = Literal["noisy", "denoised", "live", "residual", "spread"]
"""What can be looked at. On disk there is also "detail": what full detail would add to the denoised image."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Which tile is asked for.

    of, plane : kind of picture, and the numbers of the plane
    level, x, y : size (each level halves it) and place, in tiles
    low, high : values that become black and white, units of the image
    strength, detail : applied to the denoised image
    """

    of: Kind
    plane: tuple[int, ...]
    level: int
    x: int
    y: int
    low: float
    high: float
    strength: float = 1.0
    detail: float = 0.0


def n_levels(shape: tuple[int, ...]) -> int:
    """Return how many sizes a plane is kept in: the last fits into one tile.

    Examples
    --------
    >>> n_levels((256, 100)), n_levels((257, 100)), n_levels((4000, 6000))
    (1, 2, 6)
    """
    return max((max(shape) - 1) // SIDE, 0).bit_length() + 1


def level_path(folder: Path, kind: str, plane: tuple[int, ...], level: int) -> Path:
    """Return the path of a plane in one size."""
    return folder / kind / f"{'-'.join(map(str, plane)) or '0'}.{level}.npy"


def draw_tile(folder: Path, tile: Tile) -> bytes:
    """Return a tile as a PNG file.

    Raises
    ------
    FileNotFoundError
        If there is no such picture, or not yet.
    IndexError
        If there is no such tile.
    """
    from PIL import Image

    from mashpix.trust.drawing import encode_png

    values = _values(folder, tile)
    if 0 in values.shape:
        raise IndexError("no such tile")
    return encode_png(Image.fromarray(to_8_bit(values, (tile.low, tile.high))))


def _values(folder: Path, tile: Tile) -> NDArray[Any]:
    """Return the values of a tile, in the units of the image."""

    def read(kind: str) -> NDArray[Any]:
        whole = np.load(level_path(folder, kind, tile.plane, tile.level), mmap_mode="r", allow_pickle=False)
        part: NDArray[Any] = whole[SIDE * tile.y : SIDE * (tile.y + 1), SIDE * tile.x : SIDE * (tile.x + 1)]
        return part

    if tile.of not in ("denoised", "residual"):
        return read(tile.of)
    noisy, denoised = (read(kind).astype(np.float64) for kind in ("noisy", "denoised"))
    if tile.detail:
        denoised = denoised + tile.detail * read("detail")
    shown = noisy + tile.strength * (denoised - noisy)
    return shown if tile.of == "denoised" else noisy - shown
