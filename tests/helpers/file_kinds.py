"""Kinds of files for the laws of fidelity: each is a picture and all that its format can hold beside it, as bytes."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import Image, ImageCms

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
UNUSED = 34666
"""A tag that stands in for that of EXIF, 34665, which tifffile does not write."""
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
"""First row, first column, step of the rows, step of the columns of each pass (PNG specification, 8.2)."""


@dataclass(frozen=True)
class Extras:
    """What lies beside the pixels."""

    icc: bool = True
    exif: bool = True
    orientation: int | None = 6
    resolution: bool = True
    text: bool = True
    other: bool = True

    def exif_block(self) -> bytes:
        """A little TIFF, as PNG and WebP hold it; empty if there is nothing to say."""
        exif = Image.Exif()
        if self.orientation is not None:
            exif[0x0112] = self.orientation
        if self.exif:
            exif[0x010F] = "Acme"
            exif.get_ifd(0x8769)[0x829A] = 0.01
        return exif.tobytes().removeprefix(b"Exif\0\0") if len(exif) else b""


@dataclass(frozen=True)
class Kind:
    """One kind of file: how it is called in the table, and how it is made of a picture."""

    name: str
    suffix: str
    build: Callable[..., bytes]
    dtype: str = "uint8"
    channels: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    is_lossy: bool = False

    @property
    def step(self) -> int:
        """Distance of two grey levels once they are stretched to 8 bits."""
        return {2: 85, 4: 17}.get(self.options.get("bits", 8), 1)

    def make(self, extras: Extras, *, height: int = 23, width: int = 37, seed: int = 0) -> bytes:
        """A file of this kind; the last of two or four channels is alpha."""
        return self.build(picture(self, height=height, width=width, seed=seed), extras, **self.options)


def picture(kind: Kind, *, height: int, width: int, seed: int) -> Any:
    """A ramp with a little noise over the whole range, so that lossy compression has something to keep."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    phases = rng.uniform(0.2, 0.6, kind.channels)
    values = (rows[..., None] / height + columns[..., None] / width) * phases + 0.1
    values += rng.uniform(-0.05, 0.05, values.shape) * (0.1 if kind.is_lossy else 1)
    values = np.clip(values if kind.channels > 1 else values[..., 0], 0, 1)
    dtype = np.dtype(kind.dtype)
    if dtype.kind == "f":
        return (values * 100 - 20).astype(dtype)
    limits = np.iinfo(dtype)
    bits = kind.options.get("bits", 8 * dtype.itemsize)
    low, high = (limits.min, limits.max) if bits == 8 * dtype.itemsize else (0, 2**bits - 1)
    return (low + values * (float(high) - low) * 0.99).astype(dtype)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks."""
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data


def header(height: int, width: int, *, bits: int = 8, colour_type: int = 0, interlaced: bool = False) -> tuple:
    """The first chunk of a PNG."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)


def rows(array: Any, bits: int = 0) -> bytes:
    """Filter byte and samples of each row, in packed bits where they are fewer than 8."""
    if 0 < bits < 8:
        unpacked = np.unpackbits(array[..., None], axis=-1)[..., 8 - bits :]
        array = np.packbits(unpacked.reshape(len(array), -1), axis=-1)
    return b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in array)


def build_png(
    array: Any, extras: Extras, *, bits: int = 0, interlaced: bool = False, palette: bool = False, key: bool = False
) -> bytes:
    """A PNG by hand: with a palette of 256 colours, a transparent colour, Adam7, as asked."""
    height, width = array.shape[:2]
    channels = 1 if array.ndim == 2 else array.shape[2]
    colour_type = 3 if palette else {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    bits = bits or 8 * array.itemsize
    steps = ADAM7 if interlaced else [(0, 0, 1, 1)]
    passes = [array[top::down, left::right] for top, left, down, right in steps]
    chunks = [header(height, width, bits=bits, colour_type=colour_type, interlaced=interlaced)]
    if extras.icc and colour_type in (2, 3, 6):
        chunks.append((b"iCCP", b"icc\0\0" + zlib.compress(ICC)))
    if extras.other:
        colour = b"\0" if palette else b"\0\1" * (3 if channels > 2 else 1)
        significant = bytes([min(bits, 8)]) * (3 if palette else channels)
        chunks += [(b"gAMA", struct.pack(">I", 45455)), (b"sBIT", significant)]
        chunks += [(b"prIv", b"private")] + ([] if palette else [(b"bKGD", colour)])
    if palette:
        chunks.append((b"PLTE", np.random.default_rng(1).integers(0, 256, 768).astype(np.uint8).tobytes()))
    if key:
        chunks.append((b"tRNS", np.atleast_1d(array[0, 0]).astype(">u2").tobytes()))
    if extras.resolution:
        chunks.append((b"pHYs", struct.pack(">IIB", 11811, 7874, 1)))
    if extras.text:
        chunks += [(b"tEXt", b"Title\0cells"), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)]
    if block := extras.exif_block():
        chunks.append((b"eXIf", block))
    packed = zlib.compress(b"".join(rows(part, bits) for part in passes if part.size))
    return png(*chunks, (b"IDAT", packed), (b"IEND", b""))


