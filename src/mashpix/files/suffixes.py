"""Endings of file names: which formats are known by them, and which ending an output gets."""

from pathlib import Path

from mashpix.errors import FileError
from mashpix.files.folder import ENDING, is_zarr

RAW = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
}  # fmt: skip
"""Camera raw: most of these files begin like any TIFF, so only the name distinguishes them."""
MICROSCOPE = {".czi", ".dv", ".ims", ".lif", ".nd2", ".oib", ".r3d", ".zvi"}
"""Microscope files, to try with bioio if the content is of no known format."""
FITS, MRC = {".fits", ".fit", ".fts", ".fz"}, {".mrc", ".mrcs", ".map", ".rec", ".st"}
DICOM = {".dcm", ".dicom", ".ima"}
"""DICOM, to try with pydicom if the content is of no known format: old files have no mark."""
OUTPUTS = dict.fromkeys(RAW, ".tif") | dict.fromkeys(MICROSCOPE, ".ome.tif") | {".gif": ".png"}
"""Ending of an output, for formats that are read but not written."""
DOUBLE = {".ome.tif", ".ome.tiff", ".ome.zarr", ".fits.fz"}
"""Endings of two parts."""


def split_name(path: Path) -> tuple[str, str]:
    """Split the name of a file into its stem and its ending, which may have two parts.

    Examples
    --------
    >>> split_name(Path("cells.ome.tif")), split_name(Path("cells.1.tif"))
    (('cells', '.ome.tif'), ('cells.1', '.tif'))
    """
    double = "".join(path.suffixes[-2:])
    ending = double if double.lower() in DOUBLE else path.suffix
    return path.name.removesuffix(ending), ending


def output_suffix(suffix: str) -> str:
    """Return the ending of an output's name: that of the input, unless its format is read-only."""
    return OUTPUTS.get(suffix.lower(), suffix)


def check_same_format(source: Path, target: Path) -> None:
    """Refuse a target of another format, which would lose the metadata of a stack."""
    if is_zarr(source) and target.suffix.lower() == ENDING:
        return
    needed = Path(f"stack{output_suffix(source.suffix)}").suffix
    endings = {ending.lower().replace(".tiff", ".tif") for ending in (needed, target.suffix)}
    if target.suffix and len(endings) > 1:
        raise FileError(f"a stack keeps its format ({target.suffix!r}; {needed!r} needed)")
