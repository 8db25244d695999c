"""Whether a residual is texture that was shrunk away: its tails are shorter than those of noise.

Cosine coefficients of noise are normal, whatever its spectrum. Texture that passes for noise is removed wherever it is
weaker than a threshold and kept where it is stronger, so what was removed of it stops there. Noise of one strength that
is removed whole does not.
"""

import math

import torch
from torch import Tensor

from mashpix.refine.autocovariance import FREQUENCY
from mashpix.refine.dct import block_transform
from mashpix.tiling import cut_blocks
from mashpix.trust.whitened_residual import SIDE, STRIDE

FAST = 5.0
"""Half periods per block: slower coefficients hold too much of the picture."""
FASTEST = 18.0
"""Half periods per block: coefficients that hold least texture."""
MAX_BLOCKS = 8_192
"""Number of blocks that are measured, about."""
FOURTH_MOMENT_VARIANCE = 96.0
"""Variance of the fourth power of a standard normal variable: 105 - 9."""


def measure_tails(residual: Tensor, usable: Tensor) -> dict[str, float]:
    """Compare the fourth moment of the coefficients of a residual (H, W) with that of noise.

    Gives `short_tails`, `short_tails_error` and `slow_excess` of `Verdict`; none without a block that changed.
    """
    stride = max(STRIDE, math.isqrt(usable.numel() // MAX_BLOCKS))
    blocks = cut_blocks(residual, SIDE, stride)[cut_blocks(usable, SIDE, stride).all(dim=1)]
    blocks = blocks[blocks.var(dim=1) > 0].double()
    if len(blocks) == 0:
        return {}
    squares = (blocks @ block_transform(SIDE, blocks).T).square()
    spectrum = squares.mean(dim=0).clamp(min=torch.finfo(squares.dtype).tiny)
    fast = FREQUENCY > FAST
    white = squares[:, fast] / spectrum[fast]
    white = white / white.mean(dim=1, keepdim=True).clamp(min=torch.finfo(white.dtype).tiny)
    white = white / white.mean(dim=0).clamp(min=torch.finfo(white.dtype).tiny)
    count = white.shape[1]
    short = 3 * count / (count + 2) - float(white.square().mean())
    independent = count * max(len(blocks) * min(stride / SIDE, 1.0) ** 2, 1.0)
    return {
        "short_tails": short,
        "short_tails_error": short / math.sqrt(FOURTH_MOMENT_VARIANCE / independent),
        "slow_excess": float((spectrum[fast].mean() / spectrum[FREQUENCY > FASTEST].mean()).sqrt()),
    }
