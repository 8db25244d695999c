"""The safetensors format: named arrays and a JSON header, and no executable code.

Eight bytes are the length of the header, little-endian; the header is JSON, with dtype, shape and two offsets for each
name, and texts under `__metadata__`; the arrays follow, little-endian, in C order, without gaps.
https://huggingface.co/docs/safetensors
"""

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError

DTYPES = {"F32": "<f4", "F64": "<f8"}
"""Dtypes used in models: the format has more."""
METADATA = "__metadata__"
ALIGNMENT = 8


def encode_tensors(arrays: dict[str, NDArray[Any]], metadata: dict[str, str]) -> bytes:
    """Encode named float32 or float64 arrays, and texts, as a file.

    Examples
    --------
    >>> data = encode_tensors({"a": np.ones((2, 3), np.float32)}, {"made by": "us"})
    >>> decode_tensors(data)[0]["a"].shape, decode_tensors(data)[1]
    ((2, 3), {'made by': 'us'})
    """
    names = {np.dtype(code): name for name, code in DTYPES.items()}
    header: dict[str, Any] = {METADATA: metadata}
    parts, place = [], 0
    for name, array in arrays.items():
        part = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        offsets = [place, place + len(part)]
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
        parts.append(part)
        place += len(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def decode_tensors(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Decode the named arrays and texts of a file.

    Raises
    ------
    FileError
        If it is not a safetensors file, or its arrays do not match the header.
    """
    try:
        (length,) = struct.unpack_from("<Q", data)
        if length > len(data) - 8:
            raise ValueError("the header ends beyond the file")
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop(METADATA, {})
        arrays, body = {}, data[8 + length :]
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            dtype, shape = np.dtype(DTYPES[entry["dtype"]]), tuple(entry["shape"])
            count = int(np.prod(shape, dtype=object))
            if not (0 <= start <= end <= len(body) and end - start == count * dtype.itemsize):
                raise ValueError(f"{name} does not fit its place")
            arrays[name] = np.frombuffer(body[start:end], dtype).reshape(shape).astype(dtype.newbyteorder("="))
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"not a readable safetensors file ({error}; written by mashpix fit?)") from None
    return arrays, metadata
