"""Other denoisers for comparison: classical ones as their libraries ship and document them, and a zero-shot network.

The classical ones are told the noise level that is estimated. All take and return images (H, W) or (H, W, C) with
values 0 to 1. Their libraries are the extra `bench` and are imported only when they are used. BM3D's package
is free for non-commercial use only: no extra installs it.
"""

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import ExtraError, InputError, UsageError
from mashpix.extras import is_there, need

Array = NDArray[Any]
STRENGTH = 0.8
"""h of non-local means, in estimated noise levels, from scikit-image's example for the fast mode."""


def nlm(noisy: Array) -> Array:
    """Denoise by scikit-image's fast non-local means, with the patches of its example."""
    from skimage.restoration import denoise_nl_means

    if (h := STRENGTH * noise_level(noisy)) == 0:
        return noisy
    patches = {"patch_size": 5, "patch_distance": 6, "channel_axis": _channel_axis(noisy)}
    return np.asarray(denoise_nl_means(noisy, h=h, fast_mode=True, **patches))


def wavelet(noisy: Array) -> Array:
    """Denoise by scikit-image's soft wavelet thresholds (BayesShrink); RGB in YCbCr."""
    from skimage.restoration import denoise_wavelet

    colours = {"channel_axis": _channel_axis(noisy), "convert2ycbcr": noisy.shape[2:] == (3,)}
    denoised = denoise_wavelet(noisy, method="BayesShrink", mode="soft", rescale_sigma=True, **colours)
    return np.where(np.isnan(denoised), noisy, denoised)  # it divides by a noise level of 0


def opencv_nlm(noisy: Array) -> Array:
    """Denoise by OpenCV's non-local means: 8-bit grey or RGB, default patches of 7 and windows of 21 pixels."""
    import cv2

    if noisy.shape[2:] not in ((), (3,)):
        raise InputError(f"OpenCV denoises grey or RGB images (shape {noisy.shape})")
    if (h := 255 * STRENGTH * noise_level(noisy)) == 0:
        return noisy
    levels = np.rint(255 * np.clip(noisy, 0, 1)).astype(np.uint8)
    if levels.ndim == 2:
        return np.asarray(cv2.fastNlMeansDenoising(levels, h=h)) / 255
    blue_first = np.ascontiguousarray(levels[..., ::-1])
    return np.asarray(cv2.fastNlMeansDenoisingColored(blue_first, h=h, hColor=h))[..., ::-1] / 255


def bm3d(noisy: Array) -> Array:
    """Denoise by the authors' BM3D for white noise; RGB by colour BM3D in opponent colours."""
    from bm3d import bm3d as by_channel
    from bm3d import bm3d_rgb

    if (sigma := noise_level(noisy)) == 0:
        return noisy
    return np.asarray(bm3d_rgb(noisy, sigma) if noisy.shape[2:] == (3,) else by_channel(noisy, sigma))


def zs_n2n(noisy: Array, *, seed: int = 0) -> Array:
    """Denoise by Zero-Shot Noise2Noise, a network fitted to this image alone."""
    from mashpix.evaluation import zs_n2n

    return zs_n2n.denoise(noisy, seed=seed)


METHODS: Mapping[str, Callable[..., Array]] = MappingProxyType(
    {"nlm": nlm, "wavelet": wavelet, "opencv-nlm": opencv_nlm, "bm3d": bm3d, "zs-n2n": zs_n2n}
)
"""The baselines by name."""
NEEDS = {
    "nlm": ("skimage", "pywt"),
    "wavelet": ("skimage", "pywt"),
    "opencv-nlm": ("cv2", "skimage", "pywt"),
    "bm3d": ("bm3d", "skimage", "pywt"),
    "zs-n2n": (),
}
"""The modules that each baseline imports, beside those of mashpix itself."""
RANDOM = ("zs-n2n",)
"""The baselines that draw random numbers."""


def check(name: str) -> None:
    """Refuse a baseline that cannot run: `UsageError` for an unknown one, `ExtraError` if a library is missing."""
    if name not in METHODS:
        raise UsageError(f"unknown baseline ({name!r}; one of {', '.join(METHODS)})")
    if name == "bm3d" and not is_there("bm3d"):
        raise ExtraError("'bm3d': not installed (pip install bm3d; its licence is for non-commercial use)")
    need(*NEEDS[name], what=name, extra="bench")


def denoise_baseline(noisy: Array, name: str, *, data_range: float, seed: int = 0) -> Array:
    """Denoise one image with a baseline.

    Parameters
    ----------
    noisy : (H, W) or (H, W, C) ndarray
        Any integer or floating dtype; without NaN.
    name : str
        One of `METHODS`.
    data_range : float
        Distance from black to white, in the units of the image.
    seed : int
        Of the random draws of those in `RANDOM`.

    Returns
    -------
    ndarray
        Shape and dtype of `noisy`; an image in which no noise is found comes back as it is.

    Raises
    ------
    InputError
        For an image that the method cannot take.
    """
    if name == "opencv-nlm" and data_range != 255:
        raise InputError(f"OpenCV denoises 8 bit only (data range {data_range:g}; 255 needed)")
    draws = {"seed": seed} if name in RANDOM else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of means over no values, in an image without noise
        denoised = data_range * METHODS[name](noisy.astype(np.float32) / np.float32(data_range), **draws)
    if noisy.dtype.kind in "iu":
        limits = np.iinfo(noisy.dtype)
        denoised = np.clip(np.rint(denoised), limits.min, limits.max)
    return denoised.astype(noisy.dtype)


def noise_level(noisy: Array) -> float:
    """Estimate the standard deviation of the noise from wavelets: mean over the channels that have any."""
    from skimage.restoration import estimate_sigma

    sigmas = np.ravel(estimate_sigma(noisy, channel_axis=_channel_axis(noisy)))
    return float(np.nan_to_num(np.nanmean(sigmas)))


def _channel_axis(image: Array) -> int | None:
    return None if image.ndim == 2 else -1