def build_jpeg(array: Any, extras: Extras, *, sampling: str = "", **options: Any) -> bytes:
    """A JPEG of Pillow's, of inks if it has four channels, or one with an unusual subsampling of imagecodecs'."""
    if sampling:
        return bytes(imagecodecs.jpeg_encode(array, level=90, subsampling=sampling))
    file, options = io.BytesIO(), {"quality": 92, "subsampling": 0} | options
    if extras.icc:
        options["icc_profile"] = ICC * 150  # more than one segment holds
    if extras.resolution:
        options["dpi"] = 300, 200
    if extras.text:
        options |= {"comment": b"cells", "xmp": XMP}
    if block := extras.exif_block():
        options["exif"] = b"Exif\0\0" + block
    if extras.other:
        options["extra"] = b"\xff\xed" + struct.pack(">H", 10) + b"private\0"
    image = Image.fromarray(array)
    if image.mode == "RGBA":
        image = Image.frombytes("CMYK", image.size, array.tobytes())
    image.save(file, "JPEG", **options)
    return file.getvalue()


def build_webp(array: Any, extras: Extras, **options: Any) -> bytes:
    """A WebP of Pillow's, with a chunk of our own behind it."""
    file = io.BytesIO()
    options |= {"icc_profile": ICC if extras.icc else b"", "exif": extras.exif_block()}
    options["xmp"] = XMP if extras.text else b""
    Image.fromarray(array).save(file, "WEBP", exact=True, **options)
    data = file.getvalue()
    if extras.other and data[12:16] == b"VP8X":
        data += b"prIv" + struct.pack("<I", 7) + b"private\0"
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def build_tiff(
    array: Any, extras: Extras, *, bits: int = 0, colours: Any = None, planar: bool = False, **options: Any
) -> bytes:
    """A TIFF of tifffile's, with an EXIF directory by hand at its end."""
    has_alpha = array.ndim == 3 and array.shape[2] in (2, 4) and options.get("photometric") != "separated"
    options = {"photometric": "rgb" if array.ndim == 3 and array.shape[2] in (3, 4) else "minisblack"} | options
    if has_alpha:
        options.setdefault("extrasamples", ["unassalpha"])
    if array.ndim == 3:
        options["planarconfig"] = "separate" if planar else "contig"
        array = np.moveaxis(array, -1, 0) if planar else array
    tags = [(65000, 2, None, "private", True)] if extras.other else []
    tags += [(274, 3, 1, extras.orientation, True)] if extras.orientation else []
    tags += [(UNUSED, 16 if options.get("bigtiff") else 4, 1, 0, True)] if extras.exif else []
    if bits:
        options["bitspersample"] = bits
    if extras.icc:
        options["iccprofile"] = ICC
    if extras.resolution:
        options |= {"resolution": (300, 200), "resolutionunit": 3}
    if extras.text:
        options |= {"description": "cells", "software": "scope"}
        tags.append((700, 1, len(XMP), XMP, True))
    file = io.BytesIO()
    tifffile.imwrite(file, array, metadata=None, extratags=tags, colormap=colours, **options)
    return with_exif(file.getvalue()) if extras.exif else file.getvalue()


