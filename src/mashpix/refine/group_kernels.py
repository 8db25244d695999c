"""R7, R21 and R22 for CPUs, compiled by numba: match, transform, filter and add up the groups of blocks of one strip.

As `block_matching`, which serves GPUs; more on such kernels in `kernels`.
"""

import numpy as np

from mashpix.refine import block_matching
from mashpix.refine.kernels import TINY, compiled

GROUPED = block_matching.SIDE
HALF = np.float32(0.5**0.5)
FAR = np.float32(np.finfo(np.float32).max)


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
            for turn in range(2 * radius + 1):  # near rows first: they hold most of those that stay
                other = row + (turn + 1) // 2 * (1 if turn % 2 else -1)
                if other < 0 or other > height - GROUPED:
                    continue
                distances[:count] = 0
                for line in range(GROUPED):
                    for index in range(count):
                        value = np.float32(0)
                        for place in range(GROUPED):
                            difference = plane[other + line, left + index + place] - plane[row + line, column + place]
                            value += difference * difference
                        distances[index] += value
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
def filter_strip(noisy, pilot, members, ratio, top, total, weight, psd, cosine, across, threshold, min_kept):  # type: ignore[no-untyped-def] # fmt: skip
    """Filter groups (R7, R21, R22), added to `total` and `weight`, (C, pixels, W), whose first row is `top`.

    ratio : (rows, columns): v at the mean brightness of each group
    psd : (C, GROUPED**2): S
    threshold : gain is 1 beyond so many standard deviations; negative for the Wiener filter that `pilot` gives
    """
    size, width = members.shape[2], noisy.shape[2]
    coefficients = np.empty((GROUPED * GROUPED, size), np.float32)
    signal = np.empty((GROUPED * GROUPED, size), np.float32)
    blocks = np.empty((size, GROUPED, GROUPED), np.float32)
    inverse = np.ascontiguousarray(cosine.T)
    for channel in range(len(noisy)):
        whole = max(psd[channel].sum() * size, TINY)
        corners = np.zeros(weight.shape[1:], np.float32)
        for down in range(members.shape[0]):
            for right in range(members.shape[1]):
                group = members[down, right]
                _group_analyse(noisy[channel], group, cosine, blocks, coefficients)
                if threshold < 0:
                    _group_analyse(pilot[channel], group, cosine, blocks, signal)
                kept = _group_gain(coefficients, signal, psd[channel], ratio[down, right], across, threshold)
                own = np.float32(1) / (kept / whole + min_kept)
                _group_synthesise(coefficients, inverse, own, blocks)
                for index in range(size):
                    row, column = group[index] // width - top, group[index] % width
                    corners[row, column] += own
                    for line in range(GROUPED):
                        pixels = total[channel, row + line, column : column + GROUPED]
                        for place in range(GROUPED):
                            pixels[place] += blocks[index, line, place]
        spread(corners, weight[channel])


@compiled
def spread(corners, weight):  # type: ignore[no-untyped-def]
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
def _group_gain(coefficients, signal, psd, ratio, across, threshold):  # type: ignore[no-untyped-def]
    """Multiply the coefficients of a group by their gain; returns the sum of gain^2 S.

    Gains that are 0 or 1 are counted, and squares are added up for each block: sums of floats in a row are no vectors.
    """
    size = signal.shape[1]
    factors, squares = np.full(size, across, np.float32), np.zeros(size, np.float32)
    factors[0] = 1
    kept = np.float32(0)
    for index in range(GROUPED * GROUPED):
        variance, values, signals = psd[index] * ratio, coefficients[index], signal[index]
        first = 0 if index else 1  # the mean of a group is kept
        if threshold >= 0:
            passed = first
            for block in range(first, size):
                passes = values[block] * values[block] > threshold * threshold * (factors[block] * variance)
                values[block] = values[block] if passes else np.float32(0)
                passed += passes
            kept += np.float32(passed) * psd[index]
        else:
            for block in range(first, size):
                energy = signals[block] * signals[block]
                gain = energy / max(energy + factors[block] * variance, TINY)
                squares[block] += gain * gain * psd[index]
                values[block] *= gain
    if threshold < 0:
        kept = psd[0] + squares.sum()
    return kept


@compiled
def _group_analyse(pixels, group, cosine, blocks, out):  # type: ignore[no-untyped-def]
    """Transform a group of blocks by cosines in them and Haar's wavelets across them."""
    size, width = len(group), pixels.shape[1]
    for index in range(size):
        row, column = group[index] // width, group[index] % width
        for line in range(GROUPED):
            own = pixels[row + line, column : column + GROUPED]
            for place in range(GROUPED):
                blocks[index, line, place] = own[place]
    flat = blocks.reshape((size, GROUPED * GROUPED))
    _haar(flat, False)
    for place in range(GROUPED * GROUPED):
        for index in range(size):
            out[place, index] = flat[index, place]
    _cosines(out, cosine)


@compiled
def _group_synthesise(coefficients, inverse, weight, blocks):  # type: ignore[no-untyped-def]
    """Invert `_group_analyse`, times a weight."""
    size = len(blocks)
    flat = blocks.reshape((size, GROUPED * GROUPED))
    _cosines(coefficients, inverse)
    for index in range(size):
        for place in range(GROUPED * GROUPED):
            flat[index, place] = coefficients[place, index] * weight
    _haar(flat, True)


@compiled
def _cosines(values, matrix):  # type: ignore[no-untyped-def]
    """Multiply the columns and the rows of blocks (GROUPED * GROUPED, N) by a matrix, in place."""
    count = values.shape[1]
    lines = np.empty((GROUPED * GROUPED, count), np.float32)
    for down in range(GROUPED):
        for right in range(GROUPED):
            for index in range(count):
                value = np.float32(0)
                for place in range(GROUPED):
                    value += matrix[down, place] * values[place * GROUPED + right, index]
                lines[down * GROUPED + right, index] = value
    for down in range(GROUPED):
        for right in range(GROUPED):
            for index in range(count):
                value = np.float32(0)
                for place in range(GROUPED):
                    value += matrix[right, place] * lines[down * GROUPED + place, index]
                values[down * GROUPED + right, index] = value


@compiled
def _haar(values, inverse):  # type: ignore[no-untyped-def]
    """Haar's transform, orthonormal, or its inverse, along the first axis of (N, M), in place; N is a power of two."""
    reach = len(values) // 2 if inverse else 1
    while 0 < reach < len(values):
        _rotate(values, reach)
        reach = reach // 2 if inverse else 2 * reach


@compiled
def _rotate(values, reach):  # type: ignore[no-untyped-def]
    """Sum and difference, over sqrt 2, of rows that are `reach` apart, in place: its own inverse."""
    for start in range(0, len(values), 2 * reach):
        for place in range(values.shape[1]):
            one, other = values[start, place] * HALF, values[start + reach, place] * HALF
            values[start, place] = one + other
            values[start + reach, place] = one - other
