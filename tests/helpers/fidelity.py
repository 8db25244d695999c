"""What comes back of a file, as other readers see it; run as a script it renews the tables in docs/formats.md.

python tests/helpers/fidelity.py
"""

import io
import re
import struct
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from file_kinds import (
    Extras,
    Kind,
    build_avif,
    build_bmp,
    build_jpeg,
    build_jxl,
    build_npy,
    build_npz,
    build_png,
    build_pnm,
    build_tiff,
    build_webp,
)
from file_properties import describe
from instrument_table import instrument_files, instrument_table
from mashpix.files import ImageFile, read_image, write_image
from mashpix.files.png import GREY_ALPHA
from measured_page import FILES_MARK, KINDS_MARK, NOBODY, PROGRAMS_MARK, markdown, name_programs, write_part
from programs import PIXELS, PROGRAMS, same_tags, there

cv2.utils.logging.setLogLevel(0)
RGB8, RGB16, GREY16 = {"channels": 3}, {"channels": 3, "dtype": "uint16"}, {"dtype": "uint16"}
PALETTE = np.random.default_rng(0).integers(0, 2**16, (3, 256)).astype(np.uint16)


def _kinds(build: Callable[..., bytes], suffix: str, rows: dict[str, Any]) -> list[Kind]:
    return [Kind(name, suffix, build, options=options, **shape) for name, (shape, options) in rows.items()]


LOSSY = {"is_lossy": True}
KINDS = [
    *_kinds(build_png, ".png", {
        "PNG grey, 2 bits": ({}, {"bits": 2}), "PNG grey, 4 bits": ({}, {"bits": 4}), "PNG grey, 8 bits": ({}, {}),
        "PNG grey, 16 bits": (GREY16, {}), "PNG grey and alpha, 8 bits": ({"channels": 2}, {}),
        "PNG grey and alpha, 16 bits": (GREY16 | {"channels": 2}, {}), "PNG RGB, 8 bits": (RGB8, {}),
        "PNG RGB, 16 bits": (RGB16, {}), "PNG RGBA, 8 bits": ({"channels": 4}, {}),
        "PNG RGBA, 16 bits": (RGB16 | {"channels": 4}, {}), "PNG interlaced": (RGB8, {"interlaced": True}),
        "PNG palette": ({}, {"palette": True}), "PNG transparent colour": (RGB8, {"key": True}),
    }),
    *_kinds(build_jpeg, ".jpg", {
        "JPEG grey": (LOSSY, {}), "JPEG 4:4:4": (RGB8 | LOSSY, {}), "JPEG 4:2:0": (RGB8 | LOSSY, {"subsampling": 2}),
        "JPEG 4:4:0": (RGB8 | LOSSY, {"sampling": "440"}), "JPEG 4:1:1": (RGB8 | LOSSY, {"sampling": "411"}),
        "JPEG progressive": (RGB8 | LOSSY, {"progressive": True}),
        "JPEG with restarts": (RGB8 | LOSSY, {"restart_marker_blocks": 3}),
        "JPEG stored as RGB": (RGB8 | LOSSY, {"keep_rgb": True}), "JPEG CMYK": ({"channels": 4} | LOSSY, {}),
    }),
    *_kinds(build_webp, ".webp", {
        "WebP lossless": (RGB8, {"lossless": True}), "WebP lossless, alpha": ({"channels": 4}, {"lossless": True}),
        "WebP lossy": (RGB8 | LOSSY, {}), "WebP lossy, alpha": ({"channels": 4} | LOSSY, {}),
    }),
    *_kinds(build_tiff, ".tif", {
        "TIFF uncompressed": (RGB8, {"rowsperstrip": 7}), "TIFF big-endian": (RGB16, {"byteorder": ">"}),
        "TIFF BigTIFF": (GREY16, {"bigtiff": True}), "TIFF tiles": (GREY16, {"tile": (16, 16)}),
        "TIFF planar": (RGB16, {"planar": True}),
        "TIFF LZW, predictor 2": (RGB16, {"compression": "lzw", "predictor": 2}),
        "TIFF deflate": (RGB8, {"compression": "adobe_deflate"}), "TIFF PackBits": ({}, {"compression": "packbits"}),
        "TIFF ZSTD, predictor 3": ({"dtype": "float32"}, {"compression": "zstd", "predictor": 3}),
        "TIFF LZMA": ({"dtype": "int16"}, {"compression": "lzma"}), "TIFF alpha": (RGB16 | {"channels": 4}, {}),
        "TIFF alpha, associated": ({"channels": 4}, {"extrasamples": ["assocalpha"]}),
        "TIFF five channels": (GREY16 | {"channels": 5}, {}), "TIFF int32": ({"dtype": "int32"}, {}),
        "TIFF float16": ({"dtype": "float16"}, {}), "TIFF float64": ({"dtype": "float64"}, {}),
        "TIFF white is 0": ({}, {"photometric": "miniswhite"}), "TIFF 4 bits": ({}, {"bits": 4}),
        "TIFF 12 bits": (GREY16, {"bits": 12}), "TIFF palette": ({}, {"photometric": "palette", "colours": PALETTE}),
        "TIFF JPEG": (RGB8 | LOSSY, {"compression": "jpeg"}), "TIFF WebP": (RGB8, {"compression": "webp"}),
        "TIFF CMYK": ({"channels": 4}, {"photometric": "separated"}),
    }),
    *_kinds(build_jxl, ".jxl", {
        "JPEG XL lossless": (RGB8, {}), "JPEG XL lossless, alpha": ({"channels": 4}, {}), "JPEG XL grey": ({}, {}),
        "JPEG XL 16 bits": (RGB16, {}),
        "JPEG XL lossy": (RGB8 | LOSSY, {"distance": 0.5}),
    }),
    *_kinds(build_avif, ".avif", {
        "AVIF lossless": (RGB8, {}), "AVIF 10 bits": (RGB16, {"bits": 10}), "AVIF 12 bits": (RGB16, {"bits": 12}),
        "AVIF grey": ({}, {}), "AVIF lossy": (RGB8 | LOSSY, {"quality": 90}),
        "AVIF lossy, alpha": ({"channels": 4} | LOSSY, {"quality": 90}),
    }),
    *_kinds(build_bmp, ".bmp", {"BMP grey": ({}, {}), "BMP RGB": (RGB8, {})}),
    *_kinds(build_pnm, ".pnm", {
        "PGM": ({}, {}), "PPM, 12 bits": (RGB16, {"bits": 12}), "PPM, 16 bits": (RGB16, {}),
        "PGM, plain": ({}, {"plain": True}), "PFM": ({"dtype": "float32"}, {}),
    }),
    *_kinds(build_npy, ".npy", {
        "NPY": (RGB8, {}), "NPY big-endian, Fortran order": ({"dtype": "float64"}, {"byteorder": ">", "order": "F"}),
    }),
    *_kinds(build_npz, ".npz", {
        "NPZ": (GREY16, {}), "NPZ compressed, several arrays": (GREY16, {"compressed": True, "several": True}),
    }),
]  # fmt: skip
WRITERS = {
    ".png": "imagecodecs",
    ".jxl": "imagecodecs",
    ".avif": "imagecodecs",
    ".bmp": "Pillow",
    ".jpg": "Pillow",
    ".webp": "Pillow",
    ".tif": "tifffile",
}
"""The library by which mashpix writes: another one has to confirm what it wrote."""
BY_PROGRAMS = {".jxl"}
"""Formats that no other library here reads: programs confirm them."""
ANNOUNCED = {
    "values": "bits|palette",
    "channels": "palette|transparent colour",
    "colour": "palette|transparent colour|compression becomes",
    "compression": "compression becomes",
    "layout": "interlacing|subsampling|palette|compression becomes",
    "alpha": "transparent colour",
    "orientation": "orientation",
    "ICC": "profile",
    "EXIF": "EXIF",
    "resolution": "resolution",
    "text": "text",
    "other": "chunks|not kept|palette",
}
"""The properties of a file, and what a line of warning says of each."""


