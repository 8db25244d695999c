"""Where the residual exceeds the noise, block by block: compact structures, edges and rough places."""

import torch

from mashpix.trust.whitened_residual import SIDE, STRIDE, Blocks

LEVELS = 6
"""Levels of brightness within which blocks are compared."""
MIN_USUAL = 0.7
"""Least value that the usual structure of a level of brightness is taken to have."""
EXTREME_FRACTION = 0.2
"""Fraction of the blocks that count as rough, and as flat."""
Place = tuple[int, int, int, int]
"""Top, left, height and width of a block, pixels."""


def measure_blocks(blocks: Blocks) -> tuple[dict[str, float], dict[str, Place]]:
    """Measure where the residual exceeds the noise: compact structures, edges, rough places; find where to look.

    Structure has a place of its own; a shift and missing detail are seen best where the image is roughest.
    """
    usable = blocks.usable
    mean, slow, fast = blocks.mean[:, usable], blocks.slow[usable], blocks.fast[usable]
    order = blocks.variation[usable].argsort()
    few = max(1, int(EXTREME_FRACTION * len(order)))
    flat, rough = order[:few], order[-few:]
    ratio = slow / fast.clamp(min=1)
    brightness = blocks.brightness[usable].contiguous()
    level = torch.bucketize(brightness, _quantiles(brightness))
    usual = torch.ones(LEVELS)
    for index in range(LEVELS):
        if (level == index).any():
            usual[index] = ratio[level == index].median()
    tiny = torch.finfo(fast.dtype).tiny
    structure = ratio / usual.clamp(min=MIN_USUAL)[level]
    measures = {
        "local_offset": float(mean.abs().max()),
        "whiteness": float(slow[rough].mean() / fast[rough].mean().clamp(min=tiny)),
        "edges": float(fast[rough].mean() / fast[flat].mean().clamp(min=tiny)),
        "structure": float(structure.max()),
    }
    corners = STRIDE * usable.nonzero()
    seen = {"structure": structure.argmax(), "displacement": order[-1], "missing_detail": order[-1]}
    return measures, {name: (*corners[block].tolist(), SIDE, SIDE) for name, block in seen.items()}


def _quantiles(values: torch.Tensor) -> torch.Tensor:
    """Limits between levels that hold as many values each."""
    places = torch.arange(1, LEVELS) * len(values) // LEVELS
    return values.sort().values[places]
