"""A noisy image as the method sees it: one tensor, its holes, its units, and whether its channels are colour."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Picture:
    """A noisy image as the method sees it.

    pixels : float32 (1, C, H, W) on about 0..1, 0 where not valid; H and W padded to the network's multiple
    valid : bool (1, C, H, W), False in the padding and where the array held NaN or infinity. Such pixels are never
        shown to the network, never counted in a loss, and take no part in a statistic
    unit : float32 (C,), the step in the units of the array that corresponds to 1
    is_rgb : whether the three channels are the colours of one scene, in one unit. Decided when the array is
        normalized, never guessed from their number
    white : the value of white, of the same scale as the pixels of the widest channel; that of the brightest pixel where
        the type of the array does not say what white is
    zero : float32 (C,), where the value 0 of the array is on the scale of the pixels; None where that is not known,
        and in RGB of 8 bits, whose values count nothing
    origin : row and column of the first pixel in the plane that this is a window of; None for a whole image
    """

    pixels: Tensor
    valid: Tensor
    unit: Tensor
    is_rgb: bool = False
    white: float = 1.0
    zero: Tensor | None = None
    origin: tuple[int, int] | None = None
