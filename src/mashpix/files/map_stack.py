"""New stacks without metadata, such as the spread of one: planes written to an NPY or TIFF file one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index
from mashpix.files.atomic import atomic_file
from mashpix.files.mapped import byte_count, fill
from mashpix.files.npy import make_header
from mashpix.files.opened import Put
from mashpix.files.tiff.empty import begin_tiff
from mashpix.files.windows import WindowedPlane, parts_of

FLOAT = np.dtype(np.float32)
OME_AXES = frozenset("TZCYXS")
"""Axes that every OME-TIFF reader knows."""
OME_DTYPES = {"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"}


@contextmanager
def map_stack(
    target: Path, *, axes: str, shape: tuple[int, ...], dtype: np.dtype[Any] = FLOAT, overwrite: bool
) -> Iterator[Put]:
    """Create a file of planes, NPY if named so, else TIFF; it gets its name when the block ends without error.

    Parameters
    ----------
    target : Path
        Where it goes.
    axes, shape, dtype : str, tuple of int, numpy dtype
        Of the stack. OME-XML in a TIFF says the axes where it knows their letters and the dtype, else tifffile's own
        description.
    overwrite : bool
        Whether a file that is there may be replaced.

    Yields
    ------
    Put
        Writes a plane at the place of `stack[index]`; planes that are not written are 0.
    """
    with atomic_file(target, overwrite=overwrite) as file:
        is_npy = target.suffix.lower() == ".npy"
        stored = dtype.newbyteorder("<")
        start = _begin_npy(file, shape, stored) if is_npy else _begin_tiff(file, target.name, axes, shape, stored)
        fill(file, start, byte_count(shape, stored))

        def put(index: Index, plane: NDArray[Any] | WindowedPlane) -> None:
            for window, values in parts_of(index, plane):
                np.memmap(file, stored, "r+", start, shape)[window] = values

        yield put


def _begin_npy(file: BinaryIO, shape: tuple[int, ...], stored: np.dtype[Any]) -> int:
    """Write the header of an NPY file; return where its values start."""
    return file.write(make_header(shape, stored, is_fortran=False))


def _begin_tiff(file: BinaryIO, name: str, axes: str, shape: tuple[int, ...], stored: np.dtype[Any]) -> int:
    """Write a TIFF except for its values; return where these start."""
    samples = dict(zip(axes, shape, strict=True)).get("S", 1)
    is_ome = set(axes) <= OME_AXES and stored.name in OME_DTYPES
    unique = {"UUID": str(uuid5(NAMESPACE_URL, f"{name} {axes} {shape}"))} if is_ome else {}  # not of time and machine
    return begin_tiff(
        file,
        name,
        shape=shape,
        dtype=stored,
        is_rgb=samples in (3, 4),
        byteorder="<",
        ome=is_ome,
        planarconfig=None if samples == 1 else "contig" if axes.endswith("S") else "separate",
        metadata={"axes": axes} | unique,
    )
