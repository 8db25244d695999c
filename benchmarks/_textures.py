"""Generated textures: clean grey images of 0 to 255 whose every part is fine structure, as nature and cloth have it."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]
TINT = np.array([1.0, 0.85, 0.7])
"""Red, green and blue of a texture in colour."""


def fur(rng: np.random.Generator, side: int) -> Array:
    """Strands: noise that is smooth along a direction, which turns slowly over the image."""
    rows, columns = np.indices((side, side)) / side
    layers = [gaussian_filter(rng.standard_normal((side, side)), width) for width in ((6, 0.6), (3, 1.2), (0.6, 6))]
    weights = np.stack([1 - columns, 0.7 + 0 * rows, columns])
    return 120 + 30 * (weights * [layer / layer.std() for layer in layers]).sum(axis=0)


def weave(rng: np.random.Generator, side: int) -> Array:
    """Two crossing threads with threads of uneven brightness."""
    rows, columns = np.indices((side, side))
    warp, weft = (1 + 0.3 * rng.standard_normal(side) for _ in range(2))
    cell = (rows // 4 + columns // 4) % 2
    over = np.where(
        cell, warp[None, :] * np.sin(rows * np.pi / 4) ** 2, weft[:, None] * np.sin(columns * np.pi / 4) ** 2
    )
    return 90 + 80 * over


def sand(rng: np.random.Generator, side: int) -> Array:
    """Grains: noise of about two pixels, with a heavy tail."""
    grains = gaussian_filter(rng.standard_normal((side, side)) ** 3, 0.8)
    return 130 + 30 * grains / grains.std()


def grass(rng: np.random.Generator, side: int) -> Array:
    """Blades in front of one another: the brightest of several layers of strands, each leaning another way."""
    rows, columns = np.indices((side, side))
    layers = []
    for lean in rng.uniform(-0.6, 0.6, 6):
        upright = gaussian_filter(rng.standard_normal((side, side)), (9, 0.7), mode="wrap")
        layers.append(upright[rows, (columns + np.rint(lean * rows).astype(int)) % side] / upright.std())
    return 70 + 40 * np.max(layers, axis=0)


def foliage(rng: np.random.Generator, side: int) -> Array:
    """Dead leaves: discs that hide one another, as many of each size as makes the picture alike at all scales."""
    rows, columns = np.indices((side, side))
    image = np.zeros((side, side))
    small, large = 2.0, side / 8
    for _ in range(side * side // 10):
        radius = (small**-2 + rng.uniform() * (large**-2 - small**-2)) ** -0.5
        row, column = rng.uniform(0, side, 2)
        box = tuple(slice(max(int(at - radius), 0), int(at + radius) + 2) for at in (row, column))
        inside = (rows[box] - row) ** 2 + (columns[box] - column) ** 2 < radius**2
        image[box][inside] = rng.uniform(30, 220)
    return gaussian_filter(image, 0.5)


def wood(rng: np.random.Generator, side: int) -> Array:
    """Rings of a board, bent by slow turbulence, with fibres along them."""
    rows, columns = np.indices((side, side)) / side
    bend = gaussian_filter(rng.standard_normal((side, side)), side / 12)
    fibres = gaussian_filter(rng.standard_normal((side, side)), (12, 0.6))
    distance = np.hypot(columns - 0.3, 0.15 * rows) + 0.02 * bend / bend.std()
    rings = (side / 9 * distance) % 1.0
    return 150 - 50 * rings**2 + 14 * fibres / fibres.std()


TEXTURES = {"fur": fur, "weave": weave, "sand": sand, "grass": grass, "foliage": foliage, "wood": wood}
"""The textures by name; each is drawn by the generator whose seed is its number."""


def coloured(name: str, side: int) -> Array:
    """A texture in colour (H, W, 3)."""
    rng = np.random.default_rng(list(TEXTURES).index(name))
    return TEXTURES[name](rng, side).clip(0, 255)[..., None] * TINT
