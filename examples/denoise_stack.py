"""Denoise a TIFF stack as a job: with progress, and another job cancelled in the middle."""

import tempfile
from pathlib import Path

import numpy as np
import tifffile

from mashpix import Step, preset
from mashpix.jobs import DenoiseRequest, denoise_file, run

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    disc = np.hypot(*np.mgrid[-24:24, -32:32]) < 14
    noisy = np.random.default_rng(0).normal(1000 + 400 * disc, 100, (3, 48, 64)).astype(np.uint16)
    tifffile.imwrite(folder / "noisy.tif", noisy, imagej=True, metadata={"axes": "TYX"})
    request = DenoiseRequest(source=folder / "noisy.tif", target=folder / "clean.tif", settings=preset("fast"))
    job = denoise_file(request)
    next(event for event in job if isinstance(event, Step) and event.fraction > 0.3)
    job.close()
    print("cancelled, left:", [path.name for path in folder.iterdir()])

    def show(event):
        if isinstance(event, Step) and event.stage == "plane":
            print(f"{event.fraction:.0%} done")

    outcome = run(denoise_file(request), show=show)
    print(f"{outcome.target.name}: {outcome.axes} {outcome.shape}, masking ratio {outcome.report.masking_ratio}")
    print(f"verdict: {outcome.verdict.verdict} ({outcome.verdict.reason})")
