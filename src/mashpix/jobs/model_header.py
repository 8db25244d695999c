"""Read what needs no torch from a model file: its arrays, and the record of what it was fitted to."""

import json
from pathlib import Path
from typing import Any

from mashpix.errors import FileError
from mashpix.files.safetensors import decode_tensors

FORMAT = "mashpix-model-1"
"""Marks model files among other safetensors files in their header."""
LARGEST = 2**30
"""Largest size in bytes of a model file: those of the presets have a few million."""


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read arrays and header of a model file; `FileError` for any other file."""
    try:
        if path.stat().st_size > LARGEST:
            raise FileError(f"not a mashpix model (more than {LARGEST} bytes)")
        arrays, header = decode_tensors(path.read_bytes())
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})") from None
    if header.get("format") != FORMAT:
        raise FileError(f"not a mashpix model (no format {FORMAT!r}; a file that mashpix fit wrote)")
    return arrays, header


def read_origin(path: Path) -> dict[str, Any]:
    """Read what a model was fitted to; empty if its file does not say. Errors as in `read_tensors`."""
    _, header = read_tensors(path)
    try:
        return dict(json.loads(header.get("origin", "{}")))
    except (TypeError, ValueError) as error:
        raise FileError(f"not a complete model ({' '.join(str(error).split())[:120]}; another version?)") from None
