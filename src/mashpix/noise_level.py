"""Measure the noise of a picture that nothing else is known of: its level, correlation, and how it follows intensity.

The cosine coefficients of 16 x 16 blocks are looked at, those of the calmest blocks. A block that is chosen for being
calm understates the noise, so each block is chosen by one half of its coefficients (a chequerboard) and measured by
the other: for stationary noise the two are independent. What holds texture in every block, above all slow
coefficients, is bridged by a law of few numbers: the autocovariance up to REACH pixels, fitted to the rest.

Block-wise blind estimates in the cosine domain go back to Ponomarenko et al., "An automatic approach to lossy
compression of AVIRIS images", IGARSS 2007; the two halves and the fitted autocovariance are ours.
"""

import math
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mashpix.blocks import block_transform, cosine_matrix
from mashpix.tiling import cut_blocks

SIDE = 16
"""Side of the blocks in pixels."""
STEP = 4
"""Distance in pixels of two blocks in a small picture."""
MOST_BLOCKS = 16_384
"""About how many blocks are looked at."""
CALMEST = 0.01
"""Fraction of the blocks, the calmest, that the noise is measured in."""
FEWEST = 40
"""Blocks that the noise is measured in at least."""
CALMER = 0.2
"""Fraction of the blocks in which lines and peaks of the spectrum are looked for."""
ROUNDS = 3
"""How often blocks are chosen by the noise that was measured before."""
OUTLIER = 9.0
"""Squares beyond so many variances of the noise count as this many when blocks are compared."""
SLOW = 3.0
"""Coefficients slower than this, in half periods a block, hold too much of the picture to measure noise by."""
REACH = 7
"""Largest lag of the fitted autocovariance, pixels."""
DECAY = 2.0
"""How strongly far lags are held to 0: weight of (lag in pixels) squared, in units of one coefficient."""
FITS = 4
"""How often the autocovariance is fitted, with the weights that follow from the fit before."""
LEAST_POWER = 0.02
"""Least variance of a coefficient, against the mean of all."""
LEVELS = 8
"""Levels of intensity at which the noise is compared."""
CALMEST_IN_LEVEL = 0.05
"""Fraction of the blocks of one level, the calmest, that stand for its noise."""
FEWEST_IN_LEVEL = 12
"""Blocks that stand for the noise of a level at least."""
BELOW = 0.8
"""Weight of a level that holds less noise than the law says, against 1 - BELOW of one that holds more."""
SLOPED = 0.5
"""A sloped law counts where its loss is less than this fraction of that of a constant one."""
MOST_LOSS = 0.1
"""And less than this: levels that scatter about it hold texture."""
LEAST_RATIO = 0.05
"""Least variance of a level, against that of the calmest blocks."""
LEAST_VARIANCE = 1e-10
"""Variance, on the network's scale, below which a block holds no noise at all: black borders, clipping."""

Array = NDArray[np.float64]
_PLACE = np.arange(SIDE)
_FREQUENCY = torch.from_numpy(np.hypot(_PLACE[:, None], _PLACE[None, :]).ravel())
_EVEN = torch.from_numpy((_PLACE[:, None] + _PLACE[None, :]).ravel() % 2 == 0)


class NoiseLevel(NamedTuple):
    """The noise of a picture of C channels, on the scale of its pixels.

    sigma : (C,) standard deviation over the whole picture
    correlation : (C, 2 * REACH + 1, 2 * REACH + 1) autocorrelation, lag (0, 0) at the centre
    between : (C, C) correlation of the channels at one pixel
    levels : for each channel, (n, 2): intensity and standard deviation there
    dependence : (C,) largest over least variance by the law, between the 5 % and 95 % levels of intensity
    spectrum : (C, SIDE, SIDE) median square of each cosine coefficient in the calmer blocks, against its mean
    blocks : how many blocks could be looked at
    """

    sigma: Array
    correlation: Array
    between: Array
    levels: tuple[Array, ...]
    dependence: Array
    spectrum: Array
    blocks: int


