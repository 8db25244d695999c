"""Synthetic noise for benchmarks and studies: a model and its options."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mashpix.settings import number

USED = {
    "correlated": ("sigma", "beta", "k", "distance", "shared"),
    "gaussian": ("sigma",),
    "poisson-gaussian": ("gain", "sigma"),
    "camera": ("electrons",),
}
"""The options that apply to each model, as its function in `mashpix.simulation` takes them."""


@dataclass(frozen=True, kw_only=True)
class SyntheticNoise:
    """The noise that is added to a clean image; `str` gives the model and the options that apply to it.

    Each field is a flag of `mashpix add-noise` and `mashpix bench`.
    """

    model: Literal["correlated", "gaussian", "poisson-gaussian", "camera"] = number("correlated", "kind of noise")
    sigma: float = number(25.0, "standard deviation, in the image's own units; not for camera", low=0)
    beta: float = number(1.0, "correlated: strength of the correlation (Eq. 2)", low=0, high=1)
    k: int = number(3, "correlated: its reach, pixels", low=1)
    distance: Literal["euclidean", "chebyshev", "manhattan"] = number("euclidean", "correlated: the distance of Eq. 2")
    shared: bool = number(False, "correlated: one draw for all channels")
    gain: float = number(1.0, "poisson-gaussian: units of the image per photon", low=0)
    electrons: float = number(500.0, "camera: electrons at white; fewer are noisier", low=1)

    def __str__(self) -> str:
        """Return the model and its options, such as `gaussian sigma=25`."""
        options = (
            f"{name}={value:g}" if type(value) is float else f"{name}={value}" for name, value in self._options.items()
        )
        return " ".join([self.model, *options])

    @property
    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in USED[self.model]}

    def add(self, pixels: NDArray[Any], *, rng: np.random.Generator) -> NDArray[np.float64]:
        """Add noise to a clean image, in its units, neither rounded nor clipped; `InputError` if impossible."""
        from mashpix import simulation as noise

        clean = pixels.astype(np.float64)
        if self.model == "correlated":
            return clean + noise.correlated_noise(clean.shape, **self._options, rng=rng)
        if self.model == "gaussian":
            return clean + noise.gaussian_noise(clean.shape, **self._options, rng=rng)
        if self.model == "poisson-gaussian":
            return noise.add_poisson_gaussian(clean, **self._options, rng=rng)
        white = _white(pixels.dtype)
        return white * noise.add_camera_noise(clean / white, **self._options, rng=rng)

    def reference(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return what a noisy image is compared with: the clean one; for a camera, what it records without noise."""
        from mashpix import simulation as noise

        if self.model != "camera":
            return pixels
        white, rng = _white(pixels.dtype), np.random.default_rng(0)
        perfect = noise.add_camera_noise(pixels / white, electrons=np.inf, read_noise=0, jpeg_quality=None, rng=rng)
        return white * perfect


def _white(dtype: np.dtype[Any]) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
