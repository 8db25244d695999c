"""`mashpix add-noise`: add noise to a clean image, for studies and demonstrations."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mashpix.cli.console import complain, errors_name
from mashpix.cli.options import noise_flags
from mashpix.evaluation.synthetic_noise import SyntheticNoise


@noise_flags
def add_noise(
    source: Annotated[Path, typer.Argument(metavar="IN", readable=False, help="A clean image.")],
    target: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The noisy image.")],
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the random draws.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")] = False,
    *,
    synthetic_noise: SyntheticNoise,
) -> None:
    """Add synthetic noise of a chosen model to a clean image."""
    from mashpix import files

    with errors_name(source):
        image = files.read_image(source)
        files.check_output(source, target, overwrite=overwrite, in_place=False)
        files.check_writable(image, target)
        noisy = synthetic_noise.add(image.pixels, rng=np.random.default_rng(seed))
        for warning in files.write_image(
            target, replace(image, pixels=_as(noisy, image.pixels.dtype)), overwrite=overwrite
        ):
            complain(warning, name=str(source))


def _as(values: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Convert values to a dtype; for an integer type, round and clip them to its range."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)
