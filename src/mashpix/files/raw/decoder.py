"""Develop camera raw files by LibRaw in a separate process: sensor values to 16-bit sRGB, with fixed options.

Nothing in it looks at the image, so a series stays a series: no automatic brightness, and white is where the sensor
saturates. White balance is the camera's own; colours go through the camera's matrix to sRGB (IEC 61966-2-1), and so
does the tone curve.
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.image_file import check_size, in_short
from mashpix.files.reader_process import serve

DEVELOPMENT: dict[str, Any] = {
    "output_bps": 16,
    "use_camera_wb": True,
    "no_auto_bright": True,
    "adjust_maximum_thr": 0.0,
    "gamma": (2.4, 12.92),
    "user_flip": 0,
}
"""Options of `rawpy.RawPy.postprocess`; the others stay as LibRaw has them: AHD demosaicing, sRGB, clipped whites."""


def develop(request: dict[str, Any], data: bytes | bytearray) -> tuple[dict[str, Any], NDArray[Any]]:
    """Develop a raw file to (H, W, 3) or (H, W, 1) uint16 as the sensor recorded it, with its orientation (`flip`)."""
    import rawpy

    try:
        with rawpy.imread(BytesIO(data)) as raw:
            sizes = raw.sizes
            for width, height in ((sizes.raw_width, sizes.raw_height), (sizes.iwidth, sizes.iheight)):
                check_size(width, height, max_pixels=request["max_pixels"])
            if not np.any(raw.raw_image_visible[-1]):  # a sensor has noise, and LibRaw reads on beyond the end
                raise FileError("truncated camera raw (its last row of pixels is empty)")
            pixels = raw.postprocess(**DEVELOPMENT)
            return {"flip": sizes.flip, "has_balance": all(raw.camera_whitebalance[:3])}, pixels
    except rawpy.LibRawError as error:
        said = error.args[0]
        reason = said.decode(errors="replace") if isinstance(said, bytes) else in_short(error)
        raise FileError(f"damaged, or not a camera raw that LibRaw can read ({reason})") from None


def main() -> None:
    """Entry point of the process."""
    serve(develop, what="camera raw")
