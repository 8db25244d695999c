"""Images as people see them: limits of black and white, 8 bits, PNG. For comparison sheets, HTML pages and the demo."""

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mashpix.missing import with_nan

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

PERCENTILES = 0.5, 99.5
"""Values of an image that become black and white."""
RESIDUAL_PERCENTILE = 99.0
"""Residuals of this size become black and white, zero mid grey."""
MAX_SIDE = 1024
"""About how many rows and columns of a large image are looked at to find its limits."""


def find_limits(values: NDArray[Any]) -> tuple[float, float]:
    """The values of an image (H, W) or (H, W, C) that are shown black and white."""
    few = values[:: max(values.shape[0] // MAX_SIDE, 1), :: max(values.shape[1] // MAX_SIDE, 1)]
    finite = few[np.isfinite(few)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, PERCENTILES)
    return float(low), float(high)


def find_residual_limit(residual: NDArray[Any]) -> float:
    """The size of a residual that is shown white, its negative black; 1 where there is no residual."""
    finite = residual[np.isfinite(residual)]
    return (float(np.percentile(np.abs(finite), RESIDUAL_PERCENTILE)) if finite.size else 0.0) or 1.0


def as_shown(values: NDArray[Any], *, is_rgb: bool) -> NDArray[np.float64]:
    """An image (H, W, C) as it is drawn: RGB as it is, of other channels the mean (H, W)."""
    values = with_nan(values)
    return values if values.ndim == 2 or is_rgb else np.asarray(values.mean(axis=2))


def to_8_bit(values: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """A grey image (H, W), or RGB (H, W, 3), as 8 bits. Invalid pixels are black."""
    low, high = limits
    scaled = (values.astype(np.float64) - low) / (high - low if high > low else 1.0)
    return np.rint(255 * np.clip(np.nan_to_num(scaled, nan=0.0), 0, 1)).astype(np.uint8)


def write(
    draw: "ImageDraw.ImageDraw", left: int, top: int, text: str, *, colour: str = "black", size: int = 13
) -> None:
    """Write a line of text into an image."""
    from PIL import ImageFont

    draw.text((left, top), text, fill=colour, font=ImageFont.load_default(size))


def encode_png(image: "Image.Image") -> bytes:
    """The bytes of a PNG file."""
    encoded = BytesIO()
    image.save(encoded, "PNG", optimize=True)
    return encoded.getvalue()
