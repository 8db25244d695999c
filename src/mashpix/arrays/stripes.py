"""Stripes and periodic patterns in a single image: offsets of rows and columns, and waves all over it (S1 to S5).

A real edge belongs to a part of the image and a few rows; the noise of rows goes from border to border in every row, is
the same in all parts of a row, and does not repeat. Derived in docs/method.md, "Stripes and periodic patterns".
"""

from collections.abc import Iterator
from functools import partial
from itertools import combinations, product
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mashpix.arrays.defects import filled
from mashpix.devices import in_threads
from mashpix.missing import holds_data

Values = NDArray[np.float32]
Mode = Literal["auto", "on", "off"]
Wave = tuple[float, float, complex]
"""Cycles per pixel down and to the right, and half the amplitude with its phase."""

SEGMENT = 32
"""Pixels of a part of a row, whose median is one measurement of its offset (S1)."""
MIN_SEGMENTS, MAX_SEGMENTS = 4, 16
"""Parts of a row: with fewer, offsets cannot be told from the image; more are not needed."""
SMOOTH = 4.0
"""Standard deviation in rows of the average that stands for the image: slower offsets are left in it (S1)."""
SLOW, SLOW_FRACTION = 16.0, 0.057
"""The same of a second look at what is left, and the power of white offsets in it, relative to the first look (S2)."""
ROUNDS = 4
"""Times that the offsets are measured, each time with those found so far taken off."""
MAX_HEIGHT = 4.0
"""Largest offset that is one, in robust standard deviations of all: beyond, it is an edge (S2)."""
MIN_SURE, MIN_AGREEMENT, MAX_REPEAT = 2.0, 0.8, 0.4
"""S3: least median of offset / error, and correlation of both halves of the parts; largest autocorrelation in rows."""
ALONG_QUANTILE, MIN_ALONG = 0.1, 0.5
"""S3: quantile of the share of the offsets that each column has by itself, and its least: lines of text leave gaps."""

SEARCHED = 1024
"""Side in pixels of the centre in which waves are searched for."""
BAND = 16
"""Side in coefficients of the parts of a spectrum that a wave is compared with (S4)."""
MIN_PEAK = 100.0
"""Least power of a wave relative to the median in its part of the spectrum (S4): noise alone reaches 25."""
MIN_FREQUENCY, MAX_FREQUENCY = 0.04, 0.49
"""Cycles per pixel: slower ones are the image; those of two pixels are the colour filter of a camera."""
PARTS = 4
"""Parts a side of the image, in all of which a wave has to be the same (S5)."""
MIN_COHERENCE = {"auto": 0.95, "on": 0.8}
"""S5: least coherence of the parts."""
MAX_AMPLITUDE = 4.5
"""Largest amplitude of a wave in standard deviations of the noise: beyond, it is the object (auto only)."""
MAX_HARMONIC = 0.2
"""Largest amplitude at twice and three times the frequency of a wave, relative to it (auto only)."""
WOVEN = 0.5
"""Cycles per side of the image within which a sum of two waves is a third (auto only)."""
MAX_WAVES = 8
"""Largest number of waves that are taken off."""


class Stripes(NamedTuple):
    """What is taken off an image (C, H, W).

    pattern : float32 (C, H, W), in units of the image
    levels : RMS over each channel of the offsets of rows, those of columns, and the waves, (C, 3)
    """

    pattern: Values
    levels: NDArray[np.float64]

    def by_kind(self) -> dict[str, float]:
        """Return the RMS over all channels of each of `KINDS` that there is."""
        found = zip(KINDS, np.sqrt(np.square(self.levels).mean(axis=0)).tolist(), strict=True)
        return {kind: level for kind, level in found if level}


KINDS = ("rows", "columns", "waves")
"""The kinds of stripes."""


def find_stripes(array: NDArray[Any], *, mode: Mode = "auto") -> Stripes | None:
    """Find the stripes of an image (C, H, W), which may be masked; None if it has none.

    Mode "auto" finds only those that cannot be anything else, "on" all that can be measured, "off" none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> image = rng.normal(100, 5, (1, 128, 128)) + rng.normal(0, 5, (128, 1))
    >>> {kind: round(level, 1) for kind, level in find_stripes(image).by_kind().items()}
    {'rows': 4.7}
    """
    if mode == "off":
        return None
    found = in_threads(partial(_find_in_plane, mode=mode), array)
    stripes = Stripes(*(np.stack(parts) for parts in zip(*found, strict=True)))
    return stripes if stripes.levels.any() else None