def changed(image: ImageFile, *, step: int = 1) -> ImageFile:
    """The same picture with other pixels, as denoising makes them: the mean of it and its mirror image.

    Integers are rounded to multiples of `step`, the distance of two levels in a file with few of them.
    """
    before = image.pixels.astype(np.float64)
    mean = (before + before[::-1]) / 2
    after = np.rint(mean / step) * step if image.pixels.dtype.kind in "iu" else mean
    return replace(image, pixels=after.astype(image.pixels.dtype))


def round_trip(source: Path, target: Path, *, step: int = 1) -> tuple[ImageFile, ImageFile, list[str]]:
    """Read a file, write it with other pixels; the picture, the one that is meant, and what is said to be lost."""
    before = read_image(source)
    return before, changed(before, step=step), write_image(target, changed(before))


def verdicts(source: Path, target: Path, lost: list[str]) -> dict[str, str]:
    """For each property "kept", "warned", "LOST" (gone in silence), or "–" where the old file has none."""
    old, new = describe(source), describe(target)
    found = {}
    for name, words in ANNOUNCED.items():
        if old.get(name) in (None, (), {}, "") and new.get(name) in (None, (), {}, ""):
            found[name] = "–"
        elif old.get(name) == new.get(name):
            found[name] = "kept"
        else:
            found[name] = "warned" if any(re.search(words, line) for line in lost) else "LOST"
    return found


