"""Measure the noise of a picture in the residual of a prediction: its spectrum, and how it follows the brightness."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mashpix.refine.dct import block_transform, main_channel
from mashpix.tiling import cut_blocks

FLATTEST = 0.0, 0.2
"""Quantiles of variation between which blocks are flat: their residual is taken for noise."""
MIDDLE = 0.3, 0.6
"""Quantiles of variation between which blocks hold some texture."""
OUTLIER = 3.0
"""Coefficients beyond so many deviations are texture that the prediction missed."""
CLIPPED_SQUARE = 0.9733
"""Mean square of a standard normal variable within OUTLIER deviations."""
CLIPPINGS = 4
"""Rounds in which outliers are left out and the deviation is measured again."""
MEDIAN_SQUARE = 0.4549
"""Median of the square of a standard normal variable."""
BRIGHTNESS_BINS = 8
"""Levels of brightness at which the noise is compared."""
FLATTEST_IN_BIN = 0.3
"""Fraction of the blocks of one level that are taken for flat."""
CALMEST_IN_BIN = 0.1
"""Fraction of those, the ones with the least residual, that stand for the noise of the level."""
LEAST_IN_BIN = 20
"""Blocks without which a level says nothing."""
LEAST_COLOUR = 0.25
"""What fraction of the noise of brightness that of the opponent colours has to be to tell something about it."""
LEAST_RANGE = 1.2
"""How many times the variance of noise of colour must differ over the picture for noise to follow the brightness."""
MOST_RATIO = 20.0
"""How far the variance of the noise may differ from that in the flattest blocks."""
LEAST_VARIANCE = 1e-10
"""Variance, on the network's scale, below which a block holds no noise at all: black borders, clipping."""
UNDERSTATED = 0.2
"""How much more noise than flat blocks those with some texture have to hold for the whole floor."""
MOST_MISSED = 5.0
"""How many times the noise of a shrunk picture the residual of a prediction may hold: what is beyond is no noise."""
FLOOR = 0.2
"""The floor: this fraction of the mean over the coefficients of a channel, and of the mean over all, is added."""
STEP = 4
"""Distance in pixels of two blocks."""
MOST_BLOCKS = 16_384
"""About how many blocks the spectrum is measured in."""


class Law(NamedTuple):
    """How the variance of the noise follows the brightness: offset + slope * brightness, but never below `least`.

    That is the law of a sensor (Foi et al., IEEE TIP 2008); 1 is the variance in the flattest blocks.
    """

    offset: float
    slope: float
    least: float

    def ratio(self, brightness: Tensor) -> Tensor:
        """Variance at a brightness."""
        ratio = (self.offset + self.slope * brightness).clamp(min=self.least)
        return ratio.clamp(1 / MOST_RATIO, MOST_RATIO)


CONSTANT = Law(offset=1.0, slope=0.0, least=1.0)
"""Noise that is the same at any brightness."""


class Noise(NamedTuple):
    """Noise of a picture: the variance of each coefficient where the law is 1, (C, side * side), and the law.

    With `is_rgb` the channels are brightness and the two opponent colours.
    """

    spectrum: Tensor
    law: Law
    is_rgb: bool = False

    def variance(self, brightness: Tensor) -> Tensor:
        """Variance of each coefficient (C, side * side, N) in blocks of a brightness (N,)."""
        return self.spectrum[..., None] * self.law.ratio(brightness)


