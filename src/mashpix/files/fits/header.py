"""What the header of a FITS image says: how its values are stored, what they are, and which axes they have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import check_axes
from mashpix.errors import FileError

BITS = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}
OTHER_SIGN = {"uint8": ("int8", -(2**7))} | {f"int{n}": (f"uint{n}", 2 ** (n - 1)) for n in (16, 32, 64)}
"""Integers that stand for those of the other sign, and the BZERO that says so."""
LETTERS = {"STOKES": "C", "TIME": "T", "UTC": "T"}
"""Letters of axes by their CTYPE; all others, such as frequencies, count planes of one kind."""
FREE = "ZTQIRPHV"
"""Letters for those."""


def stored_dtype(header: Any) -> np.dtype[Any]:
    """Return the dtype of the values as stored, in native byte order; a file holds them as big-endian."""
    bits = header["BITPIX"]
    if bits not in BITS:
        raise FileError(f"damaged FITS (BITPIX {bits!r})")
    return np.dtype(BITS[bits])


def own_dtype(header: Any) -> np.dtype[Any]:
    """Return the dtype of the values: as stored, but for integers of the other sign."""
    stored = stored_dtype(header)
    other, zero = OTHER_SIGN.get(str(stored), ("", 0))
    return np.dtype(other) if other and _find_scaling(header) == (1, zero) else stored


def flip_sign(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert integers to those of the other sign: the highest bit differs."""
    bits = np.dtype(f"u{dtype.itemsize}")
    flipped: NDArray[Any] = (values.view(bits) ^ bits.type(2 ** (8 * dtype.itemsize - 1))).view(dtype)
    return flipped


def find_blank(header: Any) -> int | None:
    """Return the integer that stands for a missing value (BLANK, in units of what is stored), or None."""
    own, blank = own_dtype(header), header.get("BLANK")
    if own.kind == "f" or not isinstance(blank, int):
        return None
    return blank if own == stored_dtype(header) else blank + OTHER_SIGN[str(stored_dtype(header))][1]


def physical_scale(header: Any) -> tuple[float, float]:
    """Return what a value is to be multiplied by, and what to be added then."""
    return (1, 0) if own_dtype(header) != stored_dtype(header) else _find_scaling(header)


def _find_scaling(header: Any) -> tuple[float, float]:
    return header.get("BSCALE", 1), header.get("BZERO", 0)


def widened_header(header: Any, dtype: np.dtype[Any]) -> Any:
    """Return the header for values of a wider dtype, the same one for its own; physical values if they are floats."""
    if dtype == own_dtype(header):
        return header
    signed = {other: (stored, zero) for stored, (other, zero) in OTHER_SIGN.items()}
    stored, bias = signed.get(str(dtype), (str(dtype), 0))
    bits = {str(np.dtype(name)): number for number, name in BITS.items()}
    scale, zero = (1, 0) if dtype.kind == "f" else physical_scale(header)
    if stored not in bits or (bias and (scale, zero) != (1, 0)):
        raise FileError(f"`dtype`: FITS cannot hold it here ({dtype}; float32 or float64 needed)")
    wider, blank = header.copy(), find_blank(header)
    wider["BITPIX"] = bits[stored]
    for keyword in ("BLANK", "BSCALE", "BZERO"):
        wider.remove(keyword, ignore_missing=True)
    if dtype.kind != "f" and blank is not None:
        wider["BLANK"] = blank - bias
    if (scale, zero + bias) != (1, 0):
        wider["BSCALE"], wider["BZERO"] = scale, zero + bias
    return wider


def find_shape(header: Any) -> tuple[int, ...]:
    """Return the shape of an image, compressed or not; () for a part that holds no image."""
    prefix = "Z" if header.get("ZIMAGE") else ""
    if not prefix and header.get("XTENSION", "IMAGE").strip() != "IMAGE":
        return ()
    return tuple(header[f"{prefix}NAXIS{number}"] for number in range(header[f"{prefix}NAXIS"], 0, -1))


def name_axes(header: Any, shape: tuple[int, ...], axes: str | None) -> tuple[str, tuple[str, ...]]:
    """Return a letter for each axis, and a note if three planes may be colours."""
    if axes is not None:
        return check_axes(axes, shape), ()
    types = [str(header.get(f"CTYPE{number}", "")).strip().upper() for number in range(3, len(shape) + 1)]
    if len(shape) == 3 and shape[0] == 3 and types[0] in ("", "RGB"):
        return "SYX", ("its 3 planes are read as colours if they show one scene (`axes` changes that, such as ZYX)",)
    found: list[str] = []
    for kind in types:
        letter = LETTERS.get(kind, FREE[0])
        letter = next((free for free in (letter, *FREE) if free not in found), "")
        if not letter:
            raise FileError(f"too many axes ({len(shape)}; at most {2 + len(FREE)})")
        found.insert(0, letter)
    return "".join(found) + "YX", ()
