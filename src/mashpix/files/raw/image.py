"""Camera raw: developed by LibRaw to 16 bits of sRGB, and written as TIFF with the camera's EXIF.

Denoising follows development, so the noise has been correlated by demosaicing, which is what MASH is for.
"""

from contextlib import closing
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mashpix.errors import FileError
from mashpix.extras import need
from mashpix.files.image_file import ImageFile
from mashpix.files.reader_process import Child
from mashpix.files.tiff import image as tiff
from mashpix.files.tiff.directories import Directory, find_directories, find_layout_of, read_directory
from mashpix.files.tiff.template import SUB_IMAGES, TiffTemplate

MAGICS = (
    b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"II\x1a\0\0\0HEAPCCDR", b"FUJIFILMCCD-RAW", b"\0\0\0\x18ftypcrx ",
    b"\0MRM", b"FOVb",
)  # fmt: skip
"""First bytes of ORF, RW2, CRW, RAF, CR3, MRW and X3F."""
OF_CAMERA = {270, 271, 272, 305, 306, 315, 33432}
"""Tags of the first directory that stay valid: description, maker, model, software, date, artist, copyright."""
XMP, MAKER, DNG_VERSION = 700, 271, 50706
PLACES = {273: 279, 324: 325}
"""Tags with the places of strips and tiles, and those with their lengths."""
ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
"""EXIF orientation for each rotation that LibRaw reports."""
ROWS = 64
"""Rows of pixels in a strip of the new file."""
DATE_OF_PROFILE = slice(24, 36)
"""Place of the creation date in an ICC profile."""


def read(data: bytes, *, max_pixels: int) -> ImageFile:
    """Develop a camera raw to RGB (grey for a monochrome sensor), without applying the stored orientation.

    A TIFF without a camera's name in it is read like any TIFF.
    """
    first = _first_directory(data)
    if data.startswith(tiff.MAGICS) and not first.keys() & {MAKER, DNG_VERSION}:
        return tiff.read(data, max_pixels=max_pixels)  # whatever its name says
    need("rawpy", what="camera raw", extra="raw")
    if DNG_VERSION in first:
        _check_places(data, first)
    with closing(Child("mashpix.files.raw.decoder", what="camera raw")) as child:
        found, array = child.ask({"max_pixels": max_pixels}, data)
    pixels = array[..., 0] if array.shape[2] == 1 else array
    notes = ["camera raw: developed to 16 bits of sRGB"]
    if pixels.ndim == 2:
        notes.append("a monochrome sensor: grey with the tone curve of sRGB, without a profile")
    elif not found["has_balance"]:
        notes.append("holds no white balance of its camera: daylight is used")
    template = _make_template(data, first, pixels, ORIENTATIONS.get(found["flip"], 1))
    return ImageFile(pixels, "tiff", template=template, notes=tuple(notes), is_rgb=pixels.ndim == 3)


def _make_template(data: bytes, first: Directory, pixels: NDArray[Any], orientation: int) -> TiffTemplate:
    """Make the template of the new TIFF: what it reuses from a raw file, and what it cannot keep."""
    directories, lost = find_directories(data)
    lost += ["XMP"] if XMP in first else []
    byteorder: Literal["<", ">"] = ">" if data.startswith(b"MM") else "<"
    layout = {"byteorder": byteorder, "compression": "adobe_deflate", "predictor": 2, "rowsperstrip": ROWS}
    tags: list[tuple[Any, ...]] = [(274, 3, 1, orientation, True)]
    tags += [(code, tag.kind, tag.length, tag.value, True) for code, tag in first.items() if code in OF_CAMERA]
    options: dict[str, Any] = {"photometric": "minisblack", "extratags": tags}
    if pixels.ndim == 3:
        options |= {"photometric": "rgb", "iccprofile": srgb_profile()}
    return TiffTemplate(
        shape=pixels.shape,
        dtype=pixels.dtype,
        byteorder=byteorder,
        layout=layout,
        tags=options,
        directories=directories,
        lost=(f"not kept in the TIFF: {', '.join(lost)}",) if lost else (),
    )


def srgb_profile() -> bytes:
    """Return an ICC profile of sRGB that has the same bytes at any time."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[DATE_OF_PROFILE] = np.array([2000, 1, 1, 0, 0, 0], ">u2").tobytes()
    return bytes(profile)


def _first_directory(data: bytes) -> Directory:
    """Read the tags of the first directory; none if a file is not structured as a TIFF."""
    try:
        layout = find_layout_of(data)
        return read_directory(data, layout, layout.first)
    except FileError:
        return {}


def _check_places(data: bytes, first: Directory) -> None:
    """Refuse a DNG whose strips or tiles end beyond the file: LibRaw forgives a few missing bytes."""
    layout = find_layout_of(data)
    places = _numbers(first, SUB_IMAGES, layout.order)
    for directory in (first, *(read_directory(data, layout, place) for place in places)):
        for places_of, lengths_of in PLACES.items():
            starts, lengths = (_numbers(directory, code, layout.order) for code in (places_of, lengths_of))
            if any(start + length > len(data) for start, length in zip(starts, lengths, strict=False)):
                raise FileError(f"truncated or damaged DNG (its pixels end beyond its {len(data)} bytes)")


def _numbers(directory: Directory, code: int, order: str) -> list[int]:
    """Return the values of a tag of integers; empty if the tag is missing."""
    tag = directory.get(code)
    letters = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8"}
    if tag is None or tag.kind not in letters:
        return []
    numbers: list[int] = np.frombuffer(tag.value, order + letters[tag.kind]).tolist()
    return numbers
