"""Microscope files (CZI, ND2, LIF, what bioio's plugins read) as stacks: read plane by plane, written as OME-TIFF."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from mashpix.axes import Index, check_axes
from mashpix.errors import FileError, MashpixError, UsageError
from mashpix.extras import need
from mashpix.files.atomic import atomic_file
from mashpix.files.image_file import active_remarks, check_size
from mashpix.files.opened import OpenStack, Put
from mashpix.files.reader_process import Child
from mashpix.files.suffixes import MICROSCOPE
from mashpix.files.tiff.empty import begin_tiff

CZI = b"ZISRAWFILE"
LIF = b"p\0\0\0"
MAGICS = (CZI, b"\xda\xce\xbe\x0a", LIF)
"""First bytes of CZI, ND2 and LIF."""
SIGNS = {"CZI": CZI, "LIF": LIF}
READERS = {"CZI": ("pylibCZIrw", "czi_planes"), "LIF": ("liffile", "lif_planes")}
"""Library and module that read a format; bioio reads all others."""
OTHER = "microscope file"
IDENTIFYING = 2**20
"""Bytes at the beginning of a file that identify it."""


@dataclass(kw_only=True)
class _MicroscopeStack(OpenStack):
    """A stack in a microscope's file: its largest scene. `found` is what the process that reads it says.

    found : axes, as bioio orders them, TCZYX or TCZYXS; shape, dtype; channels, their names; steps, micrometres per
        pixel by axis; scene, its name, and scenes, how many there are; is_mosaic, whether tiles were joined
    """

    child: Child
    found: dict[str, Any]

    def read_plane(self, index: Index) -> NDArray[Any]:
        numbers = {letter: number for letter, number in zip(self.axes, index, strict=True) if isinstance(number, int)}
        plane = self.child.ask({"index": numbers})[1]
        if plane.shape != self.plane_shape:
            raise FileError(f"damaged (a plane {plane.shape}; {self.plane_shape} declared)")
        return plane.astype(self.dtype, copy=False)

    def close(self) -> None:
        self.child.close()

    @contextmanager
    def copy_planes(self, target: Path, *, overwrite: bool) -> Iterator[Put]:
        """Create an uncompressed OME-TIFF whose planes may be written in any order."""
        size = int(np.prod(self.plane_shape)) * self.dtype.itemsize
        with atomic_file(target, overwrite=overwrite) as file:
            start = begin_tiff(
                file,
                target.name,
                shape=self.shape,
                dtype=self.dtype,
                is_rgb="S" in self.axes,
                ome=True,
                metadata=self._describe(),
            )

            def put(index: Index, plane: NDArray[Any]) -> None:
                file.seek(start + self.number_of(index) * size)
                file.write(np.ascontiguousarray(plane, self.dtype).tobytes())

            yield put

    def _describe(self) -> dict[str, Any]:
        """Return what OME-XML records besides the shape: names of channels and physical sizes."""
        with self.path.open("rb") as file:
            identity = file.read(IDENTIFYING) + json.dumps(self.found).encode()
        uuid = UUID(bytes=hashlib.sha256(identity).digest()[:16], version=4)  # not a random one: same input, same bytes
        named: dict[str, Any] = {"axes": self.axes, "Name": self.found["scene"], "UUID": f"urn:uuid:{uuid}"}
        for letter, step in self.found["steps"].items():
            named |= {f"PhysicalSize{letter}": step, f"PhysicalSize{letter}Unit": "µm"}
        if len(self.found["channels"]) == self.shape[self.axes.index("C")]:
            named["Channel"] = {"Name": self.found["channels"]}
        return named


def open_microscope(path: Path, *, axes: str | None, max_pixels: int) -> _MicroscopeStack:
    """Open a microscope's file as a stack, also where it holds a single plane."""
    if path.suffix.lower() not in MICROSCOPE:  # its output would not be named as an OME-TIFF
        raise FileError(f"a microscope file with another ending ({path.suffix!r}; rename it to .czi, .nd2 or .lif)")
    with path.open("rb") as file:
        start = file.read(len(CZI))
    kinds = (what for what in READERS if start.startswith(SIGNS[what]) or path.suffix.lower() == f".{what.lower()}")
    what = next(kinds, OTHER)
    library, reader = READERS.get(what, ("bioio", "bioio_planes"))
    need(library, what=what, extra="bio")
    child = Child(f"mashpix.files.microscopes.{reader}", what=what)
    try:
        found, _ = child.ask({"path": str(path)})
        lengths = dict(zip(found["axes"], found["shape"], strict=True))
        check_size(lengths["X"], lengths["Y"], lengths.get("S", 1), max_pixels=max_pixels)
        if np.dtype(found["dtype"]).kind not in "iuf":
            raise FileError(f"holds no numbers that can be denoised ({np.dtype(found['dtype'])})")
        if axes is not None and check_axes(axes, tuple(lengths.values())) != found["axes"]:
            raise UsageError(f"`axes`: the axes of this file are {found['axes']} ({axes!r}; leave it out)")
    except MashpixError:
        child.close()
        raise
    return _MicroscopeStack(
        path=path,
        axes=found["axes"],
        shape=tuple(found["shape"]),
        dtype=np.dtype(found["dtype"]).newbyteorder("="),
        is_rgb=lengths.get("S") == 3,
        notes=_notes(found),
        lost=_losses(found),
        child=child,
        found=found,
    )


def _notes(found: dict[str, Any]) -> tuple[str, ...]:
    """Return remarks on how the file is read."""
    remarks = {
        "its tiles are joined as the file places them, and denoised as one image": found["is_mosaic"],
        f"its axes are renamed as OME-TIFF has them: {found.get('renamed')}": bool(found.get("renamed")),
    }
    return active_remarks(remarks)


def _losses(found: dict[str, Any]) -> tuple[str, ...]:
    """Return what an OME-TIFF cannot keep."""
    lost = ["written as OME-TIFF: axes, channel names and pixel sizes are kept, other metadata are not kept"]
    if found["scenes"] > 1:
        shape = tuple(found["shape"])
        lost.append(f"of its {found['scenes']} scenes, the largest is taken ({found['scene']!r}, {shape})")
    return tuple(lost)
