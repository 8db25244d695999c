"""R4, R7 and R8 for CPUs, compiled by numba: transform, shrink and add up the blocks of one strip of an image.

The relations are those of `dct`, `shrinking`, `blending` and `block_matching`, which serve GPUs; tests hold both to the
same results. Here a block stays in the processor's cache from its pixels to its sum, transforms are separable and fold
the symmetry of the cosines, and the innermost loops run over neighbouring blocks, so that they become vector
instructions. A kernel holds no lock of Python and touches its own strip only.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from mashpix.refine import block_matching, shrinking
from mashpix.refine.dct import OVERLAP

SIDE, HALF = shrinking.SIDE, shrinking.SIDE // 2
STRIDE = SIDE // OVERLAP
BLOCKS = 64
"""Neighbouring blocks that are shrunk together: few enough for their coefficients to stay in the cache."""
GROUPED = block_matching.SIDE
FAR = np.float32(np.finfo(np.float32).max)
TINY = np.float32(np.finfo(np.float32).tiny)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call; what comes out is kept on disk where that can be written to."""
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"reassoc", "contract", "nsz", "arcp"},
    }
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the installation nor the user's cache folder can be written to
        return numba.njit(**options)(function)


@compiled
def shrink_strip(noisy, signal, ratio, psd, cosine, threshold, keep_mean, min_kept, first, total, weight):  # type: ignore[no-untyped-def] # fmt: skip
    """Add up the shrunk blocks of rows `first` and following of the grid of blocks: R4, and R8.

    noisy, signal : (C, H, W), the image, and the pilot of its Wiener filter
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
                corner = (first + row) * STRIDE, start * STRIDE
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
        _weigh(cosine[down], flat[down % 2], STRIDE * width, long)
        for place in range(HALF):
            other = SIDE - 1 - place
            near, far = line[place % STRIDE, place // STRIDE :], line[other % STRIDE, other // STRIDE :]
            for block in range(count):
                sides[0, place, block] = near[block] + far[block]
                sides[1, place, block] = near[block] - far[block]
        for right in range(SIDE):
            _weigh(cosine[right], sides[right % 2], count, out[down, right])


@compiled
def _weigh(factors, lines, count, out):  # type: ignore[no-untyped-def]
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
                _weigh(split[odd, :, place], coefficients[down, odd::2], count, parts[odd])
            near, far = line[place % STRIDE, place // STRIDE :], line[other % STRIDE, other // STRIDE :]
            for block in range(count):
                near[block] += (parts[0, block] + parts[1, block]) * weight[block]
            for block in range(count):
                far[block] += (parts[0, block] - parts[1, block]) * weight[block]
    flat = lines.reshape((2, HALF, STRIDE * width))
    sums = np.empty((2, STRIDE, width), np.float32)
    for place in range(HALF):
        for odd in range(2):
            _weigh(split[odd, :, place], flat[odd], STRIDE * width, sums[odd].reshape(STRIDE * width))
        near, far = total[top + place, left:], total[top + SIDE - 1 - place, left:]
        for phase in range(STRIDE):
            for index in range(width):
                near[STRIDE * index + phase] += sums[0, phase, index] + sums[1, phase, index]
                far[STRIDE * index + phase] += sums[0, phase, index] - sums[1, phase, index]


@compiled
def match_strip(plane, rows, columns, radius, size):  # type: ignore[no-untyped-def]
    """Find the blocks most similar to those at `rows` x `columns`: see `block_matching.match_blocks`.

    Returns (rows, columns, size), the corner of each block as row * W + column, and the mean of each group.
    """
    height, width = plane.shape
    members = np.empty((len(rows), len(columns), size), np.int64)
    means = np.empty((len(rows), len(columns)), np.float32)
    distances, best = np.empty(2 * radius + 1, np.float32), np.empty(size, np.float32)
    for down, row in enumerate(rows):
        for right, column in enumerate(columns):
            corners = members[down, right]
            best[:], best[0], corners[0] = FAR, -1, row * width + column
            left = max(column - radius, 0)
            count = min(column + radius, width - GROUPED) + 1 - left
            for other in range(max(row - radius, 0), min(row + radius, height - GROUPED) + 1):
                distances[:count] = 0
                for line in range(GROUPED):
                    _add_distances(plane[row + line, column:], plane[other + line, left:], count, distances)
                own = column - left if other == row else -1
                for index in range(count):
                    if distances[index] < best[-1] and index != own:
                        place = size - 1
                        while best[place - 1] > distances[index]:
                            best[place], corners[place] = best[place - 1], corners[place - 1]
                            place -= 1
                        best[place], corners[place] = distances[index], other * width + left + index
            value = np.float32(0)
            for corner in corners:
                for line in range(GROUPED):
                    for place in range(GROUPED):
                        value += plane[corner // width + line, corner % width + place]
            means[down, right] = value / np.float32(size * GROUPED * GROUPED)
    return members, means


@compiled
def _add_distances(own, other, count, distances):  # type: ignore[no-untyped-def]
    """Add the squared distance of GROUPED pixels to as many beginning at each of `count` places."""
    for index in range(count):
        value = np.float32(0)
        for place in range(GROUPED):
            difference = other[index + place] - own[place]
            value += difference * difference
        distances[index] += value


@compiled
def filter_strip(noisy, pilot, members, ratio, psd, cosine, min_kept, top, total, weight):  # type: ignore[no-untyped-def] # fmt: skip
    """Wiener filter of groups (R7), added to `total` and `weight`, (C, pixels, W), whose first row is `top`.

    ratio : (rows, columns): v at the mean brightness of each group
    psd : (C, GROUPED**2): S
    """
    size, width = members.shape[2], noisy.shape[2]
    coefficients = np.empty((GROUPED * GROUPED, size), np.float32)
    signal = np.empty((GROUPED * GROUPED, size), np.float32)
    blocks = np.empty((size, GROUPED, GROUPED), np.float32)
    for channel in range(len(noisy)):
        whole = max(psd[channel].sum() * size, TINY)
        corners = np.zeros(weight.shape[1:], np.float32)
        for down in range(members.shape[0]):
            for right in range(members.shape[1]):
                group = members[down, right]
                _group_analyse(noisy[channel], group, cosine, blocks, coefficients)
                _group_analyse(pilot[channel], group, cosine, blocks, signal)
                kept = _group_gain(coefficients, signal, psd[channel], np.float32(size) * ratio[down, right])
                own = np.float32(1) / (kept / whole + min_kept)
                _group_synthesise(coefficients, cosine, own / np.float32(size), blocks)
                for index in range(size):
                    row, column = group[index] // width - top, group[index] % width
                    corners[row, column] += own
                    for line in range(GROUPED):
                        pixels = total[channel, row + line, column : column + GROUPED]
                        for place in range(GROUPED):
                            pixels[place] += blocks[index, line, place]
        _spread(corners, weight[channel])


@compiled
def _spread(corners, weight):  # type: ignore[no-untyped-def]
    """Add the weight of each block, given at its corner, to its pixels."""
    height, width = corners.shape
    sums = np.zeros((height, width), np.float32)
    for place in range(GROUPED):
        for row in range(height):
            for column in range(width - GROUPED + 1):
                sums[row, column + place] += corners[row, column]
    for place in range(GROUPED):
        for row in range(height - GROUPED + 1):
            for column in range(width):
                weight[row + place, column] += sums[row, column]


@compiled
def _group_gain(coefficients, signal, psd, ratio):  # type: ignore[no-untyped-def]
    """Multiply the coefficients of a group by their gain; returns the sum of gain^2 S."""
    size = signal.shape[1]
    kept = np.float32(0)
    mean = coefficients[0, 0]
    for index in range(GROUPED * GROUPED):
        variance, values, signals = psd[index] * ratio, coefficients[index], signal[index]
        squares = np.float32(0)
        for block in range(size):
            energy = signals[block] * signals[block]
            gain = energy / max(energy + variance, TINY)
            squares += gain * gain
            values[block] *= gain
        if index == 0:  # the mean of a group is kept
            energy = signals[0] * signals[0]
            gain = energy / max(energy + variance, TINY)
            squares += np.float32(1) - gain * gain
        kept += squares * psd[index]
    coefficients[0, 0] = mean
    return kept


@compiled
def _group_analyse(pixels, group, cosine, blocks, out):  # type: ignore[no-untyped-def]
    """Transform a group of blocks by cosines in them and Hadamard's matrix, not scaled, across them."""
    size, width = len(group), pixels.shape[1]
    for index in range(size):
        row, column = group[index] // width, group[index] % width
        for line in range(GROUPED):
            for place in range(GROUPED):
                blocks[index, line, place] = pixels[row + line, column + place]
    flat = blocks.reshape((size, GROUPED * GROUPED))
    _hadamard(flat)
    for place in range(GROUPED * GROUPED):
        for index in range(size):
            out[place, index] = flat[index, place]
    _cosines(out, cosine)