def measure_noise_level(pixels: Tensor, valid: Tensor, clipped: Tensor) -> NoiseLevel | None:
    """Measure the noise of a picture in its own calmest blocks; None without a block to measure it in.

    Parameters
    ----------
    pixels : Tensor
        (C, H, W), channels on about 0..1.
    valid, clipped : Tensor
        Bool (C, H, W). Blocks with an invalid pixel are left out, and those with clipped ones if there are others.

    Examples
    --------
    >>> pixels = torch.randn((1, 128, 128), generator=torch.Generator().manual_seed(0))
    >>> noise = measure_noise_level(pixels, torch.ones_like(pixels) == 1, torch.zeros_like(pixels) == 1)
    >>> round(float(noise.sigma[0]), 1)
    1.0
    """
    blocks = _usable_blocks(pixels, valid, clipped)
    if blocks is None:
        return None
    coefficients = blocks @ block_transform(SIDE, blocks).T
    squares, intensity = coefficients.square(), coefficients[..., 0] / SIDE
    count = max(int(CALMEST * squares.shape[1]), min(FEWEST, squares.shape[1]))
    calm = squares[..., _FREQUENCY >= SIDE / 3].sum(dim=(0, 2)).argsort()[:count]
    spectrum, ratio = squares[:, calm].mean(dim=1), torch.ones_like(intensity)
    for _ in range(ROUNDS):
        covariance, fitted = _fit_each(spectrum)
        relative = squares / (fitted[:, None] * ratio[..., None])
        level = _calmness(relative)
        laws = [_follow_intensity(*channel) for channel in zip(intensity, ratio, relative, strict=True)]
        ratio = torch.stack([law(values) for law, values in zip(laws, intensity, strict=True)])
        usual = ratio[:, (level[0] + level[1]).argsort()[:count]].mean(dim=1, keepdim=True)
        ratio = ratio / usual  # the law tells the shape: how much noise there is, the calmest blocks tell
        spectrum = _measure_spectrum(squares / ratio[..., None], level, count)
    covariance, fitted = _fit_each(spectrum)
    level = _calmness(squares / (fitted[:, None] * ratio[..., None]))
    variance = np.array([table[0, 0] for table in covariance]).clip(min=0)
    sigma = np.sqrt(variance * ratio.double().mean(dim=1).numpy())
    shares = variance / usual[:, 0].double().numpy()
    levels = tuple(
        np.stack([law.places, np.sqrt(share * np.array(law.values))], axis=1)
        for law, share in zip(laws, shares, strict=True)
    )
    shape = len(spectrum), SIDE, SIDE
    calmer = (level[0] + level[1]).argsort()[: max(int(CALMER * squares.shape[1]), count)]
    calm = (squares[:, calmer] / ratio[:, calmer, None]).median(dim=1).values
    calm = calm / calm.mean(dim=1, keepdim=True)
    return NoiseLevel(
        sigma=sigma,
        correlation=np.stack([_mirror(table / max(table[0, 0], 1e-30)) for table in covariance]),
        between=_between(coefficients / (fitted[:, None] * ratio[..., None]).sqrt(), level, count),
        levels=levels,
        dependence=np.array([_dependence(values) for values in ratio]),
        spectrum=calm.double().numpy().reshape(shape),
        blocks=squares.shape[1],
    )


class Law(NamedTuple):
    """Variance against intensity: the measured levels, and the line through them, the law of a sensor."""

    places: list[float]
    values: list[float]
    offset: float
    slope: float

    def __call__(self, intensity: Tensor) -> Tensor:
        """Variance at an intensity, 1 that of the fitted spectrum; beyond the levels as at the last."""
        low, high = (min(self.places), max(self.places)) if self.places else (0.0, 0.0)
        return (self.offset + self.slope * intensity.clamp(low, high)).clamp(min=LEAST_RATIO)


def _dependence(ratio: Tensor) -> float:
    """How far the variances (N,) of the blocks lie apart, a few of them left out."""
    low, high = ratio.double().quantile(0.05), ratio.double().quantile(0.95)
    return float(high / low)


