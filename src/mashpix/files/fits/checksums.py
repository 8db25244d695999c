"""Checksums of FITS 4.0, section 4.4.2.7 and appendix J: renew those of one part of a file after its data changed."""

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 2**24
"""Bytes to add up at a time."""
PUNCTUATION = set(range(0x3A, 0x41)) | set(range(0x5B, 0x61))
"""Characters that an encoded sum must not contain."""
ZERO = 0x30


def renew_checksums(file: BinaryIO, header: Any, start: int, *, data: int, end: int) -> None:
    """Renew DATASUM and CHECKSUM in a header of astropy, as far as it has them, and write it to its place.

    `start`, `data` and `end` are the places of the header, of its data, and of what follows them.
    """
    if not {"DATASUM", "CHECKSUM"} & set(header):
        return
    data_sum = _add_up(file, data, end)
    if "DATASUM" in header:
        header["DATASUM"] = str(data_sum)
    if "CHECKSUM" in header:
        header["CHECKSUM"] = "0" * 16
        header["CHECKSUM"] = _encode(~np.uint32(_fold(_sum(header.tostring().encode("ascii")) + data_sum)))
    file.seek(start)
    file.write(header.tostring().encode("ascii"))


def _add_up(file: BinaryIO, start: int, end: int) -> int:
    """Return the sum of the 32-bit numbers in a part of a file."""
    file.seek(start)
    total = 0
    for place in range(start, end, AT_ONCE):
        total = _fold(total + _sum(file.read(min(AT_ONCE, end - place))))
    return total


def _sum(data: bytes) -> int:
    return _fold(int(np.frombuffer(data, ">u4").sum(dtype=np.uint64)))


def _fold(total: int) -> int:
    """Add carries to the lower 32 bits, as in ones' complement arithmetic."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encode(value: np.uint32) -> str:
    """Encode a sum as 16 letters and digits: each byte becomes four characters that add up to it."""
    parts: NDArray[Any] = np.array([int(value) >> shift & 255 for shift in (24, 16, 8, 0)])
    characters = (parts[:, None] // 4 + ZERO).repeat(4, axis=1)
    characters[:, 0] += parts % 4
    for row in characters:
        for pair in (row[:2], row[2:]):
            while PUNCTUATION & set(pair.tolist()):
                pair += (1, -1)
    text = bytes(characters.T.ravel().astype(np.uint8).tolist()).decode("ascii")
    return text[-1] + text[:-1]
