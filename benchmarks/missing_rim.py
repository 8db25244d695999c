"""Measure the error next to missing pixels and far from them, against that of the same pixels with nothing missing.

python benchmarks/missing_rim.py ../shared/data
Preset fast, seed 0, the centre of three images of each set; writes benchmarks/missing_rim.csv.
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

import mashpix
from _common import Table, load_pair, read_folder

SETS, N_IMAGES, SIDE = ("fmdd", "cc15", "sidd"), 3, 192
CUT = slice(16, 176)
"""Rows and columns of the part whose own border is measured for comparison: nothing is missing there, it ends."""
RIM, INSIDE = 3, 16
"""Distances from the missing pixels, up to which is the rim, and from which is inside."""
COLUMNS = ("set", "image", "missing", "rim_noisy", "rim_whole", "rim_missing", "inside_whole", "inside_missing")


def masks() -> dict[str, np.ndarray]:
    """Return what is missing: all outside of a circle, an irregular quarter, and all outside of the part cut out."""
    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(SIDE, SIDE)), 12, mode="wrap")
    border = np.ones((SIDE, SIDE), bool)
    border[CUT, CUT] = False
    circle = np.hypot(rows, columns) > 0.45 * SIDE
    return {"circle": circle, "irregular": smooth > np.quantile(smooth, 0.75), "border": border}


def measure(table: Table, root: Path, kind: str, name: str) -> None:
    """Add a row for each mask: root-mean-square errors in grey levels."""
    clean, noisy = load_pair(root, kind, name, SIDE)
    how = {"channel_axis": -1 if noisy.ndim == 3 else None, "settings": "fast", "device": "cpu"}
    whole = mashpix.denoise(noisy, **how)
    for shape, missing in masks().items():
        if shape == "border":
            found = whole.copy()
            found[CUT, CUT] = mashpix.denoise(noisy[CUT, CUT], **how)
        else:
            found = mashpix.denoise(noisy, missing=missing, **how)
        results = noisy, whole, found
        distance = distance_transform_edt(~missing)
        rim, inside = (distance > 0) & (distance <= RIM), distance > INSIDE
        squares = [np.square(result.astype(float) - clean) for result in results]
        errors = [part[rim] for part in squares] + [part[inside] for part in squares[1:]]
        table.add(kind, name, shape, *(round(float(np.sqrt(part.mean())), 2) for part in errors))


if __name__ == "__main__":
    root = read_folder(__doc__)
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for kind in SETS:
            names = sorted(path.name for path in (root / kind / "clean").iterdir())
            for name in names[:: max(len(names) // N_IMAGES, 1)][:N_IMAGES]:
                measure(table, root, kind, name)