@compiled
def _group_synthesise(coefficients, cosine, weight, blocks):  # type: ignore[no-untyped-def]
    """Invert `_group_analyse`, but for the scale, times a weight."""
    size = len(blocks)
    flat = blocks.reshape((size, GROUPED * GROUPED))
    _cosines(coefficients, cosine.T)
    for index in range(size):
        for place in range(GROUPED * GROUPED):
            flat[index, place] = coefficients[place, index] * weight
    _hadamard(flat)


@compiled
def _cosines(values, matrix):  # type: ignore[no-untyped-def]
    """Multiply the columns and the rows of blocks (GROUPED * GROUPED, N) by a matrix, in place."""
    count = values.shape[1]
    lines = np.empty((GROUPED, GROUPED * count), np.float32)
    flat = values.reshape((GROUPED, GROUPED * count))
    for down in range(GROUPED):
        _weigh(matrix[down], flat, GROUPED * count, lines[down])
    for down in range(GROUPED):
        columns = lines[down].reshape((GROUPED, count))
        for right in range(GROUPED):
            _weigh(matrix[right], columns, count, values[down * GROUPED + right])


@compiled
def _hadamard(values):  # type: ignore[no-untyped-def]
    """Hadamard's transform, not scaled, along the first axis of (N, M), in place; N is a power of two."""
    reach = 1
    while reach < len(values):
        for start in range(0, len(values), 2 * reach):
            for index in range(start, start + reach):
                near, far = values[index], values[index + reach]
                for place in range(len(near)):
                    one, other = near[place], far[place]
                    near[place] = one + other
                    far[place] = one - other
        reach *= 2
