"""The power spectrum of the calmest blocks: each coefficient in the blocks that are calm around its own frequency.

A block with a slanting edge is calm in all other directions. A block that is chosen for being calm understates the
noise, so it is chosen by the coefficients of the other half of a chequerboard: for stationary noise the two halves are
independent.
"""

from functools import cache

import torch
from torch import Tensor

from mashpix.refine.autocovariance import EVEN, FREQUENCY, SIDE

MIN_BLOCKS = 40
"""Least number of blocks for any measurement."""
AROUND = 3.0
"""Standard deviation in half periods per block, of the weights of the coefficients around one."""
OUTLIER = 9.0
"""Squares beyond so many variances of the noise count as this many when blocks are compared."""


def count_calm(squares: Tensor, fraction: float) -> int:
    """Number of blocks that a fraction of (C, N, K) is, at least MIN_BLOCKS."""
    return max(int(fraction * squares.shape[1]), min(MIN_BLOCKS, squares.shape[1]))


def measure_spectrum(squares: Tensor, relative: Tensor, fraction: float) -> Tensor:
    """Mean squares (C, K), each coefficient in the blocks that hold least around it, in the other half of them.

    squares : (C, N, K), of the coefficients of N blocks
    relative : (C', N, K), squares of the channels that blocks are compared by, against their noise, outliers capped
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
