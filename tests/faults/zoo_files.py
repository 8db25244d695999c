"""The zoo, first part: files that are no pictures, are damaged, lie about themselves, or are of an unusual kind."""

import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from bad_files import BAD, RGB, npy_header, ome_xml, saved
from faults.case import Case
from fidelity import KINDS
from file_kinds import Extras, build_heic, header, png
from science_files import build_dicom, build_fits, build_mrc, science_seeds

ALIVE = {
    "NPY stack": ("a.tif", "blank", True),
    "TIFF stack": ("a.tif", "read as ZYX, 3 planes", False),
    "ImageJ stack": ("a.tif", "ZYX 4 x 12 x 16, networks shared", False),
    "PNG animated": ("a.png", "TYX 2 x 12 x 16", False),
    "GIF animated": ("a.gif", "palettes expanded", False),
    "WebP animated": ("a.webp", "an animated WebP is read only", False),
}
"""Of the bad files, those that hold stacks: refused by the reader of single pictures, denoised by the command line."""
AS_STACKS = {"TIFF of 20,000 directories": "a page without the lengths of its strips"}
"""What is said of bad stacks."""
STACK = np.random.default_rng(0).integers(0, 256, (2, 24, 40)).astype(np.uint8)


def tiff(array: Any = STACK, **options: Any) -> bytes:
    """A TIFF stack of tifffile's."""
    return saved(array, "tiff", photometric="minisblack", **options)


def chain_past_the_end() -> bytes:
    """295 bytes, two directories, the second of which points past the end: some readers follow that for ever."""
    data = bytearray(tiff(STACK[:, :3, :5], metadata=None, byteorder="<", description="", software=False))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages[1].offset
    count = struct.unpack_from("<H", data, place)[0]
    struct.pack_into("<I", data, place + 2 + 12 * count, 2**20)
    return bytes(data)


def circle(*, big: bool) -> bytes:
    """Two directories, the second of which points to the first."""
    data = bytearray(tiff(metadata=None, byteorder="<", bigtiff=big))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        first, second = (page.offset for page in file.pages)
    count = struct.unpack_from("<Q" if big else "<H", data, second)[0]
    place = second + (8 + 20 * count if big else 2 + 12 * count)
    struct.pack_into("<Q" if big else "<I", data, place, first)
    return bytes(data)


def naming(how: str) -> Callable[[Path], None]:
    """A stack whose OME-XML names a pipe outside of its folder, which hangs whoever opens it."""

    def build(folder: Path) -> None:
        (folder / "in").mkdir()
        os.mkfifo(folder / "other.tif")
        (folder / "in" / "link.tif").symlink_to(folder / "other.tif")
        name = {"../": "../other.tif", "absolute": str(folder / "other.tif"), "symlink": "link.tif"}[how]
        (folder / "in" / "a.tif").write_bytes(tiff(metadata=None, description=ome_xml(4, None, name)))

    return build


def pyramid() -> bytes:
    """An OME-TIFF with two smaller sizes of each plane, and a thumbnail as a second series."""
    file = io.BytesIO()
    big = np.random.default_rng(0).integers(0, 256, (2, 64, 96)).astype(np.uint8)
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(big, subifds=2, tile=(16, 16), metadata={"axes": "ZYX"}, photometric="minisblack")
        for step in (2, 4):
            writer.write(big[:, ::step, ::step], subfiletype=1, tile=(16, 16), photometric="minisblack")
        writer.write(big[0, ::8, ::8], metadata={"axes": "YX"}, photometric="minisblack")
    return file.getvalue()


def flat_png(side: int) -> bytes:
    """A true PNG of so many pixels a side, a thousandth of that in bytes."""
    packed = zlib.compressobj(9)
    row = bytes(side + 1)
    data = b"".join(packed.compress(row) for _ in range(side)) + packed.flush()
    return png(header(side, side), (b"IDAT", data), (b"IEND", b""))