@np.errstate(over="ignore", invalid="ignore")  # values near the largest float
def _find_in_plane(plane: NDArray[Any], mode: Mode) -> tuple[Values, NDArray[np.float64]]:
    """Find the stripes of one channel (H, W), and their levels."""
    held = holds_data(plane)
    pattern, levels = np.zeros(plane.shape, np.float32), np.zeros(len(KINDS))
    if not held.any():
        return pattern, levels
    values = filled(np.asarray(plane), held)
    mean, scale = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    if not 0 < scale < np.inf:
        return pattern, levels
    values = ((values - mean) / scale).astype(np.float32)
    for index, turned in enumerate((values, values.T)):
        offsets = _find_offsets(turned, mode)
        if offsets.any():
            levels[index] = np.sqrt(np.square(offsets).mean())
            turned -= offsets[:, None]
            (pattern, pattern.T)[index][:] += offsets[:, None]
    waves = list(_find_waves(values, mode))
    for wave in waves if mode == "on" or not _are_woven(waves, max(values.shape)) else ():
        levels[2] = np.hypot(levels[2], np.sqrt(2) * abs(wave[2]))
        pattern += _draw(wave, values.shape)
    return pattern * np.float32(scale), levels * scale


def _find_offsets(values: Values, mode: Mode) -> Values:
    """S1 to S3: offsets of the rows of (H, W), 0 where there are none."""
    from scipy.ndimage import gaussian_filter1d

    height, number = len(values), values.shape[1] // SEGMENT
    offsets = np.zeros(height, np.float32)
    if number < MIN_SEGMENTS or height < SEGMENT:
        return offsets
    starts = SEGMENT * np.unique(np.linspace(0, number - 1, min(number, MAX_SEGMENTS)).astype(int))
    values = values[:, (starts[:, None] + np.arange(SEGMENT)).ravel()]
    for _ in range(ROUNDS):
        image = gaussian_filter1d(values - offsets[:, None], SMOOTH, axis=0, mode="nearest")
        parts = np.median((values - image).reshape(height, -1, SEGMENT), axis=2)
        offsets = _fast(np.median(parts, axis=1), SMOOTH)
    spread = np.median(np.abs(parts - np.median(parts, axis=1, keepdims=True)), axis=1)
    errors = 1.4826 * np.sqrt(np.pi / 2 / parts.shape[1]) * np.maximum(spread, 1e-30)
    limit = MAX_HEIGHT * 1.4826 * np.median(np.abs(offsets))
    shrunk = offsets * np.maximum(1 - np.square(errors) / np.maximum(np.square(offsets), 1e-30), 0)
    shrunk[np.abs(offsets) > limit] = 0
    shares = shrunk @ (values - image) / max(shrunk @ offsets, 1e-30)
    rest = values - shrunk[:, None]
    image = gaussian_filter1d(rest, SLOW, axis=0, mode="nearest")
    slow = _fast(np.median(np.median((rest - image).reshape(height, -1, SEGMENT), axis=2), axis=1), SLOW)
    expected = SLOW_FRACTION * np.square(shrunk).mean()
    shrunk += slow * min(1.0, expected / max(np.square(slow).mean(), 1e-30))
    if mode == "on":
        return np.asarray(shrunk, np.float32)
    halves = (np.clip(np.median(parts[:, first::2], axis=1), -limit, limit) for first in (0, 1))
    is_sure = (
        np.median(np.abs(offsets) / errors) > MIN_SURE
        and _correlate(*halves) > MIN_AGREEMENT
        and _repeat(np.clip(offsets, -limit, limit)) < MAX_REPEAT
        and np.quantile(shares, ALONG_QUANTILE) > MIN_ALONG
    )
    return np.asarray(shrunk * is_sure, np.float32)


def _fast(offsets: Values, smooth: float) -> Values:
    """Offsets without what changes slowly."""
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(offsets - gaussian_filter1d(offsets, smooth, mode="nearest"))


def _correlate(one: Values, other: Values) -> float:
    """The correlation of two rows of numbers of mean 0; 0 for zeros."""
    return float((one * other).sum() / max(np.sqrt(np.square(one).sum() * np.square(other).sum()), 1e-30))


