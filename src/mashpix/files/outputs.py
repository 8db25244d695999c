"""Refuse outputs that cannot or must not be written, before any work is done."""

import os
from pathlib import Path

from mashpix.errors import FileError
from mashpix.files.atomic import create_temporary, find_place
from mashpix.files.atomic_folder import find_zarr_place


def check_output(
    source: Path | None, target: Path, *, overwrite: bool, in_place: bool = False, is_folder: bool = False
) -> None:
    """Refuse a target that cannot or must not be written.

    Parameters
    ----------
    source : Path or None
        The input; a target that is the same file, by name, hard or symbolic link, is refused unless `in_place`.
    target : Path
        Where the output will go.
    overwrite : bool
        Whether an existing file may be replaced.
    in_place : bool
        Whether the input itself may be replaced.
    is_folder : bool
        Whether the output is a folder, a Zarr, as the input is: no other folder is ever replaced.

    Raises
    ------
    FileError
        With the reason; nothing has been written.
    """
    try:
        place = find_zarr_place(target) if is_folder else find_place(target)
        if source is not None and target.exists() and target.samefile(source):
            if not in_place:
                raise FileError(f"the output is the input itself ({str(target)!r}; `in_place` allows that)")
        elif is_folder and source is not None and _is_nested(place, Path(os.path.realpath(source))):
            raise FileError(f"one of output and input lies inside the other ({str(target)!r}; name another folder)")
        elif not overwrite and os.path.lexists(target):
            raise FileError(f"the output exists ({str(target)!r}; `overwrite` replaces it)")
        handle, temporary = create_temporary(place)
        os.close(handle)
        temporary.unlink()
    except OSError as error:
        raise FileError(f"cannot write there ({str(target)!r}; {error.strerror})") from None


def _is_nested(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
