"""Counts of few photons: they are fitted by the squared error, and keep their means in RGB too. [ours]

The absolute error fits the median, which is 0 below 0.7 photons; the squared error fits the mean.
"""

import torch
from torch import Tensor

from mashpix.picture import Picture

MIN_LEAST = 0.25
"""Fraction of the pixels that hold the least value, at least: a mean of up to about 1.4 photons."""
MAX_VALUES = 32
"""Number of different values at most: other dark images have more."""


def counts_few_photons(picture: Picture) -> bool:
    """Whether all channels hold counts of few photons, most of them 0 or 1.

    Examples
    --------
    >>> import torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> for mean in (0.5, 5.0):
    ...     counts = torch.poisson(torch.full((1, 1, 64, 64), mean), generator=generator)
    ...     print(counts_few_photons(Picture(counts, counts >= 0, torch.ones(1))))
    True
    False
    """
    channels = zip(picture.pixels[0], picture.valid[0], strict=True)
    return all(
        share_of(torch.where(valid, plane, torch.inf).amin(), plane, valid) >= MIN_LEAST
        and len(plane[valid].unique()) <= MAX_VALUES
        for plane, valid in channels
    )


def share_of(value: Tensor, plane: Tensor, valid: Tensor) -> float:
    """Fraction of the valid pixels of a plane that have a value; to select or sum them takes many bytes for each."""
    return float(((plane == value) & valid).count_nonzero() / valid.count_nonzero().clamp(min=1))