def _row_of(name: str) -> str:
    """The row of docs/faults.md that one of the bad files belongs to."""
    rows = {
        "cut|too short|truncated": "truncated",
        "flipped|damaged|bad d": "flipped bits",
        "circle|chain|directories": "broken chain of directories",
        r"bomb|2\^|canvas|leaves|list": "absurd sizes",
        "HTML|text|empty|one byte|sound": "no picture",
        "SVG|EPS|PDF|GIF": "another format by another name",
        "1 bit|CMYK|bool|complex|YCbCr|12 bits": "pixels of another kind",
        "two": "two in one",
        "stack|ImageJ": "stacks",
    }
    return next((row for pattern, row in rows.items() if re.search(pattern, name)), "damaged header")


def _bad_files() -> list[Case]:
    cases = [
        Case(row=_row_of(name), name=name, build=data, message=AS_STACKS.get(name, message))
        for name, (data, message) in BAD.items()
        if name not in ALIVE
    ]
    alive = [
        Case(
            row="stacks",
            name=name,
            build=BAD[name][0],
            code=0,
            message=message,
            source=source,
            target="out.png" if "animated" in name else "",
            is_same=is_same,
        )
        for name, (source, message, is_same) in ALIVE.items()
    ]
    return cases + alive


def _kinds() -> list[Case]:
    """Every kind of file that the laws of fidelity know, with profile, EXIF, orientation, resolution and text."""
    return [
        Case(row="kinds of files", name=kind.name, build=kind.make(Extras()), code=0, source="a" + kind.suffix)
        for kind in KINDS
    ] + [
        Case(row="kinds of files", name=f"{ending.upper()}, {what}", build=data, code=0, source=f"a.{ending}")
        for name, data in science_seeds(STACK.astype(np.uint16)).items()
        for ending, _, what in [name.partition(", ")]
    ]