def confirmed(
    source: Path, target: Path, before: ImageFile, after: ImageFile, *, tolerance: float, programs: bool = False
) -> list[str]:
    """Readers that see the pixels of the old file as we do; each must see in the new one what was meant.

    Raises `AssertionError` if one of them does not, or there is none but the library that wrote it. Programs are
    started only where that is asked for: it takes a while.
    """
    names = []
    readers = READERS | ({name: read for name, read in PIXELS.items() if name in there()} if programs else {})
    for name, read in readers.items():
        found = _try(read, source)
        if found is None or not _agree(found, before, tolerance):
            continue
        assert _agree(_try(read, target), after, tolerance), f"{name} reads other pixels than were written"
        names.append(name)
    if programs or source.suffix not in BY_PROGRAMS:
        assert set(names) - {WRITERS.get(source.suffix)}, "no second reader"
    return names


def _agree(found: Any, image: ImageFile, tolerance: float) -> bool:
    expected = image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])
    if found is not None and found.ndim == 3 and found.shape != expected.shape:
        found = np.moveaxis(found, 0, -1)  # libtiff returns planes as they are stored
    if found is None or found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if tolerance:
        limits = np.full(expected.shape, tolerance)
        limits[..., -1] *= image.alpha is None  # alpha is never lossy
        return bool((np.abs(found.astype(float) - expected) <= limits).all())
    return bool(np.array_equal(found, expected))


def _try(read: Callable[[Any], Any], path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):
            return read(path if read in PIXELS.values() else _upright(path.read_bytes()))
    except Exception:  # each raises what it likes on what it cannot read
        return None


def _upright(data: bytes) -> bytes:
    """A TIFF without its orientation, by which some readers turn the pixels."""
    if data[:2] not in (b"II", b"MM"):
        return data
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag, upright = file.pages.first.tags.get(274), bytearray(data)
        if tag is not None:
            struct.pack_into(file.byteorder + "H", upright, tag.valueoffset, 1)
    return bytes(upright)


def _opencv(data: bytes) -> Any:
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if data.startswith(b"\x89PNG") and data[25] == GREY_ALPHA:
        return array[..., [0, 3]]
    return array if array.ndim == 2 else array[..., [2, 1, 0, 3][: array.shape[2]]]


def _numpy(data: bytes) -> Any:
    loaded = np.load(io.BytesIO(data), allow_pickle=False)
    array = loaded if isinstance(loaded, np.ndarray) else loaded["picture"]
    return array.astype(array.dtype.newbyteorder("="))


def _imagecodecs(data: bytes) -> Any:
    if data[4:8] == b"ftyp":
        return imagecodecs.avif_decode(data)
    if data[:2] == b"\xff\x0a" or data[4:8] == b"JXL ":
        return imagecodecs.jpegxl_decode(data)
    codec = {b"\x89P": imagecodecs.png_decode, b"\xff\xd8": imagecodecs.jpeg8_decode, b"RI": imagecodecs.webp_decode}
    pixels = codec.get(data[:2], imagecodecs.tiff_decode)(data)
    is_ink = data[:2] == b"\xff\xd8" and pixels.shape[2:] == (4,)
    return 255 - pixels if is_ink else pixels  # an Adobe JPEG stores them upside down


def _tifffile(data: bytes) -> Any:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        array = np.moveaxis(page.asarray(), 0, -1) if page.axes == "SYX" else page.asarray()
        return array.astype(array.dtype.newbyteorder("="))


READERS: dict[str, Callable[[bytes], Any]] = {
    "Pillow": lambda data: np.asarray(Image.open(io.BytesIO(data))),
    "OpenCV": _opencv,
    "imagecodecs": _imagecodecs,
    "tifffile": _tifffile,
    "NumPy": _numpy,
}


def table(kinds: list[Kind] = KINDS, *, programs: bool = True) -> str:
    """The table of what comes back, measured: one row for each kind, with all that it can hold.

    Without programs, which take a second for each kind, the columns hold what the libraries see.
    """
    heads = ["kind", *ANNOUNCED, "pixels confirmed by", "tags confirmed by"]
    rows = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / f"a{kind.suffix}", Path(folder) / f"b{kind.suffix}"
            source.write_bytes(kind.make(Extras()))
            before, after, lost = round_trip(source, target, step=kind.step)
            readers = confirmed(source, target, before, after, tolerance=tolerance_of(kind), programs=programs)
            cells = verdicts(source, target, lost).values()
            tags = same_tags(source, target, lost) if programs else []
        rows.append([kind.name, *cells, ", ".join(readers), ", ".join(tags) or NOBODY])
    return markdown(heads, rows)


def tolerance_of(kind: Kind) -> float:
    """Levels by which a reader may differ on a lossy file."""
    return 12 if kind.is_lossy else 0


if __name__ == "__main__":
    if missing := set(PROGRAMS) - there():
        sys.exit(f"the tables need all of their readers (missing: {', '.join(sorted(missing))})")
    write_part(PROGRAMS_MARK, name_programs())
    write_part(KINDS_MARK, table())
    if sources := instrument_files():
        write_part(FILES_MARK, instrument_table(sources))