def measure_noise(
    observed: Tensor,
    predicted: Tensor,
    usable: Tensor,
    *,
    side: int,
    is_rgb: bool,
    among: tuple[float, float] = FLATTEST,
    follow: bool | None = None,
) -> Noise | None:
    """Measure the noise of a picture in the residual of a prediction; None without a block to measure it in.

    The variance of a coefficient is its mean square in the flattest blocks of the prediction, measured against the
    noise at their brightness. Where a prediction is flat because it missed the texture, that texture stands out of
    the noise, and is left out.

    Parameters
    ----------
    observed, predicted : Tensor
        (C, H, W), with independent noise in the channels.
    usable : Tensor
        Bool (H, W); blocks with an unusable pixel are left out.
    side : int
        Side of the blocks in pixels.
    is_rgb : bool
        Whether the channels are brightness and the two opponent colours of RGB.
    among : tuple of float
        Quantiles of variation of the blocks that the spectrum is measured in.
    follow : bool or None
        Whether the noise follows the brightness; None decides that in RGB, and follows it otherwise.
    """
    stride = max(STEP, math.isqrt(usable.numel() // MOST_BLOCKS))
    whole = cut_blocks(usable, side, stride).all(dim=1)
    if not whole.any():
        return None
    blocks, structure = (
        torch.stack([cut_blocks(plane, side, stride)[whole] for plane in pixels]) for pixels in (observed, predicted)
    )
    varies = blocks.var(dim=2).sum(dim=0) > LEAST_VARIANCE
    if not varies.any():
        return None
    structure = structure[:, varies]
    noise = blocks[:, varies] - structure
    variation, unrest = structure.var(dim=2).sum(dim=0), noise.var(dim=2)
    brightness = main_channel(structure.mean(dim=2), is_rgb=is_rgb)
    if follow is None:
        follow = not is_rgb or _follows_brightness(brightness, variation, unrest)
    law = _fit_law(brightness, variation, unrest.sum(dim=0)) if follow else CONSTANT
    ratio = law.ratio(brightness)
    chosen = _between(variation / ratio, among)
    if not chosen.any():  # so few blocks that none lies between the quantiles
        return None
    squares = (noise[:, chosen] @ block_transform(side, noise).T).square() / ratio[chosen, None]
    return Noise(_clipped_mean(squares), law, is_rgb)


def settle(
    observed: Tensor,
    predicted: Tensor,
    shrunk: Tensor,
    usable: Tensor,
    *,
    side: int,
    is_rgb: bool,
    follow: bool | None = None,
) -> tuple[Noise, Noise] | None:
    """The noise between what a prediction shows, which is too much, and what a shrunk picture shows, too little.

    The residual of a prediction holds texture that it missed; that of a picture shrunk by the noise measured there
    does not, but lacks the noise that was left in. The geometric mean of both, and a floor where flat blocks
    understate the noise. Parameters are those of `measure_noise`, `shrunk` is a picture like `predicted`.

    Returns
    -------
    tuple of Noise or None
        The noise, and that in the prediction's residual: at most `MOST_MISSED` times that in the shrunk picture's.
    """
    measure = partial(measure_noise, observed, usable=usable, side=side, is_rgb=is_rgb, follow=follow)
    above, below, middle = measure(predicted), measure(shrunk), measure(shrunk, among=MIDDLE)
    if above is None or below is None or middle is None:
        return None
    excess = float(_power(above.spectrum).sum() / (MOST_MISSED * _power(below.spectrum).sum()))
    if excess > 1:
        above = Noise(above.spectrum / excess, below.law, is_rgb)
    spectrum = (above.spectrum * below.spectrum).sqrt()
    power = _power(spectrum)[:, None]
    floor = FLOOR * _understatement(below.spectrum, middle.spectrum, is_rgb=is_rgb)
    return Noise(spectrum + floor * (power + power.mean()), above.law, is_rgb), above


def _power(spectrum: Tensor) -> Tensor:
    """Mean variance of the coefficients of each channel, (C,), that of the blocks' mean left out."""
    return spectrum[:, 1:].mean(dim=1)


def _understatement(flat: Tensor, middle: Tensor, *, is_rgb: bool) -> Tensor:
    """How far flat blocks understate the noise, 0 to 1, from the spectra (C, K) there and where there is some texture.

    A camera's processing and compression take fast noise and noise of colour out of flat blocks, but not out of
    texture. Seen in the opponent colours, if there are any: they hold little texture that could be taken for noise.
    """
    flat, middle = _power(flat), _power(middle)
    more = middle / flat.clamp(min=torch.finfo(flat.dtype).tiny) - 1
    return ((more[1:] if is_rgb else more).mean() / UNDERSTATED).clamp(0, 1)


def _between(variation: Tensor, quantiles: tuple[float, float]) -> Tensor:
    """Which values (N,) lie between two quantiles of them."""
    low, high = quantiles
    return (variation >= variation.quantile(low)) & (variation <= variation.quantile(high))


def _clipped_mean(squares: Tensor) -> Tensor:
    """Mean over blocks of (C, N, K), outliers left out: (C, K), right for squares of normal variables."""
    mean = squares.median(dim=1).values / MEDIAN_SQUARE
    for _ in range(CLIPPINGS):
        kept = squares <= OUTLIER**2 * mean[:, None]
        mean = (squares * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1) / CLIPPED_SQUARE
    return mean


def _follows_brightness(brightness: Tensor, variation: Tensor, unrest: Tensor) -> bool:
    """Whether the noise of RGB follows the brightness. Arguments are (N,), one value a block, and (C, N).

    Texture that the prediction missed may be stronger in bright or in dark places, but it has little colour: where
    the noise of the opponent colours is the same everywhere, and not too little to tell, noise is.
    """
    colour = unrest[1:].sum(dim=0)
    if colour.median() <= LEAST_COLOUR * unrest[0].median():
        return True
    ratio = _fit_law(brightness, variation, colour).ratio(brightness)
    return bool(ratio.quantile(0.98) >= LEAST_RANGE * ratio.quantile(0.02))


def _fit_law(brightness: Tensor, variation: Tensor, unrest: Tensor) -> Law:
    """The law of a sensor, var = a + b x, through the calmest flat blocks of each level of brightness.

    Weighted, since the deviation of a variance grows with it. Arguments are (N,), one value a block.
    """
    low, high = brightness.quantile(0.01), brightness.quantile(0.995)
    level = ((brightness - low) / (high - low) * BRIGHTNESS_BINS).long().clamp(0, BRIGHTNESS_BINS - 1)
    places, values = [], []
    for index in range(BRIGHTNESS_BINS):
        here = level == index
        if here.sum() < LEAST_IN_BIN:
            continue
        here &= variation <= variation[here].quantile(FLATTEST_IN_BIN)
        here &= unrest <= unrest[here].quantile(CALMEST_IN_BIN)
        places.append(float(brightness[here].mean()))
        values.append(float(unrest[here].median()))
    if len(places) < 2 or min(values) <= 0:
        return CONSTANT
    place, value = np.array(places), np.array(values)
    (offset, slope), *_ = np.linalg.lstsq(np.stack([1 / value, place / value], axis=1), np.ones_like(value))
    law = Law(float(offset), float(slope), float(value.min() / 2))
    usual = float(law.offset + law.slope * brightness[_between(variation, FLATTEST)].mean())
    return Law(*(number / max(usual, law.least) for number in law))
