"""Noise as the calmest blocks of a noisy image show it: its spectrum, and how it follows the intensity.

Each cosine coefficient of 16 x 16 blocks is measured in the blocks that are calmest around its own frequency: a block
with a slanting edge is calm in all other directions. A block that is chosen for being calm understates
the noise, so it is chosen by the coefficients of the other half of a chequerboard: for stationary noise the two halves
are independent. Coefficients that hold texture in every block, above all slow ones, are interpolated by
`autocovariance`; `noise_level_function` fits the dependence on the intensity.

Block-wise blind estimates in the cosine domain go back to Ponomarenko et al., "An automatic approach to lossy
compression of AVIRIS images", IGARSS 2007; the two halves, the choice by frequency and the fitted autocovariance are
ours.
"""

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from mashpix.refine.autocovariance import EVEN, FREQUENCY, SIDE, Array, fit_autocovariances
from mashpix.refine.dct import block_transform
from mashpix.refine.noise_level_function import NoiseLevelFunction, follow_intensity
from mashpix.refine.tuning import TUNED
from mashpix.tiling import cut_blocks

STEP = 4
"""Distance in pixels of two blocks in a small image."""
MAX_BLOCKS = 8_192
"""Number of blocks that are measured, about."""
CALM_AROUND_FRACTION = 0.01
"""Fraction of the blocks, the calmest around its frequency, that a coefficient is measured in."""
CALM_FRACTION = 0.01
"""Fraction of the blocks, the calmest in all, that channels are compared in."""
MIN_BLOCKS = 40
"""Least number of blocks for any measurement."""
AROUND = 3.0
"""Standard deviation in half periods per block, of the weights of the coefficients around one."""
N_ROUNDS = 3
"""How often blocks are chosen by the noise that was measured before."""
OUTLIER = 9.0
"""Squares beyond so many variances of the noise count as this many when blocks are compared."""


class CalmNoise(NamedTuple):
    """The noise in the calmest of N blocks.

    scaled : (C, N, K) squares of the coefficients over the variance that their block's intensity explains
    relative : (C, N, K) the same over the fitted spectrum, outliers capped
    spectrum : (C, K) as measured
    autocovariance : for each channel one quadrant, fitted to the spectrum
    functions : for each channel, how the noise follows the intensity
    usual : (C,) mean of the function in the calmest blocks, to which spectrum and autocovariance belong
    ratio : (C, N) variance of each block over that of the calmest
    """

    scaled: Tensor
    relative: Tensor
    spectrum: Tensor
    autocovariance: list[Array]
    functions: list[NoiseLevelFunction]
    usual: Tensor
    ratio: Tensor


def usable_coefficients(pixels: Tensor, valid: Tensor, clipped: Tensor, *, least: int = MIN_BLOCKS) -> Tensor | None:
    """Coefficients (C, N, SIDE * SIDE) of blocks without a hole, with noise in every channel, and without clipping.

    pixels, valid, clipped : (C, H, W)
    least : with fewer blocks without clipping, it is accepted

    None without a block.
    """
    stride = max(STEP, math.isqrt(pixels[0].numel() // MAX_BLOCKS))
    blocks = torch.stack([cut_blocks(plane, SIDE, stride) for plane in pixels])
    if blocks.shape[1] == 0:
        return None
    varies = (blocks.var(dim=2) > TUNED.min_block_variance).all(dim=0)
    usable = cut_blocks(valid.all(dim=0), SIDE, stride).all(dim=1) & varies
    whole = usable & ~cut_blocks(clipped.any(dim=0), SIDE, stride).any(dim=1)
    chosen = whole if whole.sum() >= least else usable
    return blocks[:, chosen] @ block_transform(SIDE, blocks).T if chosen.any() else None


def measure_calm_noise(coefficients: Tensor, *, intensity: Tensor | None = None) -> CalmNoise:
    """Measure the noise in blocks of coefficients (C, N, SIDE * SIDE).

    intensity : (N,), one that the noise of all channels follows in the same way; None: each follows its own
    """
    squares = coefficients.square()
    follows = coefficients[..., 0] / SIDE if intensity is None else intensity.expand(len(squares), -1)
    calm = squares[..., FREQUENCY >= SIDE / 3].sum(dim=(0, 2)).argsort()[: count_calm(squares, CALM_FRACTION)]
    spectrum, scaled = squares[:, calm].mean(dim=1), squares
    ratio = torch.ones_like(follows)
    for _ in range(N_ROUNDS):
        _, fitted = fit_autocovariances(spectrum, scaled.mean(dim=1))
        relative = (scaled / fitted[:, None]).clamp(max=OUTLIER)
        share = (fitted / scaled.mean(dim=1).clamp(min=1e-30)).clamp(max=1)
        if intensity is None:
            functions = [follow_intensity(*channel) for channel in zip(follows, ratio, relative, share, strict=True)]
        else:
            function = follow_intensity(intensity, ratio.mean(dim=0), relative.mean(dim=0), share.mean(dim=0))
            functions = [function] * len(squares)
        ratio = torch.stack([function(values) for function, values in zip(functions, follows, strict=True)])
        calm = relative[..., FREQUENCY > 1].sum(dim=(0, 2)).argsort()[: count_calm(squares, CALM_FRACTION)]
        usual = ratio[:, calm].mean(dim=1)
        ratio = ratio / usual[:, None]  # the functions give the shape, the calmest blocks how much noise there is
        scaled = squares / ratio[..., None]
        spectrum = measure_spectrum(scaled, relative, CALM_AROUND_FRACTION)
    autocovariance, fitted = fit_autocovariances(spectrum, scaled.mean(dim=1))
    relative = (scaled / fitted[:, None]).clamp(max=OUTLIER)
    return CalmNoise(scaled, relative, spectrum, autocovariance, functions, usual, ratio)


def count_calm(squares: Tensor, fraction: float) -> int:
    """Number of blocks that a fraction of (C, N, K) is, at least MIN_BLOCKS."""
    return max(int(fraction * squares.shape[1]), min(MIN_BLOCKS, squares.shape[1]))


def measure_spectrum(squares: Tensor, relative: Tensor, fraction: float) -> Tensor:
    """Mean squares (C, K), each coefficient in the blocks that hold least around it, in the other half of them.

    squares : (C, N, K), of the coefficients of N blocks
    relative : (C, N, K), against the noise, outliers capped: by all channels together, blocks are compared
    fraction : of the blocks, which are chosen
    """
    energy = relative.sum(dim=0) @ _around()
    calm = energy.T.contiguous().topk(count_calm(squares, fraction), dim=1, largest=False).indices.T
    return torch.stack([channel.gather(0, calm).mean(dim=0) for channel in squares])


@cache
def _around() -> Tensor:
    """Weights (K, K) of the coefficients that choose the blocks for one, in columns."""
    place = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).double()
    near = torch.exp(-torch.cdist(place, place).square() / (2 * AROUND**2))
    return (near * (EVEN[:, None] != EVEN[None, :]) * (FREQUENCY > 1)[:, None]).float()
