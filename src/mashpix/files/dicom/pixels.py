"""How the values of a DICOM image are stored: bits within words, signs, frames; decoded with imagecodecs.

DICOM PS3.5, section 8.
"""

import struct
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.files.jpeg import declared_size

FLOATS = {"FloatPixelData": "f4", "DoubleFloatPixelData": "f8"}
ROOT = "1.2.840.10008.1.2"
NATIVE: dict[str, Literal["<", ">"]] = {ROOT: "<", f"{ROOT}.1": "<", f"{ROOT}.2": ">"}
"""Uncompressed transfer syntaxes, and their byte order."""
CODECS = {f"{ROOT}.{number}": "jpeg8" for number in ("4.50", "4.51")}
CODECS |= {f"{ROOT}.{number}": "jpegsof3" for number in ("4.57", "4.70")}
CODECS |= {f"{ROOT}.{number}": "jpegls" for number in ("4.80", "4.81")}
CODECS |= {f"{ROOT}.{number}": "jpeg2k" for number in ("4.90", "4.91")}
CODECS |= {f"{ROOT}.5": "dicomrle"}
"""Compressed transfer syntaxes, and the codecs of imagecodecs that decode them."""


@dataclass(frozen=True)
class Words:
    """Values within words: `word` is the dtype of a word, of which a value takes `bits` bits from `shift` on.

    dtype : of the values
    """

    word: np.dtype[Any]
    dtype: np.dtype[Any]
    bits: int
    shift: int

    def unpack(self, words: NDArray[Any]) -> NDArray[Any]:
        """Return the values in words."""
        if self.bits == 8 * self.word.itemsize:
            return words.astype(self.word.newbyteorder("=")).view(self.dtype)
        unused = 8 * self.dtype.itemsize - self.bits
        native = words.astype(self.word.newbyteorder("=")) >> self.shift << unused
        values: NDArray[Any] = native.view(self.dtype) >> unused  # an arithmetic shift extends the sign
        return values

    def pack(self, values: NDArray[Any], words: NDArray[Any]) -> NDArray[Any]:
        """Return words with other values: unused bits stay, unless they repeat the sign."""
        native, new = words.astype(self.word.newbyteorder("=")), values.view(self.word.newbyteorder("="))
        if self.bits == 8 * self.word.itemsize or np.array_equal(native.view(self.dtype), self.unpack(words)):
            return new
        mask = native.dtype.type((2**self.bits - 1) << self.shift)
        merged: NDArray[Any] = native & ~mask | new << self.shift & mask
        return merged


def find_words(dataset: Any, keyword: str, order: Literal["<", ">"]) -> Words:
    """Return how values are stored, as a dataset says; `FileError` for values that cannot be denoised."""
    if keyword in FLOATS:
        dtype = np.dtype(FLOATS[keyword])
        return Words(dtype.newbyteorder(order), dtype, 8 * dtype.itemsize, 0)
    allocated, bits = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if bits == 1:
        raise FileError("too few grey levels to denoise (1 bit per pixel; convert it to 8 bit first)")
    shift = int(dataset.get("HighBit", bits - 1)) - bits + 1
    if allocated not in (8, 16, 32) or not 1 < bits <= allocated or not 0 <= shift <= allocated - bits:
        raise FileError(f"an unusual layout of bits ({bits} of {allocated}; 8, 16 or 32 needed)")
    kind = "i" if int(dataset.PixelRepresentation) else "u"
    size = allocated // 8
    return Words(np.dtype(f"{order}u{size}"), np.dtype(f"{kind}{size}"), bits, shift)


def decode_frame(frame: bytes, syntax: str, shape: tuple[int, ...], words: Words, *, is_rgb: bool) -> NDArray[Any]:
    """Decode one frame to words, (Y, X) or (Y, X, S); `FileError` if it has another size than declared."""
    import imagecodecs

    name = CODECS[syntax]
    if name == "dicomrle":
        planes = np.frombuffer(imagecodecs.dicomrle_decode(frame, words.word.newbyteorder("<").str), words.word)
        return planes.reshape(-1, *shape[:2]).transpose(1, 2, 0).reshape(shape)
    _check_size(frame, shape)
    options = {"colorspace": "RGB" if is_rgb else "YCBCR", "outcolorspace": "RGB"}
    options = options if name == "jpeg8" and len(shape) == 3 else {}
    decoded: NDArray[Any] = getattr(imagecodecs, f"{name}_decode")(frame, **options)
    if decoded.shape != shape or decoded.itemsize > words.word.itemsize:
        raise FileError(f"damaged DICOM (a frame {decoded.dtype} {decoded.shape}; {words.dtype} {shape} declared)")
    return decoded.astype(words.dtype).view(words.word) if decoded.dtype.kind == "i" else decoded.astype(words.word)


def _check_size(frame: bytes, shape: tuple[int, ...]) -> None:
    """Refuse a compressed frame that declares another size, before the decoder allocates it."""
    if frame.startswith(b"\xff\x4f\xff\x51"):  # JPEG 2000
        width, height, left, top = struct.unpack_from(">4I", frame, 8)
        found = height - top, width - left
    else:
        found = declared_size(frame)
    if found != shape[:2]:
        raise FileError(f"damaged DICOM (a frame of {found} pixels; {shape[:2]} declared)")
