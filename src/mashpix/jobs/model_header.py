"""The file of a model as far as it can be read without torch: its arrays, and what it says it was fitted to."""

import json
from pathlib import Path
from typing import Any

from mashpix.errors import FileError
from mashpix.files.safetensors import decode_tensors

FORMAT = "mashpix-model-1"
"""What the header says, so that other safetensors files are told apart."""
LARGEST = 2**30
"""Bytes of a model that is read: those of the presets have a few million."""


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Arrays and header of the file of a model; anything else raises `FileError`."""
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
    """What a model was fitted to, as its file says; empty where that says nothing. It raises as `read_tensors`."""
    _, header = read_tensors(path)
    try:
        return dict(json.loads(header.get("origin", "{}")))
    except (TypeError, ValueError) as error:
        raise FileError(f"not a complete model ({' '.join(str(error).split())[:120]}; another version?)") from None
