"""Camera noise on a known clean image: sensor noise on a Bayer mosaic, then the processing to a JPEG.

Demosaicing mixes neighbouring pixels and channels, so the noise of the result is correlated; shot noise, white balance
and gamma make it depend on the value. The model follows what is common to raw-to-sRGB simulations (for example
Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019).
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

from mashpix.errors import InputError

Array = NDArray[Any]

WHITE_BALANCE = (2.0, 1.0, 1.7)
"""Gains of red, green and blue: daylight on a common sensor."""
BILINEAR = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
"""Weights of the neighbours that a missing colour is interpolated from."""


def add_camera_noise(
    clean: Array,
    *,
    rng: np.random.Generator,
    electrons: float = 500.0,
    read_noise: float = 2.0,
    jpeg_quality: int | None = 95,
) -> Array:
    """Simulate a photograph of a clean image: shot and read noise, demosaicing, white balance, gamma, JPEG.

    With `electrons=np.inf, read_noise=0, jpeg_quality=None` the result has no noise: it is the clean image to
    compare with, since demosaicing alone already changes fine detail.

    Parameters
    ----------
    clean : ndarray
        sRGB (H, W, 3), or grey (H, W), values 0 to 1; both sides at least 2 pixels.
    rng : numpy.random.Generator
        Source of randomness.
    electrons : float
        Electrons at white: the fewer, the noisier.
    read_noise : float
        Standard deviation of the read noise, electrons.
    jpeg_quality : int or None
        Quality of the JPEG, 1 to 100; None for no JPEG, and no rounding to 8 bit.

    Returns
    -------
    ndarray
        Float64, shape of `clean`, values 0 to 1.

    Raises
    ------
    InputError
        For another shape, values outside 0 to 1, or a parameter outside its limits.

    Examples
    --------
    >>> clean = np.full((64, 64, 3), 0.5)
    >>> noisy = add_camera_noise(clean, rng=np.random.default_rng(0))
    >>> bool(abs(noisy.mean() - 0.5) < 0.01), bool(noisy.std() > 0.01)
    (True, True)
    """
    if clean.ndim == 2:
        colour = np.repeat(clean[..., None], 3, axis=-1)
        noisy = add_camera_noise(colour, rng=rng, electrons=electrons, read_noise=read_noise, jpeg_quality=jpeg_quality)
        return np.asarray(noisy.mean(axis=-1))
    if clean.ndim != 3 or clean.shape[2] != 3 or min(clean.shape) < 2:
        raise InputError(f"a camera sees grey (H, W) or sRGB (H, W, 3) images (shape {clean.shape})")
    if not (clean.min() >= 0 and clean.max() <= 1):
        raise InputError(f"values outside 0 to 1 ({clean.min():g} to {clean.max():g})")
    if not (electrons > 0 and read_noise >= 0):
        raise InputError(f"electrons must be positive, read_noise 0 or more ({electrons:g}, {read_noise:g})")
    sensor = _mosaic(_to_linear(clean) / WHITE_BALANCE)
    sensor = np.minimum(_expose(sensor, electrons=electrons, read_noise=read_noise, rng=rng), 1)  # saturation
    picture = _to_gamma(np.clip(_demosaic(sensor) * WHITE_BALANCE, 0, 1))
    return picture if jpeg_quality is None else _through_jpeg(picture, jpeg_quality)


def _to_linear(picture: Array) -> Array:
    """Remove the gamma of sRGB (IEC 61966-2-1)."""
    return np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)


def _to_gamma(linear: Array) -> Array:
    """Apply the gamma of sRGB (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _bayer(height: int, width: int) -> Array:
    """Return which colour each pixel of an RGGB sensor measures, bool (H, W, 3)."""
    rows, columns = np.arange(height)[:, None] % 2, np.arange(width)[None, :] % 2
    return np.stack([(rows + columns == 0), (rows + columns == 1), (rows + columns == 2)], axis=-1)


def _mosaic(linear: Array) -> Array:
    return np.asarray((linear * _bayer(*linear.shape[:2])).sum(axis=-1))


def _expose(sensor: Array, *, electrons: float, read_noise: float, rng: np.random.Generator) -> Array:
    """Count electrons and read them out."""
    if np.isinf(electrons):
        return sensor
    counted = rng.poisson(sensor * electrons) + rng.normal(0, read_noise, sensor.shape)
    return np.asarray(counted / electrons)


def _demosaic(sensor: Array) -> Array:
    """Interpolate the missing colours of each pixel bilinearly."""
    seen = _bayer(*sensor.shape)
    planes = []
    for colour in range(3):
        mask = seen[..., colour]
        weights = convolve(mask.astype(np.float64), BILINEAR, mode="mirror")
        interpolated = convolve(np.where(mask, sensor, 0.0), BILINEAR, mode="mirror") / weights
        planes.append(np.where(mask, sensor, interpolated))
    return np.stack(planes, axis=-1)


def _through_jpeg(picture: Array, quality: int) -> Array:
    from PIL import Image

    encoded = BytesIO()
    Image.fromarray(np.rint(255 * picture).astype(np.uint8)).save(encoded, "JPEG", quality=quality)
    return np.asarray(Image.open(encoded), dtype=np.float64) / 255
