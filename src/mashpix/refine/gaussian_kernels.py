"""R24 for CPUs, compiled by numba: gather, filter and add up the similar patches of one strip.

As `gaussian_patches`, which serves GPUs; more on such kernels in `kernels`.
"""

import numpy as np

from mashpix.refine import gaussian_patches
from mashpix.refine.group_kernels import spread
from mashpix.refine.kernels import compiled

PATCH = gaussian_patches.PATCH
PIXELS = PATCH * PATCH


@compiled
def filter_strip(noisy, pilot, members, ratio, top, total, weight, covariance, ridge, least_variance):  # type: ignore[no-untyped-def] # fmt: skip
    """Filter groups (R24), added to `total` and `weight`, (C, pixels, W), whose first row is `top`.

    ratio : (rows, columns): v at the mean brightness of each group
    covariance : (models, pixels, pixels): that of the noise, of `gaussian_patches.patch_covariance`
    ridge, least_variance : `RIDGE` and `LEAST_VARIANCE` of `gaussian_patches`
    """
    size, width, length = members.shape[2], noisy.shape[2], covariance.shape[1]
    channels = length // PIXELS
    signal, patches = np.empty((length, size), np.float32), np.empty((length, size), np.float32)
    corners = np.zeros(weight.shape[1:], np.float32)
    for down in range(members.shape[0]):
        for right in range(members.shape[1]):
            group = members[down, right]
            for corner in group:
                corners[corner // width - top, corner % width] += np.float32(1)
            for model in range(len(covariance)):
                first = model * channels
                for part in range(4):
                    patch = group + (part // 2 * width + part % 2) * PATCH
                    _gather(pilot[first : first + channels], patch, signal)
                    _gather(noisy[first : first + channels], patch, patches)
                    _filter(patches, signal, covariance[model], ratio[down, right], ridge, least_variance)
                    _add(patches, patch - top * width, total[first : first + channels])
    for channel in range(len(noisy)):
        spread(corners, weight[channel])


@compiled
def _gather(image, group, out):  # type: ignore[no-untyped-def]
    """Pixels of patches: (pixels, patches)."""
    width = image.shape[2]
    for channel in range(len(image)):
        for index in range(len(group)):
            row, column = group[index] // width, group[index] % width
            for pixel in range(PIXELS):
                value = image[channel, row + pixel // PATCH, column + pixel % PATCH]
                out[channel * PIXELS + pixel, index] = value


@compiled
def _add(patches, group, total):  # type: ignore[no-untyped-def]
    """Add patches to the image that they come from."""
    width = total.shape[2]
    for channel in range(len(total)):
        for index in range(len(group)):
            row, column = group[index] // width, group[index] % width
            for pixel in range(PIXELS):
                value = patches[channel * PIXELS + pixel, index]
                total[channel, row + pixel // PATCH, column + pixel % PATCH] += value


@compiled
def _filter(patches, signal, covariance, ratio, ridge, least_variance):  # type: ignore[no-untyped-def]
    """patches -= N (K + N)^-1 (patches - m), m and K the mean and the covariance of `signal`, which is overwritten."""
    length, size = patches.shape
    matrix, turned = np.empty((length, length), np.float32), np.empty((size, length), np.float32)
    rest = np.empty((length, size), np.float32)
    for pixel in range(length):
        mean = np.float32(0)
        for index in range(size):
            mean += signal[pixel, index]
        mean /= np.float32(size)
        for index in range(size):
            turned[index, pixel] = signal[pixel, index] - mean
            signal[pixel, index] = (mean - signal[pixel, index]) / np.float32(size - 1)
            rest[pixel, index] = patches[pixel, index] - mean
    trace = np.float32(0)
    for pixel in range(length):
        for other in range(pixel, length):
            matrix[pixel, other] = ratio * covariance[pixel, other]
        _subtract(matrix[pixel], pixel, signal[pixel], turned, 0, size)
        trace += matrix[pixel, pixel]
    least = ridge * trace / np.float32(length) + least_variance
    for pixel in range(length):
        matrix[pixel, pixel] += least
    _solve(matrix, rest, least)
    for pixel in range(length):
        start = pixel // PIXELS * PIXELS  # noise is independent between channels
        for other in range(start, start + PIXELS):
            turned[0, other] = ratio * covariance[pixel, other]
        _subtract(patches[pixel], 0, turned[0], rest, start, start + PIXELS)


@compiled
def _solve(matrix, values, least):  # type: ignore[no-untyped-def]
    """Multiply values (pixels, N) by the inverse of a symmetric matrix, of which the upper half counts; both in place.

    By Cholesky's method: the matrix becomes U with U^T U = matrix. No pivot is below the least eigenvalue, but for
    rounding.
    """
    length = len(values)
    for pixel in range(length):
        _subtract(matrix[pixel], pixel, matrix[:, pixel], matrix, 0, pixel)
        matrix[pixel, pixel] = max(matrix[pixel, pixel], least)
        _scale(matrix[pixel], np.float32(1) / np.sqrt(matrix[pixel, pixel]), pixel)
        _subtract(values[pixel], 0, matrix[:, pixel], values, 0, pixel)
        _scale(values[pixel], np.float32(1) / matrix[pixel, pixel], 0)
    for pixel in range(length - 1, -1, -1):
        _subtract(values[pixel], 0, matrix[pixel], values, pixel + 1, length)
        _scale(values[pixel], np.float32(1) / matrix[pixel, pixel], 0)


@compiled
def _scale(out, factor, start):  # type: ignore[no-untyped-def]
    """out[start:] *= factor."""
    for place in range(start, len(out)):
        out[place] *= factor


@compiled
def _subtract(out, start, factors, lines, first, last):  # type: ignore[no-untyped-def]
    """out[start:] -= the sum of factors times lines, from `first` to before `last`: four at once."""
    index = first
    while index + 4 <= last:
        one, two, three, four = factors[index], factors[index + 1], factors[index + 2], factors[index + 3]
        line, line2, line3, line4 = lines[index], lines[index + 1], lines[index + 2], lines[index + 3]
        for place in range(start, len(out)):
            out[place] -= one * line[place] + two * line2[place] + three * line3[place] + four * line4[place]
        index += 4
    while index < last:
        factor, line = factors[index], lines[index]
        for place in range(start, len(out)):
            out[place] -= factor * line[place]
        index += 1
