"""The model that all images of a run are denoised with: which file it is, and what it may be applied to."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashpix.errors import FileError
from mashpix.jobs.recipe import hash_file

if TYPE_CHECKING:
    from mashpix.arrays.model import Model


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


@lru_cache(maxsize=1)
def load_model(file: ModelReference) -> "Model":
    """Read a model; `FileError` if the file has changed since it was referred to."""
    from mashpix.jobs.model_file import read_model

    try:
        if hash_file(file.path) != file.sha256:
            raise FileError("the model has changed meanwhile (start again)")
        return read_model(file.path)
    except OSError as error:
        raise FileError(f"{str(file.path)!r}: cannot be read ({error.strerror})") from None
    except FileError as error:
        raise FileError(f"{str(file.path)!r}: {error}") from None


def check_like(axes: str, pixels: Any, model: ModelReference | None) -> None:
    """Refuse a file of another kind than those that a model was fitted to."""
    if model is not None and model.kind is not None:
        check_kind(kind_of(axes, pixels.shape, pixels.dtype), model.kind)


def check_kind(found: str, wanted: str) -> None:
    """Refuse a file of another kind than the files of a series."""
    if found != wanted:
        raise FileError(f"not like the series ({found}; {wanted} needed; denoise it by itself)")


def kind_of(axes: str, shape: tuple[int, ...], dtype: Any) -> str:
    """Describe what the images of a series have in common: axes, channels and dtype.

    Examples
    --------
    >>> kind_of("TCYX", (9, 2, 64, 64), "uint16")
    'TCYX, C 2, uint16'
    """
    lengths = [f"{letter} {length}" for letter, length in zip(axes, shape, strict=True) if letter in "CS"]
    return ", ".join([axes, *lengths, str(dtype)])