def with_exif(data: bytes) -> bytes:
    """The file with an EXIF directory (exposure time 1/100 s) at its end, where its tag 34665 leads."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        order, is_big, entry = file.byteorder, file.is_bigtiff, file.pages.first.tags[UNUSED].offset
    data += b"\0" * (-len(data) % 16)
    place, fraction = len(data), len(data) + 64
    if is_big:
        directory = struct.pack(f"{order}QHHQ2LQ", 1, 0x829A, 5, 1, 1, 100, 0)
    else:
        directory = struct.pack(f"{order}HHHLLL", 1, 0x829A, 5, 1, fraction, 0)
    changed = bytearray(data + directory.ljust(64, b"\0") + struct.pack(f"{order}2L", 1, 100))
    struct.pack_into(order + "H", changed, entry, 34665)
    struct.pack_into(order + ("Q" if is_big else "L"), changed, entry + (12 if is_big else 8), place)
    return bytes(changed)


def build_jxl(array: Any, extras: Extras, *, bits: int = 0, distance: float | None = None) -> bytes:
    """A JPEG XL of imagecodecs', with boxes of EXIF and XMP by hand."""
    how = {"lossless": True} if distance is None else {"distance": distance}
    data = imagecodecs.jpegxl_encode(array, bitspersample=bits or 8 * array.itemsize, usecontainer=True, **how)
    boxes = []
    if block := extras.exif_block():
        boxes.append((b"Exif", b"\0\0\0\0" + block))
    if extras.text:
        boxes.append((b"xml ", XMP))
    return bytes(data) + b"".join(struct.pack(">I4s", 8 + len(body), name) + body for name, body in boxes)


def build_avif(array: Any, extras: Extras, *, bits: int = 0, quality: int = 0) -> bytes:
    """An AVIF of imagecodecs', or where it is lossy of Pillow's, with profile, EXIF and XMP."""
    if not quality:
        return bytes(imagecodecs.avif_encode(array, level=100, bitspersample=bits or 8, speed=10))
    file, options = io.BytesIO(), {"quality": quality, "subsampling": "4:4:4", "speed": 10}
    options |= {"icc_profile": ICC if extras.icc else b"", "exif": extras.exif_block()}
    options["xmp"] = XMP if extras.text else b""
    Image.fromarray(array).save(file, "AVIF", **options)
    return file.getvalue()


def build_heic(*images: Any, **metadata: Any) -> bytes:
    """A HEIC of libheif's of RGB images, the first of which is the one that is shown."""
    encoded, heic = io.BytesIO(), pillow_heif.HeifFile()
    for array in images:
        heic.add_frombytes("RGB", array.shape[1::-1], array.tobytes())
    heic.save(encoded, quality=95, primary_index=0, **metadata)
    return encoded.getvalue()


def build_bmp(array: Any, extras: Extras) -> bytes:
    """A BMP of Pillow's."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "BMP", **({"dpi": (300, 200)} if extras.resolution else {}))
    return file.getvalue()


def build_pnm(array: Any, extras: Extras, *, bits: int = 0, plain: bool = False) -> bytes:
    """A PGM, PPM or PFM by hand."""
    height, width = array.shape[:2]
    comment = b"# cells\n" if extras.text and array.dtype.kind != "f" else b""
    if array.dtype.kind == "f":
        return b"Pf\n%d %d\n-1.0\n" % (width, height) + array[::-1].astype("<f4").tobytes()
    magic = b"P2" if plain else b"P5" if array.ndim == 2 else b"P6"
    head = magic + b"\n" + comment + b"%d %d\n%d\n" % (width, height, 2 ** (bits or 8 * array.itemsize) - 1)
    return head + (
        b" ".join(b"%d" % value for value in array.flat)
        if plain
        else array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def build_npy(array: Any, extras: Extras, *, order: str = "C", byteorder: str = "=") -> bytes:
    """An NPY of NumPy's."""
    file = io.BytesIO()
    np.save(file, np.asarray(array.astype(array.dtype.newbyteorder(byteorder)), order=order))
    return file.getvalue()


def build_npz(array: Any, extras: Extras, *, compressed: bool = False, several: bool = False) -> bytes:
    """An NPZ of NumPy's; with several arrays the picture is the second."""
    file = io.BytesIO()
    others = {"scale": np.arange(7.0)}, {"mask": array > 99, "later": array[::2]}
    arrays = others[0] | {"picture": array} | others[1] if several else {"picture": array}
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    if extras.text:
        with zipfile.ZipFile(file, "a") as archive:
            archive.comment = b"cells"
    return file.getvalue()
