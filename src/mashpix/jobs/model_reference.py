"""The model that all images of a run are denoised with: its file, and what it may be applied to. Needs no torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mashpix.errors import FileError
from mashpix.files.safetensors import decode_tensors
from mashpix.jobs.recipe import hash_file

FORMAT = "mashpix-model-1"
"""Marks model files among other safetensors files in their header."""
LARGEST = 2**30
"""Largest size in bytes of a model file: those of the presets have a few million."""


@dataclass(frozen=True)
class ModelReference:
    """A model file, identified by its hash.

    path : where it is
    sha256 : of the file
    kind : of the files that it may be applied to; None for any file with its channels and dtype
    """

    path: Path
    sha256: str
    kind: str | None = None


def refer_to_model(path: Path) -> ModelReference:
    """Refer to a model file, for any file with its channels and dtype; `FileError` if it does not exist."""
    try:
        return ModelReference(path, hash_file(path))
    except OSError as error:
        raise FileError(f"{str(path)!r}: cannot be read ({error.strerror})") from None


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
        raise incomplete(error) from None


def incomplete(error: Exception) -> FileError:
    """Return the error for a model file in which something is missing or wrong."""
    return FileError(f"not a complete model ({' '.join(str(error).split())[:120]}; another version?)")


def check_kind(found: str, model: ModelReference | None) -> None:
    """Refuse a file of another kind than those that the model of a series may be applied to."""
    if model is not None and model.kind not in (None, found):
        raise unlike_series(found, str(model.kind))


def unlike_series(found: str, wanted: str) -> FileError:
    """Return the error for a file of another kind than the files of a series."""
    return FileError(f"not like the series ({found}; {wanted} needed; denoise it by itself)")


def kind_of(axes: str, shape: tuple[int, ...], dtype: Any) -> str:
    """Describe what the images of a series have in common: axes, channels and dtype.

    Examples
    --------
    >>> kind_of("TCYX", (9, 2, 64, 64), "uint16")
    'TCYX, C 2, uint16'
    """
    lengths = [f"{letter} {length}" for letter, length in zip(axes, shape, strict=True) if letter in "CS"]
    return ", ".join([axes, *lengths, str(dtype)])