HEIC = Case(row="kinds of files", name="HEIC", build=build_heic(RGB), code=0, source="a.heic", target="out.png")
SCIENCE = {"FITS": build_fits(STACK), "DCM": build_dicom(STACK), "MRC": build_mrc(STACK.astype(np.int16))}
TIF, NPY = {"source": "a.tif"}, {"source": "a.npy"}
MULTI = {"row": "OME-XML that names another file", "source": "in/a.tif", "code": 0, "message": "names other files too"}
FILES = [
    *_bad_files(),
    *_kinds(),
    HEIC,
    Case(row="no picture", name="pipe", build=lambda folder: os.mkfifo(folder / "a.png"), message="not a regular file"),
    Case(row="no picture", name="device", build=lambda folder: (folder / "a.png").symlink_to("/dev/zero"),
         message="not a regular file"),
    Case(row="no picture", name="folder", build=lambda folder: (folder / "a.png").mkdir(), message="no images there"),
    Case(row="no picture", name="nothing", build=lambda folder: None, message="No such file"),
    Case(row="no picture", name="raw bytes", build=bytes(range(256)) * 16, message="no known image format"),
    Case(row="truncated", name="TIFF of two pages, second cut", build=tiff(metadata=None)[:-700], **TIF,
         message="truncated or damaged TIFF"),
    Case(row="truncated", name="NPY stack", build=saved(np.zeros((9, 24, 40)), "npy")[:-1], **NPY,
         message="truncated or damaged NPY"),
    Case(row="truncated", name="NPY, header cut", build=saved(STACK, "npy")[:40], **NPY, message="damaged NPY"),
    Case(row="broken chain of directories", name="second points past the end (295 bytes)", build=chain_past_the_end(),
         **TIF, message="beyond its"),
    Case(row="broken chain of directories", name="circle of two", build=circle(big=False), **TIF,
         message="in a circle"),
    Case(row="broken chain of directories", name="circle in a BigTIFF", build=circle(big=True), **TIF,
         message="in a circle"),
    Case(row="absurd sizes", name="PNG of 400 megapixels in 400 kB", build=flat_png(20_000), memory=2**28,
         message="memory"),
    Case(row="absurd sizes", name="NPY of 2.5 gigapixels, sparse", **NPY, message="too large",
         build=lambda folder: sparse(folder / "a.npy", (50_000, 50_000))),
    Case(row="absurd sizes", name="NPZ with a bomb beside its picture", source="a.npz", message="too large",
         build=lambda folder: np.savez_compressed(folder / "a.npz", a=RGB, b=np.zeros(2**27, np.uint8)),
         arguments=("a.npz", "-o", "out.npz", "--max-pixels", "1000")),
    Case(**MULTI, name="../", build=naming("../")),
    Case(**MULTI, name="absolute", build=naming("absolute")),
    Case(**MULTI, name="symlink", build=naming("symlink")),
    Case(row="OME-XML that declares too much", name="SizeZ of 10^12", message="declares 1000000000000 planes", **TIF,
         build=tiff(metadata=None, description=ome_xml(10**12, None))),
    Case(row="OME-XML that declares too much", name="XML bomb", code=0, **TIF,
         build=tiff(metadata=None,
         description='<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "' + "x" * 99 + '"><!ENTITY'
                    ' b "' + "&a;" * 99 + '"><!ENTITY c "' + "&b;" * 99 + '"><!ENTITY d "' + "&c;" * 99 + '">]>'
                    + ome_xml(2, "a.tif")[21:].replace("urn", "&d;"))),
    Case(row="pyramids, series, thumbnails", name="pyramid and a second series", build=pyramid(), code=0,
         message="holds 2 series", **TIF),
    Case(row="pixels of another kind", name="palette of 1 bit", code=0, message="palette",
         build=png(header(16, 16, bits=1, colour_type=3), (b"PLTE", bytes(range(6))),
                          (b"IDAT", zlib.compress(b"\0\xaa\x55" * 16)), (b"IEND", b""))),
    Case(row="pixels of another kind", name="NPZ with a pickle among others", source="a.npz", code=0,
         message="2 members",
         build=lambda folder: np.savez(folder / "a.npz", a=np.array([{}]), b=RGB)),
    *[Case(row="pixels of another kind", name=f"NPY of {kind}", **NPY, build=saved(np.zeros((9, 9), kind), "npy"),
           message="holds no numbers") for kind in ("bool", "complex64", "S3", "U3", "M8[s]", "i4,f4")],
    Case(row="pixels of another kind", name="NPY of objects", **NPY, build=saved(np.full((9, 9), None), "npy"),
         message="holds no numbers"),
    *[Case(row="channels", name=f"{count} channels", build=tiff(np.tile(STACK[0][..., None], count), metadata=None,
                                                                 planarconfig="contig"), code=0, **TIF)
      for count in (2, 5, 31)],
    Case(row="channels", name="31 planes or channels", build=saved(np.tile(STACK[0], (31, 1, 1)), "npy"), **NPY,
         code=0, message="read as ZYX, 31 planes"),
    Case(row="channels", name="six axes", build=saved(np.zeros((1, 1, 1, 1, 9, 9)), "npy"), **NPY, code=2,
         message="too many axes to guess"),
    Case(row="damaged profile", name="ICC of nonsense", code=0,
         build=saved(RGB, "png")[:33] + png((b"iCCP", b"x\0\0" + zlib.compress(b"none")))[8:]
         + saved(RGB, "png")[33:]),
    *[Case(row="truncated", name=f"{kind}, last byte cut", source=f"a.{kind.lower()}", build=data[:-1],
           message=f"truncated or damaged {kind.replace('DCM', 'DICOM')}") for kind, data in SCIENCE.items()],
    Case(row="absurd sizes", name="DICOM of 3.6 gigapixels", source="a.dcm", message="too large",
         build=build_dicom(STACK, Rows=60_000, Columns=60_000)),
    Case(row="absurd sizes", name="FITS of 2 gigapixels a row", source="a.fits", message="damaged FITS",
         build=SCIENCE["FITS"].replace(b"                  40", b"          2000000000")),
    Case(row="pixels of another kind", name="MRC of complex numbers", source="a.mrc", message="complex numbers",
         build=SCIENCE["MRC"][:12] + b"\4" + SCIENCE["MRC"][13:]),
    Case(row="pixels of another kind", name="DICOM with a palette", source="a.dcm", message="PALETTE COLOR",
         build=build_dicom(STACK, PhotometricInterpretation="PALETTE COLOR")),
    Case(row="damaged header", name="NPY header of 60 kB of brackets", **NPY, message="damaged NPY",
         build=npy_header(b"(" * 60_000)),
]  # fmt: skip


def sparse(path: Path, shape: tuple[int, int]) -> None:
    """An NPY of zeros that takes no room on the disk."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode() + b"\n"
    data = npy_header(text)
    path.write_bytes(data)
    os.truncate(path, len(data) + shape[0] * shape[1])
