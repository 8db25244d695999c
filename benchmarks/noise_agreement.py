"""Compare what `inspect` says of the noise with what `denoise` removed, and with what its report and verdict say.

python benchmarks/noise_agreement.py ../shared/data
Seed 0, preset fast, centre crops of 192 x 192 of twelve kinds of images. Writes benchmarks/noise_agreement.csv.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

import mashpix
from _common import Table, centre, load, read_folder
from mashpix.noise_report.agreement import describe_removed
from stars import star_fields
from stripes import row_offsets

SIDE = 192
SETS = ("polyu", "sidd", "cc15", "renoir", "fmdd")
COLUMNS = (
    "image", "sigma", "lag1", "kind", "noted", "neighbour_correlation", "left_out", "removed", "removed_lag1",
    "noise_whiteness", "verdict", "reason", "said",
)  # fmt: skip
Array = NDArray[Any]


def images(root: Path) -> Iterator[tuple[str, Array]]:
    """One image of each kind."""
    rng = np.random.default_rng(0)
    for kind in SETS:
        yield kind, load(sorted((root / kind / "noisy").iterdir())[0], SIDE)
    for name, file in (("SEM", "test_tiff_Zeiss_SEM_512pix.tif"), ("CT", "693_UNCR_CT_int16.tif")):
        yield name, centre(tifffile.imread(root / "formats" / file), SIDE)
    yield "stars", next(star_fields()).noisy
    photo = centre(load(sorted((root / "kodak").iterdir())[4]), SIDE)
    grey = photo.mean(axis=2)
    yield "counts of 3 photons", rng.poisson(3 * grey / grey.mean()).astype(np.uint8)
    yield "stripes", (grey + rng.normal(0, 10, grey.shape) + 10 * row_offsets(grey.shape, rng)).astype(np.float32)
    file = io.BytesIO()
    Image.fromarray(rng.normal(photo, 15).round().clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=75)
    yield "noisy JPEG", np.asarray(Image.open(file))
    rows, columns = np.indices((SIDE, SIDE))
    yield "no noise", np.rint(128 + 90 * np.sin(rows / 17) * np.cos(columns / 23)).astype(np.uint8)


def lag1_of(change: Array) -> float:
    """Correlation of neighbours in what was removed."""
    parts = np.moveaxis(np.atleast_3d(change), -1, 0)
    parts = parts - parts.mean(axis=(1, 2), keepdims=True)
    products = ((parts[:, 1:] * parts[:, :-1]).mean() + (parts[:, :, 1:] * parts[:, :, :-1]).mean()) / 2
    return float(products / np.square(parts).mean()) if parts.any() else 0.0


def main() -> None:
    root = read_folder(__doc__)
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for name, image in images(root):
            how = {"channel_axis": -1, "channels": "rgb"} if image.ndim == 3 else {}
            found = mashpix.inspect(image, settings="fast", device="cpu", time_updates=False, **how)
            result = mashpix.denoise_and_check(image, settings="fast", device="cpu", **how)
            verdict, report = result.verdict, result.report
            taken = {**report.defects, **{kind: f"{level:.3g}" for kind, level in report.stripes.items()}}
            told = None if found.lag1 is None else np.mean(found.lag1)
            lags = told, report.neighbour_correlation, lag1_of(image.astype(float) - result.image)
            levels = (verdict.measures.get(name, np.nan) for name in ("residual_level", "noise_whiteness"))
            lag1, neighbours, removed_lag1 = ("" if lag is None else f"{lag:.2f}" for lag in lags)
            removed, whiteness = (f"{value:.3g}" for value in levels)
            table.add(
                name, f"{found.sigma:.3g}", lag1, found.kind, "; ".join(found.notes), neighbours, taken or "",
                removed, removed_lag1, whiteness, verdict.verdict, verdict.reason,
                describe_removed(found, image, result.image),
            )  # fmt: skip


if __name__ == "__main__":
    main()