def _usable_blocks(pixels: Tensor, valid: Tensor, clipped: Tensor) -> Tensor | None:
    """Blocks (C, N, SIDE * SIDE) without a hole, with noise in every channel, and if possible without clipping."""
    stride = max(STEP, math.isqrt(pixels[0].numel() // MOST_BLOCKS))
    blocks = torch.stack([cut_blocks(plane, SIDE, stride) for plane in pixels])
    if blocks.shape[1] == 0:
        return None
    usable = cut_blocks(valid.all(dim=0), SIDE, stride).all(dim=1) & (blocks.var(dim=2) > LEAST_VARIANCE).all(dim=0)
    whole = usable & ~cut_blocks(clipped.any(dim=0), SIDE, stride).any(dim=1)
    chosen = whole if whole.sum() >= FEWEST else usable
    return blocks[:, chosen] if chosen.any() else None


def _calmness(relative: Tensor) -> tuple[Tensor, Tensor]:
    """Energy of each block (N,) in its odd and in its even coefficients, summed over the channels; outliers capped."""
    capped = relative.clamp(max=OUTLIER).sum(dim=0)
    used = _FREQUENCY > 1
    return capped[:, used & ~_EVEN].sum(dim=1), capped[:, used & _EVEN].sum(dim=1)


def _measure_spectrum(squares: Tensor, calmness: tuple[Tensor, Tensor], count: int) -> Tensor:
    """Mean squares (C, K) in the calmest blocks, the even ones where the odd ones are calm, and the other way."""
    spectrum = torch.empty_like(squares[:, 0])
    for energy, measured in zip(calmness, (_EVEN, ~_EVEN), strict=True):
        spectrum[:, measured] = squares[:, energy.argsort()[:count]][..., measured].mean(dim=1)
    return spectrum


def _follow_intensity(intensity: Tensor, ratio: Tensor, relative: Tensor) -> Law:
    """Law of one channel from N blocks: intensity and present ratio (N,), squares against the present law (N, K)."""
    capped = relative.clamp(max=OUTLIER)
    fast = _FREQUENCY > SLOW
    low, high = intensity.quantile(0.01), intensity.quantile(0.99)
    index = ((intensity - low) / (high - low).clamp(min=1e-6) * LEVELS).long().clamp(0, LEVELS - 1)
    places, values = [], []
    for level in range(LEVELS):
        here = (index == level).nonzero()[:, 0]
        if len(here) < FEWEST_IN_LEVEL:
            continue
        count = max(int(CALMEST_IN_LEVEL * len(here)), FEWEST_IN_LEVEL)
        place = value = 0.0
        for ranked in (_EVEN, ~_EVEN):
            calm = here[capped[here][:, ranked & fast].mean(dim=1).argsort()[:count]]
            value += float((capped[calm][:, ~ranked & fast].mean(dim=1) * ratio[calm]).mean()) / 2
            place += float(intensity[calm].mean()) / 2
        places.append(place)
        values.append(max(value, 1e-6))
    return Law(places, values, *_envelope(np.array(places), np.array(values)))


def _envelope(places: Array, values: Array) -> tuple[float, float]:
    """Offset and slope of the line along the lower edge of values: texture adds to the noise of a level.

    Of the lines through two of the points the one with the least loss, where what lies below counts more; a level
    line unless that loss is far smaller.
    """

    def loss(line: Array) -> float:
        excess = np.log(values / np.maximum(line, 1e-12))
        return float(np.where(excess < 0, -BELOW * excess, (1 - BELOW) * excess).mean())

    level = min(values, key=lambda value: loss(np.full_like(values, value)), default=1.0)
    best = float(level), 0.0
    least = min(SLOPED * loss(np.full_like(values, level)), MOST_LOSS) if len(values) else 0.0
    for first, second in combinations(range(len(places)), 2):
        slope = (values[second] - values[first]) / (places[second] - places[first])
        offset = values[first] - slope * places[first]
        line = offset + slope * places
        if line.min() > 0 and loss(line) < least:
            best, least = (float(offset), float(slope)), loss(line)
    return best


@cache
def _covariance_model() -> tuple[Array, Array]:
    """Variance of the coefficients (K, lags) for an autocovariance of 1 at one lag, and the squares of the lags."""
    cosine = cosine_matrix(SIDE).double().numpy()
    one_way = [(cosine[:, lag:] * cosine[:, : SIDE - lag]).sum(axis=1) * (2 if lag else 1) for lag in range(REACH + 1)]
    basis = np.stack(one_way, axis=1)
    lags = np.arange(REACH + 1)
    return np.kron(basis, basis), (lags[:, None] ** 2 + lags[None, :] ** 2).ravel().astype(np.float64)


def _fit_each(spectrum: Tensor) -> tuple[list[Array], Tensor]:
    """For each channel of (C, K) the fitted autocovariance (REACH + 1, REACH + 1); and the spectra that follow."""
    fits = [_fit_covariance(channel) for channel in spectrum.double().numpy()]
    return [covariance for covariance, _ in fits], torch.from_numpy(np.stack([fitted for _, fitted in fits])).float()


def _fit_covariance(spectrum: Array) -> tuple[Array, Array]:
    """Autocovariance, the same in all four quadrants, whose spectrum is nearest to a measured one (K,), relatively."""
    basis, square_lag = _covariance_model()
    mean = max(spectrum.mean(), 1e-30)
    fast = _FREQUENCY.numpy() >= SLOW
    wanted, fitted = spectrum / mean, np.ones_like(spectrum)
    for _ in range(FITS):  # weighted by the fit and not by what was measured, which would pull it down
        weight = np.where(fast, 1 / fitted, 0.0)
        equations = np.vstack([basis * weight[:, None], np.diag(DECAY * square_lag)])
        covariance = np.linalg.lstsq(equations, np.concatenate([wanted * weight, np.zeros(len(square_lag))]))[0]
        fitted = np.maximum(basis @ covariance, LEAST_POWER)
    return mean * covariance.reshape(REACH + 1, REACH + 1), mean * fitted


def _mirror(quadrant: Array) -> Array:
    """All lags from those of one quadrant."""
    half = np.concatenate([quadrant[:0:-1], quadrant])
    return np.concatenate([half[:, :0:-1], half], axis=1)


def _between(coefficients: Tensor, calmness: tuple[Tensor, Tensor], count: int) -> Array:
    """Correlation (C, C) of the channels' coefficients, each of variance 1, in the calmest blocks."""
    products = torch.zeros(len(coefficients), len(coefficients), dtype=coefficients.dtype)
    for energy, measured in zip(calmness, (_EVEN, ~_EVEN), strict=True):
        noise = coefficients[:, energy.argsort()[:count]][..., measured & (_FREQUENCY >= SLOW)]
        noise = noise.clamp(-math.sqrt(OUTLIER), math.sqrt(OUTLIER)).flatten(1)
        products += noise @ noise.T
    deviation = products.diagonal().clamp(min=1e-30).sqrt()
    return np.asarray((products / (deviation[:, None] * deviation[None, :])).double().numpy())
