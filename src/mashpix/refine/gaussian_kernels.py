"""R24 for CPUs, compiled by numba: the patches of one strip. As `gaussian_groups`, which serves GPUs; see `kernels`."""

import numpy as np

from mashpix.refine import gaussian_groups
from mashpix.refine.group_kernels import spread
from mashpix.refine.kernels import compiled

PATCH = gaussian_groups.PATCH
PIXELS = PATCH * PATCH
UNCERTAIN = np.float32(gaussian_groups.UNCERTAIN)
LEAST_VARIANCE = np.float32(gaussian_groups.LEAST_VARIANCE)


@compiled
def model_strip(noisy, pilot, members, ratio, covariance, top, total, weight):  # type: ignore[no-untyped-def]
    """Filter groups (R24), added to `total` and `weight`, (C, pixels, W), whose first row is `top`.

    ratio : (rows, columns): v at the mean brightness of each group
    covariance : (models, pixels, pixels): that of the noise, as from `gaussian_groups.patch_covariance`
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
                    _filter(patches, signal, covariance[model], ratio[down, right])
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
            for line in range(PATCH):
                for place in range(PATCH):
                    out[channel * PIXELS + line * PATCH + place, index] = image[channel, row + line, column + place]


@compiled
def _add(patches, group, total):  # type: ignore[no-untyped-def]
    """Add patches to the image that they come from."""
    width = total.shape[2]
    for channel in range(len(total)):
        for index in range(len(group)):
            row, column = group[index] // width, group[index] % width
            for line in range(PATCH):
                for place in range(PATCH):
                    total[channel, row + line, column + place] += patches[channel * PIXELS + line * PATCH + place, index]


@compiled
def _filter(patches, signal, covariance, ratio):  # type: ignore[no-untyped-def]
    """patches -= N (K + N)^-1 (patches - m), m and K the mean and the covariance of `signal`, which is overwritten."""
    length, size = patches.shape
    factor, turned = np.empty((length, length), np.float32), np.empty((size, length), np.float32)
    rest = np.empty((length, size), np.float32)
    for pixel in range(length):
        mean = np.float32(0)
        for index in range(size):
            mean += signal[pixel, index]
        mean /= np.float32(size)
        for index in range(size):
            signal[pixel, index] -= mean
            turned[index, pixel] = signal[pixel, index]
            rest[pixel, index] = patches[pixel, index] - mean
    trace = np.float32(0)
    scale = np.float32(1) / np.float32(size - 1)
    for pixel in range(length):
        row = factor[pixel]
        for other in range(pixel, length):
            row[other] = 0
        for index in range(size):
            value, line = signal[pixel, index] * scale, turned[index]
            for other in range(pixel, length):
                row[other] += value * line[other]
        for other in range(pixel, length):
            row[other] += ratio * covariance[pixel, other]
        trace += row[pixel]
    for pixel in range(length):
        factor[pixel, pixel] += UNCERTAIN * trace / np.float32(length) + LEAST_VARIANCE
    _solve(factor, rest)
    for pixel in range(length):
        start = pixel // PIXELS * PIXELS  # noise is independent between channels
        for other in range(start, start + PIXELS):
            value = ratio * covariance[pixel, other]
            for index in range(size):
                patches[pixel, index] -= value * rest[other, index]


@compiled
def _solve(matrix, values):  # type: ignore[no-untyped-def]
    """Multiply values (pixels, N) by the inverse of a symmetric matrix, given by its upper half: Cholesky, in place."""
    length, size = values.shape
    for pixel in range(length):
        scale = np.float32(1) / np.sqrt(matrix[pixel, pixel])
        for other in range(pixel, length):
            matrix[pixel, other] *= scale
        for later in range(pixel + 1, length):
            factor = matrix[pixel, later]
            for other in range(later, length):
                matrix[later, other] -= factor * matrix[pixel, other]
        for index in range(size):
            values[pixel, index] *= scale
        for later in range(pixel + 1, length):
            factor = matrix[pixel, later]
            for index in range(size):
                values[later, index] -= factor * values[pixel, index]
    for pixel in range(length - 1, -1, -1):
        scale = np.float32(1) / matrix[pixel, pixel]
        for index in range(size):
            values[pixel, index] *= scale
        for earlier in range(pixel):
            factor = matrix[earlier, pixel]
            for index in range(size):
                values[earlier, index] -= factor * values[pixel, index]