def _repeat(offsets: Values) -> float:
    """The largest autocorrelation, of either sign, at a distance of up to half the rows."""
    products = np.correlate(offsets, offsets, "full")[len(offsets) - 1 :]
    return float(np.abs(products[1 : len(offsets) // 2]).max() / max(products[0], 1e-30))


def _find_waves(values: Values, mode: Mode) -> Iterator[Wave]:
    """S4 and S5: waves that go through the whole image, the strongest first; each is taken off `values`."""
    for _ in range(MAX_WAVES):
        if (place := _find_peak(values)) is None:
            return
        wave = _fit_wave(values, *place)
        parts = np.array([_demodulate(part, wave, top, left) for part, top, left in _parts_of(values)])
        coherence = abs(parts.mean()) ** 2 / np.square(np.abs(parts)).mean()
        if coherence < MIN_COHERENCE[mode]:
            return
        values -= _draw(wave, values.shape)
        if mode == "auto" and not _is_sure(wave, values):
            values += _draw(wave, values.shape)
            return
        yield wave


def _are_woven(waves: list[Wave], side: int) -> bool:
    """Whether two waves add up to a third, or to twice it: threads that cross, where independent waves would not."""
    places = [np.array(wave[:2]) for wave in waves]
    sums = [one + sign * other for one, other in combinations(places, 2) for sign in (1, -1)]
    near = (
        np.abs(total - sign * number * place).max() < WOVEN / side
        for total, place in product(sums, places)
        for number, sign in product((1, 2), (1, -1))
    )
    return any(near)


def _is_sure(wave: Wave, rest: Values) -> bool:
    """Whether a wave is no stronger than noise can be, and has no harmonics, as gratings and lines of text have."""
    down, right, half = wave
    noise = 1.4826 * np.median(np.abs(np.diff(rest, axis=1))) / np.sqrt(2)
    harmonics = [abs(_demodulate(rest, (number * down, number * right, 0))) for number in (2, 3)]
    return bool(2 * abs(half) < MAX_AMPLITUDE * noise and max(harmonics) < MAX_HARMONIC * abs(half))


def _find_peak(values: Values) -> tuple[float, float] | None:
    """S4: the frequency, down and to the right, of the strongest peak in the spectrum of the centre; or None."""
    if min(values.shape) < 2 * BAND:
        return None
    top, left = (max(side - SEARCHED, 0) // 2 for side in values.shape)
    centre = values[top : top + SEARCHED, left : left + SEARCHED]
    height, width = centre.shape
    window = np.outer(_window(height), _window(width)).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft2(centre * window)))
    margins = [(0, -side % BAND) for side in power.shape]
    bands = np.pad(power, margins, mode="symmetric").reshape(-(-height // BAND), BAND, -1, BAND)
    typical = np.median(bands, axis=(1, 3)).repeat(BAND, 0).repeat(BAND, 1)[: power.shape[0], : power.shape[1]]
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    fastest = np.maximum(np.abs(down), right)
    searched = (np.hypot(down, right) > MIN_FREQUENCY) & (fastest < MAX_FREQUENCY)
    peaks = np.where(searched & (power > MIN_PEAK * typical), power, 0)
    row, column = np.unravel_index(peaks.argmax(), peaks.shape)
    return (float(down[row, 0]), float(right[0, column])) if peaks[row, column] else None


def _window(length: int) -> NDArray[np.float64]:
    """Hann's window, which does not reach 0, of sum 1."""
    window = np.hanning(length + 2)[1:-1]
    return np.asarray(window / window.sum())


def _fit_wave(values: Values, down: float, right: float) -> Wave:
    """Improve a frequency until the wave is largest: parabolas along both axes, first in the centre."""
    for side in sorted({min(SEARCHED, max(values.shape)), max(values.shape)}):
        top, left = (max(length - side, 0) // 2 for length in values.shape)
        part = values[top : top + side, left : left + side]
        for step, axis in ((step, axis) for step in (0.5, 0.25, 0.1, 0.05, 0.02) for axis in (0, 1)):
            move = np.eye(2)[axis] * step / part.shape[axis]
            before, here, after = (
                abs(_demodulate(part, (down + sign * move[0], right + sign * move[1], 0))) for sign in (-1, 0, 1)
            )
            bend = before - 2 * here + after
            shift = np.clip((before - after) / 2 / bend, -1, 1) if bend < 0 else np.sign(after - before)
            down, right = down + shift * move[0], right + shift * move[1]
    return down, right, _demodulate(values, (down, right, 0))


def _demodulate(part: Values, wave: Wave, top: int = 0, left: int = 0) -> complex:
    """Half the amplitude and the phase of a wave in a part of the image that begins at (top, left)."""
    rows, columns = (np.arange(first, first + side) for first, side in zip((top, left), part.shape, strict=True))
    right = (_window(part.shape[1]) * np.exp(-2j * np.pi * wave[1] * columns)).astype(np.complex64)
    along = part @ right.real + 1j * (part @ right.imag)
    return complex(_window(part.shape[0]) * np.exp(-2j * np.pi * wave[0] * rows) @ along)


def _parts_of(values: Values) -> Iterator[tuple[Values, int, int]]:
    """PARTS x PARTS parts of an image, and where each begins."""
    height, width = (side // PARTS for side in values.shape)
    for row, column in np.ndindex(PARTS, PARTS):
        top, left = row * height, column * width
        yield values[top : top + height, left : left + width], top, left


def _draw(wave: Wave, shape: tuple[int, ...]) -> Values:
    """A wave as an image."""
    down, right = (np.exp(2j * np.pi * wave[axis] * np.arange(shape[axis])) for axis in (0, 1))
    drawn = np.outer(2 * wave[2] * down, right.astype(np.complex64)).real
    return np.asarray(drawn, np.float32)
