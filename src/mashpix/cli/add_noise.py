"""`mashpix add-noise`: a clean picture in, a noisy one out, for studies and demonstrations."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from mashpix.cli.console import complain
from mashpix.errors import MashpixError

Model = Literal["correlated", "gaussian", "poisson-gaussian", "camera"]


def add_noise(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A clean picture.")],
    target: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Where the noisy one goes.")],
    model: Annotated[Model, typer.Option(help="Kind of noise.")] = "correlated",
    sigma: Annotated[
        float, typer.Option(metavar="X", min=0, help="Standard deviation, in the picture's own units; not for camera.")
    ] = 25.0,
    beta: Annotated[
        float, typer.Option(metavar="0..1", min=0, max=1, help="correlated: strength of the correlation (Eq. 2).")
    ] = 1.0,
    k: Annotated[int, typer.Option(metavar="N", min=1, help="correlated: its reach, pixels.")] = 3,
    distance: Annotated[
        Literal["euclidean", "chebyshev", "manhattan"], typer.Option(help="correlated: the distance of Eq. 2.")
    ] = "euclidean",
    shared: Annotated[bool, typer.Option("--shared", help="correlated: one draw for all channels.")] = False,
    gain: Annotated[
        float, typer.Option(metavar="X", min=0, help="poisson-gaussian: units of the picture for one photon.")
    ] = 1.0,
    electrons: Annotated[
        float, typer.Option(metavar="X", min=1, help="camera: electrons at white; fewer are noisier.")
    ] = 500.0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the random draws.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
) -> None:
    """Add synthetic noise of a stated model to a clean picture."""
    from mashpix import files, noise

    try:
        image = files.read_image(source)
        files.check_output(source, target, overwrite=overwrite, in_place=False)
        files.check_writable(image, target)
        clean, rng = image.pixels.astype(np.float64), np.random.default_rng(seed)
        if model == "correlated":
            noisy = clean + noise.correlated_noise(
                clean.shape, sigma=sigma, beta=beta, k=k, distance=distance, shared=shared, rng=rng
            )
        elif model == "gaussian":
            noisy = clean + noise.gaussian_noise(clean.shape, sigma=sigma, rng=rng)
        elif model == "poisson-gaussian":
            noisy = noise.add_poisson_gaussian(clean, gain=gain, sigma=sigma, rng=rng)
        else:
            white = np.iinfo(image.pixels.dtype).max if image.pixels.dtype.kind in "iu" else 1.0
            noisy = white * noise.add_camera_noise(clean / white, electrons=electrons, rng=rng)
        for warning in files.write_image(
            target, replace(image, pixels=_as(noisy, image.pixels.dtype)), overwrite=overwrite
        ):
            complain(warning, name=str(source))
    except MashpixError as error:
        complain(str(error), name=str(source))
        raise typer.Exit(error.exit_code) from None


def _as(values: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Values in a dtype, integers rounded and clipped to what it holds."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)
