"""R4 and R8 for CPUs, compiled by numba: transform, shrink and add up the blocks of one strip of an image.

The relations are those of `dct`, `shrinking` and `blending`, which serve GPUs; tests hold both to the same results.
Here a block stays in the processor's cache from its pixels to its sum, transforms are separable and fold the symmetry
of the cosines, and the innermost loops run over neighbouring blocks, so that they become vector instructions. A kernel
holds no lock of Python and touches its own strip only.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from mashpix.refine import shrinking
from mashpix.refine.dct import OVERLAP

SIDE, HALF = shrinking.SIDE, shrinking.SIDE // 2
STRIDE = SIDE // OVERLAP
BLOCKS = 64
"""Neighbouring blocks that are shrunk together: few enough for their coefficients to stay in the cache."""
TINY = np.float32(np.finfo(np.float32).tiny)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call; what comes out is kept on disk where that can be written to.

    Sums keep their order ("reassoc" is left out): else a run that compiles and one that loads differ in the last bits.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"contract", "nsz", "arcp"},
    }
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the installation nor the user's cache folder can be written to
        return numba.njit(**options)(function)


@compiled
def shrink_strip(noisy, signal, ratio, psd, cosine, threshold, keep_mean, min_kept, total, weight):  # type: ignore[no-untyped-def] # fmt: skip
    """Add up the shrunk blocks of a strip: R4, and R8.

    noisy, signal : (C, pixels, W), the image, and the pilot of its Wiener filter
    ratio : (rows of blocks, columns of blocks): v at the brightness of each block
    psd : (C, SIDE**2): S
    threshold : gain is 1 where |D noisy| exceeds so many standard deviations; negative for the Wiener filter
    total : (C, pixels, W), weight : (C, pixels / STRIDE, W / STRIDE): zeros, that the strip is added to
    """
    columns = ratio.shape[1]
    coefficients = np.empty((SIDE, SIDE, BLOCKS), np.float32)
    pilot = np.empty((SIDE, SIDE, BLOCKS), np.float32)
    own = np.empty(BLOCKS, np.float32)
    for channel in range(len(noisy)):
        whole = max(psd[channel].sum(), TINY)
        for row in range(ratio.shape[0]):
            for start in range(0, columns, BLOCKS):
                count = min(BLOCKS, columns - start)
                corner = row * STRIDE, start * STRIDE
                _analyse(noisy[channel], corner, count, cosine, coefficients)
                if threshold < 0:
                    _analyse(signal[channel], corner, count, cosine, pilot)
                levels = ratio[row, start : start + count]
                _gain(coefficients, pilot, levels, psd[channel], threshold, keep_mean, own)
                for block in range(count):
                    own[block] = np.float32(1) / (own[block] / whole + min_kept)
                _synthesise(coefficients, own, count, cosine, total[channel], row * STRIDE, start * STRIDE)
                for down in range(OVERLAP):
                    for right in range(OVERLAP):
                        cells = weight[channel, row + down, start + right : start + right + count]
                        for block in range(count):
                            cells[block] += own[block]


@compiled
def _gain(coefficients, pilot, ratio, psd, threshold, keep_mean, kept):  # type: ignore[no-untyped-def]
    """Multiply coefficients by their gain; `kept` becomes the sum of gain^2 S."""
    kept[:] = 0
    count = len(ratio)
    for down in range(SIDE):
        for right in range(SIDE):
            power = psd[down * SIDE + right]
            values, signals = coefficients[down, right], pilot[down, right]
            if keep_mean and down == 0 and right == 0:
                for block in range(count):
                    kept[block] += power
            elif threshold >= 0:
                limit = threshold * threshold * power
                for block in range(count):
                    value = values[block]
                    gain = np.float32(1) if value * value > limit * ratio[block] else np.float32(0)
                    kept[block] += gain * power
                    values[block] = value * gain
            else:
                for block in range(count):
                    energy = signals[block] * signals[block]
                    gain = energy / max(energy + power * ratio[block], TINY)
                    kept[block] += gain * gain * power
                    values[block] *= gain


@compiled
def _analyse(pixels, corner, count, cosine, out):  # type: ignore[no-untyped-def]
    """Cosine transform of `count` blocks side by side, every STRIDE pixels: (SIDE, SIDE, blocks)."""
    top, left = corner
    width = count + OVERLAP - 1  # a pixel of column STRIDE * j + phase is number j of its phase
    folded = np.empty((2, HALF, STRIDE, width), np.float32)
    for place in range(HALF):
        for phase in range(STRIDE):
            for index in range(width):
                near = pixels[top + place, left + STRIDE * index + phase]
                far = pixels[top + SIDE - 1 - place, left + STRIDE * index + phase]
                folded[0, place, phase, index] = near + far
                folded[1, place, phase, index] = near - far
    flat = folded.reshape((2, HALF, STRIDE * width))
    line = np.empty((STRIDE, width), np.float32)
    long = line.reshape(STRIDE * width)
    sides = np.empty((2, HALF, BLOCKS), np.float32)
    for down in range(SIDE):
        weigh(cosine[down], flat[down % 2], STRIDE * width, long)
        for place in range(HALF):
            other = SIDE - 1 - place
            near, far = line[place % STRIDE, place // STRIDE :], line[other % STRIDE, other // STRIDE :]
            for block in range(count):
                sides[0, place, block] = near[block] + far[block]
                sides[1, place, block] = near[block] - far[block]
        for right in range(SIDE):
            weigh(cosine[right], sides[right % 2], count, out[down, right])


@compiled
def weigh(factors, lines, count, out):  # type: ignore[no-untyped-def]
    """Weighted sum of HALF lines."""
    for index in range(count):
        value = np.float32(0)
        for place in range(HALF):
            value += factors[place] * lines[place, index]
        out[index] = value


@compiled
def _synthesise(coefficients, weight, count, cosine, total, top, left):  # type: ignore[no-untyped-def]
    """Transform blocks back and add them, times their weights, to the pixels."""
    width = count + OVERLAP - 1
    lines = np.zeros((2, HALF, STRIDE, width), np.float32)
    parts = np.empty((2, BLOCKS), np.float32)
    split = np.empty((2, HALF, SIDE), np.float32)  # cosines of even and of odd coefficients at each place
    for index in range(HALF):
        for place in range(SIDE):
            split[0, index, place], split[1, index, place] = cosine[2 * index, place], cosine[2 * index + 1, place]
    for down in range(SIDE):
        line = lines[down % 2, down // 2]
        for place in range(HALF):
            other = SIDE - 1 - place
            for odd in range(2):
                weigh(split[odd, :, place], coefficients[down, odd::2], count, parts[odd])
            near, far = line[place % STRIDE, place // STRIDE :], line[other % STRIDE, other // STRIDE :]
            for block in range(count):
                near[block] += (parts[0, block] + parts[1, block]) * weight[block]
            for block in range(count):
                far[block] += (parts[0, block] - parts[1, block]) * weight[block]
    flat = lines.reshape((2, HALF, STRIDE * width))
    sums = np.empty((2, STRIDE, width), np.float32)
    for place in range(HALF):
        for odd in range(2):
            weigh(split[odd, :, place], flat[odd], STRIDE * width, sums[odd].reshape(STRIDE * width))
        near, far = total[top + place, left:], total[top + SIDE - 1 - place, left:]
        for phase in range(STRIDE):
            for index in range(width):
                near[STRIDE * index + phase] += sums[0, phase, index] + sums[1, phase, index]
                far[STRIDE * index + phase] += sums[0, phase, index] - sums[1, phase, index]
