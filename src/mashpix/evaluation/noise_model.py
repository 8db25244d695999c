"""The noise model of a command line: one dataclass whose fields are the flags of `add-noise` and of `bench`."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray

USED = {
    "correlated": ("sigma", "beta", "k", "distance", "shared"),
    "gaussian": ("sigma",),
    "poisson-gaussian": ("gain", "sigma"),
    "camera": ("electrons",),
}
"""The options that each kind of noise has."""


@dataclass(frozen=True, kw_only=True)
class NoiseModel:
    """What is added to a clean picture; its text names the model and the options that it has."""

    model: Annotated[
        Literal["correlated", "gaussian", "poisson-gaussian", "camera"], typer.Option(help="Kind of noise.")
    ] = "correlated"
    sigma: Annotated[
        float, typer.Option(metavar="X", min=0, help="Standard deviation, in the picture's own units; not for camera.")
    ] = 25.0
    beta: Annotated[
        float, typer.Option(metavar="0..1", min=0, max=1, help="correlated: strength of the correlation (Eq. 2).")
    ] = 1.0
    k: Annotated[int, typer.Option(metavar="N", min=1, help="correlated: its reach, pixels.")] = 3
    distance: Annotated[
        Literal["euclidean", "chebyshev", "manhattan"], typer.Option(help="correlated: the distance of Eq. 2.")
    ] = "euclidean"
    shared: Annotated[bool, typer.Option("--shared", help="correlated: one draw for all channels.")] = False
    gain: Annotated[
        float, typer.Option(metavar="X", min=0, help="poisson-gaussian: units of the picture for one photon.")
    ] = 1.0
    electrons: Annotated[
        float, typer.Option(metavar="X", min=1, help="camera: electrons at white; fewer are noisier.")
    ] = 500.0

    def __str__(self) -> str:
        """Such as `gaussian sigma=25`."""
        values = {name: getattr(self, name) for name in USED[self.model]}
        options = (f"{name}={value:g}" if type(value) is float else f"{name}={value}" for name, value in values.items())
        return " ".join([self.model, *options])

    def add(self, pixels: NDArray[Any], *, rng: np.random.Generator) -> NDArray[np.float64]:
        """A noisy picture in the units of a clean one, neither rounded nor clipped; `InputError` if that cannot be."""
        from mashpix import simulation as noise

        clean = pixels.astype(np.float64)
        if self.model == "correlated":
            return clean + noise.correlated_noise(
                clean.shape,
                sigma=self.sigma,
                beta=self.beta,
                k=self.k,
                distance=self.distance,
                shared=self.shared,
                rng=rng,
            )
        if self.model == "gaussian":
            return clean + noise.gaussian_noise(clean.shape, sigma=self.sigma, rng=rng)
        if self.model == "poisson-gaussian":
            return noise.add_poisson_gaussian(clean, gain=self.gain, sigma=self.sigma, rng=rng)
        white = _white(pixels.dtype)
        return white * noise.add_camera_noise(clean / white, electrons=self.electrons, rng=rng)

    def reference(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """What a noisy picture is compared with: the clean one, for a camera as it takes it without noise."""
        from mashpix import simulation as noise

        if self.model != "camera":
            return pixels
        white, rng = _white(pixels.dtype), np.random.default_rng(0)
        perfect = noise.add_camera_noise(pixels / white, electrons=np.inf, read_noise=0, jpeg_quality=None, rng=rng)
        return white * perfect


def _white(dtype: np.dtype[Any]) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
