"""Run every small input that went wrong on version 0.1.0 through the command line, and say what becomes of it today.

python benchmarks/cases.py ../shared/data
Preset fast, seed 0, one thread. What came out of 0.1.0 is as data/cases/README.md has it. Writes benchmarks/cases.csv;
ends with a line that says so where the folder is not there.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from _common import Table, read_folder
from mashpix.files import read_image

Figure = Callable[[Path, Path], str]
"""What is measured of the input and the result of a case."""

COLUMNS = ("file", "0.1.0", "exit", "written", "measured", "verdict", "said")
VERDICT = "verdict: "
MAX_SAID = 200
"""Largest number of characters kept of what the command said."""
EMPTY_AREA = (slice(16, 48), slice(80, 112))
"""Where the fluorescence fields of the table hold no cell; no defect but hot pixels is there."""


def of_pixels(measure: Callable[[NDArray[Any], NDArray[Any]], str]) -> Figure:
    """Make a figure of two files from one of their pixels."""
    return lambda source, target: measure(*(read_image(path).pixels for path in (source, target)))


@of_pixels
def sums(noisy: NDArray[Any], denoised: NDArray[Any]) -> str:
    """Sum of all values."""
    return f"sum {noisy.sum():.0f} -> {denoised.sum():.0f}"


def changed(value: float) -> Figure:
    """How many pixels of a value changed."""

    @of_pixels
    def measure(noisy: NDArray[Any], denoised: NDArray[Any]) -> str:
        held = noisy == noisy.dtype.type(value)
        return f"{(denoised[held] != noisy[held]).sum()} of {held.sum()} pixels of {value:g} changed"

    return measure


@of_pixels
def noise_in_empty_area(noisy: NDArray[Any], denoised: NDArray[Any]) -> str:
    """Standard deviation where there is nothing, hot pixels left out."""
    sound = noisy[EMPTY_AREA] < np.median(noisy) + 10 * np.subtract(*np.percentile(noisy, (75, 50)))
    return f"noise {noisy[EMPTY_AREA][sound].std():.2f} -> {denoised[EMPTY_AREA][sound].std():.2f}"


@of_pixels
def removed(noisy: NDArray[Any], denoised: NDArray[Any]) -> str:
    """Standard deviation of what was taken off."""
    return f"deviation {np.std(denoised.astype(float) - noisy):.3g} taken off"


def gain_map(source: Path, target: Path) -> str:
    """Whether the metadata announce a gain map."""
    return "gain map announced: " + " -> ".join(
        "yes" if b"hdrgm:" in path.read_bytes() else "no" for path in (source, target)
    )


CASES: dict[str, tuple[str, Figure | None]] = {
    "photons_u8.tif": ("every pixel 0 (sum 780 -> 0), verdict good", sums),
    "photons_f32.tif": ("sum 780 -> 797", sums),
    "float_predictor/f16_pred2.tif": ("refused after the whole fit", removed),
    "float_predictor/f32_pred2.tif": ("refused after the whole fit", removed),
    "float_predictor/f64_pred2.tif": ("refused after the whole fit", removed),
    "dem_float_max.tif": ("a traceback; output without recipe left behind", changed(-3.4028234663852886e38)),
    "dem_minus9999.tif": ("581 of 1,200 nodata pixels changed, verdict good", changed(-9999)),
    "mosaic_zero_border.tif": ("775 of 2,700 zeros became 1 to 76", changed(0)),
    "no_defect.tif": ("noise 2.43 -> 0.00 in an empty area", noise_in_empty_area),
    "dead_row.tif": ("noise 2.43 -> 0.66 in an empty area, verdict good", noise_in_empty_area),
    "hot_pixels.tif": ("noise 2.43 -> 0.51 in an empty area, verdict good", noise_in_empty_area),
    "jpeg_named.nef": ("a .tif that holds a JPEG", removed),
    "cut_raw.rw2": ("developed without a word; a black TIFF, exit 0", None),
    "cut_raw.dng": ("developed without a word; a black TIFF, exit 0", None),
    "ultrahdr.jpg": ("gain map dropped (said), XMP still announces it", gain_map),
    "palette_alpha.tif": ("an internal message about channel_axis", None),
    "strip12.png": ("RMS error 15.1 -> 11.0", removed),
    "LeicaLASX_wavelength-sweep_example.lif": ("damaged microscope file", None),
    "testdata_2channel_xz.lif": ("damaged microscope file", None),
}
"""For each file what came out of 0.1.0, and what is measured today."""


def run(source: Path, target: Path) -> tuple[int, str, str]:
    """Denoise a file as a user would: exit code, verdict, and what else was said, without names of files."""
    command = [sys.executable, "-m", "mashpix", "denoise", source, "-o", target, "--preset", "fast", "--threads", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"}, check=False)
    lines = (ended.stderr + ended.stdout).replace(f"mashpix: {str(source)!r}: ", "").splitlines()
    said = [line for line in lines if not line.startswith("'") and " left" not in line[-8:]]
    verdicts = [line.removeprefix(VERDICT) for line in said if line.startswith(VERDICT)]
    return ended.returncode, "".join(verdicts), "; ".join(line for line in said if not line.startswith(VERDICT))


def measure(table: Table, folder: Path, name: str) -> None:
    """Add the row of a case."""
    before, figure = CASES[name]
    with tempfile.TemporaryDirectory() as target:
        code, verdict, said = run(folder / name, Path(target))
        results = [path for path in Path(target).iterdir() if path.suffix != ".json"]
        found = figure(folder / name, results[0]) if figure and results else ""
        written = results[0].name if results else "nothing"
    table.add(name, before, code, written, found, verdict, said[:MAX_SAID])


if __name__ == "__main__":
    folder = read_folder(__doc__) / "cases"
    if not folder.is_dir():
        sys.exit("skipped: the folder of data has no cases")
    with Table(Path(__file__).with_suffix(".csv"), COLUMNS) as table:
        for name in CASES:
            measure(table, folder, name)
