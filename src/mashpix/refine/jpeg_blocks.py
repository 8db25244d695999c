"""Whether an image shows the blocks of JPEG. Then groups are shrunk harder: such an image has little fine detail."""

import numpy as np
from torch import Tensor

SIDE = 8
"""Side in pixels of the blocks of JPEG."""
MAX_PIXELS = 2**20
"""Number of pixels that are looked at, about: rows, and columns, are left out of large images."""
CAP = 0.12
"""Largest step between neighbouring pixels that counts, of white: above are edges."""


def blockiness(plane: Tensor, *, white: float) -> float:
    """Excess of the steps between columns, and between rows, that are 8 pixels apart over the others; the smaller.

    A step is how much the difference of two pixels exceeds the mean of those before and after it. About 0 without
    blocks, 1 and more where they are seen.

    plane : (H, W)
    white : as in `Picture`

    Examples
    --------
    >>> import torch
    >>> blocks = torch.rand((16, 16), generator=torch.Generator().manual_seed(0))
    >>> blocks = blocks.repeat_interleave(8, dim=0).repeat_interleave(8, dim=1)
    >>> blockiness(blocks + 0.01 * torch.rand((128, 128), generator=torch.Generator().manual_seed(1)), white=1.0) > 1
    True
    """
    values, step = plane.cpu().numpy(), max(plane.numel() // MAX_PIXELS, 1)
    return min(_excess(values[::step], white=white), _excess(values[:, ::step].T, white=white))


def _excess(values: np.ndarray, *, white: float) -> float:
    steps = np.diff(values, axis=1)
    sizes = np.abs(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2).clip(max=CAP * white).mean(axis=0, dtype=float)
    phases = np.array([sizes[phase::SIDE].mean() for phase in range(SIDE)])
    usual = float(np.median(phases))
    return float(phases.max()) / usual - 1 if usual > 0 else 0.0
