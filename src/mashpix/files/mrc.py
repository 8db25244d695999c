"""MRC 2014, the files of electron microscopes, with mrcfile's description of the header: micrographs, stacks, volumes.

A. Cheng et al., "MRC2014: Extensions to the MRC format header", Journal of Structural Biology 192, 2015.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mashpix.axes import check_axes
from mashpix.errors import FileError
from mashpix.extras import need
from mashpix.files.as_tiff import AsTiff
from mashpix.files.image_file import check_size
from mashpix.files.mapped import MappedStack, byte_count

MAGIC_PLACE, MAGIC = 208, b"MAP "
STAMP = slice(212, 214)
"""Bytes that give the byte order."""
HEADER = 1024
"""Bytes of the header; an extended header may follow."""
MODES = {"int8": 0, "int16": 1, "float32": 2, "uint16": 6, "float16": 12}
IMOD_STAMP, IMOD_PLACE = 1146047817, 56
"""What marks files of IMOD in `extra2`, and where; their bytes are unsigned unless bit 0 of the next number is set."""


@dataclass(kw_only=True)
class _MrcStack(AsTiff, MappedStack):
    """The planes of an MRC file, and its header."""

    header: Any

    def begin(self) -> tuple[bytes, np.dtype[Any]] | None:
        if self.dtype == self.stored.newbyteorder("="):
            return None
        if str(self.dtype) not in MODES:
            raise FileError(f"`dtype`: MRC cannot hold it ({self.dtype}; one of {', '.join(MODES)})")
        header = self.header.copy()
        header["mode"] = MODES[str(self.dtype)]
        self.handle.seek(HEADER)
        extended = self.handle.read(self.offset - HEADER)
        return header.tobytes() + extended, self.dtype.newbyteorder(header["mode"].dtype.byteorder)

    def finish(self, file: BinaryIO, offset: int, stored: np.dtype[Any]) -> None:
        """Renew minimum, maximum, mean and standard deviation, each unless the header says that it is unknown."""
        file.seek(0)
        header = np.frombuffer(file.read(HEADER), self.header.dtype).copy()
        outside = int(np.prod(self.shape[:-2]))
        planes = np.memmap(file, stored, "r", offset, (outside, *self.shape[-2:]))
        found = [(np.min(it), np.max(it), np.mean(it, dtype=float), np.var(it, dtype=float)) for it in planes]
        low, high, means, variances = np.array(found, float).T
        has_range, has_mean = header["dmin"] <= header["dmax"], header["dmean"] >= header["dmin"]
        if has_range.all():
            header["dmin"], header["dmax"] = low.min(), high.max()
        if has_mean.all():
            header["dmean"] = means.mean()
        if (header["rms"] >= 0).all():
            header["rms"] = np.sqrt(np.mean(variances + (means - means.mean()) ** 2))
        file.seek(0)
        file.write(header.tobytes())


def open_mrc(path: Path, *, axes: str | None, max_pixels: int) -> _MrcStack:
    """Open an MRC file; its space group tells a micrograph (YX), a stack (TYX), a volume (ZYX) and a stack of volumes.

    The planes of a stack are the frames of a movie, the tilts of a series, or particles.
    """
    need("mrcfile", what="MRC", extra="mrc")
    header, stored = _read_header(path)
    shape, offset = _find_shape(header), HEADER + max(int(header["nsymbt"]), 0)
    if min(shape, default=0) < 1:
        raise FileError(f"damaged MRC (shape {shape})")
    check_size(shape[-1], shape[-2], max_pixels=max_pixels)
    end, size = offset + byte_count(shape, stored), path.stat().st_size
    if end != size:
        raise FileError(f"truncated or damaged MRC ({size} bytes; {end} needed)")
    found = {2: "YX", 3: "TYX" if header["ispg"] == 0 else "ZYX", 4: "TZYX"}[len(shape)]
    return _MrcStack(
        path=path,
        axes=found if axes is None else check_axes(axes, shape),
        shape=shape,
        dtype=stored.newbyteorder("="),
        is_rgb=False,
        handle=path.open("rb"),
        offset=offset,
        end=end,
        stored=stored,
        header=header,
    )


def _read_header(path: Path) -> tuple[Any, np.dtype[Any]]:
    """Read the header; return it, and how the values after it are stored."""
    from mrcfile.dtypes import HEADER_DTYPE
    from mrcfile.utils import byte_order_from_machine_stamp, data_dtype_from_header

    with path.open("rb") as file:
        data = file.read(HEADER)
    if len(data) < HEADER:
        raise FileError(f"truncated MRC ({len(data)} bytes; a header of {HEADER} needed)")
    try:
        order = byte_order_from_machine_stamp(data[STAMP])
        header = np.frombuffer(data, HEADER_DTYPE.newbyteorder(order)).view(np.recarray).reshape(())
        stored = data_dtype_from_header(header)
    except ValueError as error:
        raise FileError(f"damaged MRC, or of an unknown mode ({error})") from None
    if stored.kind == "c":
        raise FileError(f"holds no numbers that can be denoised (MRC mode {header['mode']}, complex numbers)")
    stamp, flags = np.frombuffer(header["extra2"].tobytes(), np.dtype("i4").newbyteorder(order), 2, IMOD_PLACE)
    if stored == np.int8 and stamp == IMOD_STAMP and not flags & 1:
        stored = np.dtype(np.uint8)
    return header, stored


def _find_shape(header: Any) -> tuple[int, ...]:
    """Return the shape of the values; that of a stack of volumes divides them by the thickness of one."""
    from mrcfile.utils import data_shape_from_header, spacegroup_is_volume_stack

    if spacegroup_is_volume_stack(header["ispg"]) and (header["mz"] < 1 or header["nz"] % header["mz"]):
        raise FileError(f"damaged MRC (volumes of {header['mz']} planes in {header['nz']})")
    return tuple(data_shape_from_header(header))
