"""Blend a noisy image with its denoised version."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.deprecation import third_by_name
from mashpix.errors import InputError, UsageError
from mashpix.missing import holds_data, mask_missing


@third_by_name("strength")
def blend(
    noisy: NDArray[Any], denoised: NDArray[Any], *, strength: float, missing: NDArray[np.bool_] | None = None
) -> NDArray[Any]:
    """Mix a noisy image and its denoised version, in the dtype of the noisy one.

    Parameters
    ----------
    noisy, denoised : ndarray
        Images of one shape.
    strength : float
        0 gives the noisy image, 1 the denoised one.
    missing : ndarray of bool or None
        True for pixels without data, which are those of `noisy` in the result: a mask of the shape of the images.

    Returns
    -------
    ndarray
        Shape and dtype of `noisy`; whole numbers are rounded.

    Raises
    ------
    InputError
        If the shapes differ.
    UsageError
        If `strength` is not within 0 to 1.

    Examples
    --------
    >>> blend(np.array([0, 100], dtype=np.uint8), np.array([50, 100], dtype=np.uint8), strength=0.5)
    array([ 25, 100], dtype=uint8)
    """
    if noisy.shape != denoised.shape:
        raise InputError(f"images of different shapes cannot be mixed ({noisy.shape} and {denoised.shape})")
    if not 0 <= strength <= 1:
        raise UsageError(f"`strength`: outside its limits ({strength:g}; 0 to 1)")
    holes, noisy = ~holds_data(mask_missing(noisy, missing)), np.asarray(noisy)
    if strength == 1:
        return np.where(holes, noisy, denoised).astype(noisy.dtype)
    before = np.where(holes, 0, noisy).astype(np.float64)
    after = np.where(holes, 0, denoised).astype(np.float64)
    mixed = before + strength * (after - before)
    result = (np.rint(mixed) if noisy.dtype.kind in "iu" else mixed).astype(noisy.dtype)
    result[holes] = noisy[holes]
    return result
