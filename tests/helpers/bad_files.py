"""Bad files and the message each of them gets, made as bytes: for the laws of reading and for the zoo of faults."""

import io
import struct
import zipfile
import zlib

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from file_kinds import header, png

RGB = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
GREY = RGB[..., 0]


def saved(array, kind, **options):
    file = io.BytesIO()
    if kind in ("npy", "npz"):
        {"npy": np.save, "npz": np.savez}[kind](file, array)
    elif kind == "tiff-pillow":
        array.save(file, "TIFF")
    elif kind == "tiff":
        tifffile.imwrite(file, array, **({"metadata": None} | options))
    else:
        (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(file, kind, **options)
    return file.getvalue()


def tiff_directory(*entries, after=0):
    """A little-endian TIFF with one directory; `after` is where the next one should lie."""
    data = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    for tag, kind, count, value in entries:
        data += struct.pack("<HHII", tag, kind, count, value)
    return data + struct.pack("<I", after) + b"\0" * 64


def many_directories(count):
    """A chain of the same little directory."""
    entries = b"".join(struct.pack("<HHII", *entry) for entry in PLAIN)
    length = 2 + len(entries) + 4
    places = [8 + length * index for index in range(1, count)] + [0]
    return b"II*\0\x08\0\0\0" + b"".join(
        struct.pack("<H", len(PLAIN)) + entries + struct.pack("<I", place) for place in places
    )


PLAIN = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 150), (277, 3, 1, 1)]
ENDING = [(278, 4, 1, 8), (279, 4, 1, 64)]
NOWHERE = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 0)]
HUGE = [(256, 4, 1, 2**31), (257, 4, 1, 2**31), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 150), (279, 4, 1, 64)]
TILED = [
    (256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1),
    (322, 4, 1, 2**30), (323, 4, 1, 2**30), (324, 4, 1, 150), (325, 4, 1, 64),
]  # fmt: skip
DEFLATED = saved(GREY, "tiff", compression="adobe_deflate")


def ome_xml(planes, *where):
    """OME-XML of a stack of 40 x 24 pixels along Z; `where` says for each two planes which file they are in, if any."""
    names = (f'<UUID FileName="{name}">urn:uuid:1</UUID>' if name else "" for name in where)
    data = "".join(
        f'<TiffData FirstZ="{2 * number}" IFD="0" PlaneCount="2">{name}</TiffData>' for number, name in enumerate(names)
    )
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="40" SizeY="24" SizeC="1" SizeT="1" '
        f'SizeZ="{planes}">{data}</Pixels></Image></OME>'
    )


def npy_header(text):
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text


def riff(*chunks, declared=None):
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(content)) + content for name, content in chunks)
    return b"RIFF" + struct.pack("<I", len(body) if declared is None else declared) + body


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name + ".npy", content)
    return file.getvalue()


def lossless_header(width, height):
    return b"\x2f" + struct.pack("<I", width - 1 | (height - 1) << 14) + b"\0" * 3


def lying(data):
    """An archive whose directory says that its member unpacks to 2^31 bytes."""
    place = data.rindex(b"PK\1\2") + 24
    return data[:place] + struct.pack("<I", 2**31) + data[place + 4 :]


HUGE_SIZE = int("1" * 32 + "000" + "1" * 32 + "0", 2)
"""Two sides of 2^30, as a JPEG XL declares them."""
JXL = bytes(imagecodecs.jpegxl_encode(RGB, lossless=True, usecontainer=False))
AVIF = bytes(imagecodecs.avif_encode(RGB, level=100, speed=10))
LINE = saved(np.zeros(9), "npy")
VAST = npy_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1048576, 1048576), }\n")
WEBP = saved(RGB, "webp", lossless=True)
CANVAS = struct.pack("<I", 0) + b"\xff\xff\0" * 2
LOSSLESS_JPEG = saved(RGB, "jpeg").replace(b"\xff\xc0", b"\xff\xc3")
BAD = {
    "empty": (b"", "an empty file"),
    "one byte": (b"x", "no known image format"),
    "text": (b"hello, this is text\n", "no known image format"),
    "HTML": (b"<!doctype html><html></html>", "no known image format"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no known image format"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no known image format"),
    "PDF": (b"%PDF-1.7\n", "no known image format"),
    "GIF cut": (saved(GREY, "gif")[:-9], "GIF"),
    "GIF animated": (
        saved(Image.fromarray(GREY), "gif", save_all=True, append_images=[Image.fromarray(GREY[::-1])]),
        "an animation of 2 frames",
    ),
    "BMP cut": (saved(RGB, "bmp")[:-1], "truncated BMP"),
    "BMP of 2^60": (saved(RGB, "bmp")[:18] + b"\xff\xff\xff\x7f" * 2 + saved(RGB, "bmp")[26:], "too large"),
    "BM of text": (b"BM, a text that is no picture but long enough", "not BMP"),
    "PGM cut": (b"P5 16 12 255\n" + GREY.tobytes()[:-1], "truncated PNM"),
    "PGM of 2^60": (b"P5 999999999 999999999 255\n", "too large"),
    "PGM, plain and cut": (b"P2 16 12 255\n1 2 3", "truncated PNM"),
    "PBM": (b"P4 16 12\n" + bytes(24), "1 bit per pixel"),
    "JPEG XL cut": (JXL[:-30], "JPEG XL|JXL"),
    "JPEG XL header cut": (JXL[:3], "truncated JPEG XL"),
    "JPEG XL of 2^60": (b"\xff\x0a" + (HUGE_SIZE | 1 << 68).to_bytes(9, "little"), "too large"),
    "AVIF cut": (AVIF[:-30], "truncated"),
    "AVIF of 2^60": (AVIF.replace(struct.pack(">II", 16, 12), b"\x7f\xff\xff\xff" * 2), "too large"),
    "AVIF without an image": (AVIF[:32], "no image in it|truncated"),
    "PNG cut": (saved(RGB, "png")[:-20], "truncated PNG"),
    "PNG bit flipped": (saved(RGB, "png").replace(b"IDAT", b"IDAU"), "wrong checksum"),
    "PNG bomb": (png(header(2**20, 2**20), (b"IDAT", b"x"), (b"IEND", b"")), "too large"),
    "PNG too short": (png(header(8000, 8000), (b"IDAT", b"xx"), (b"IEND", b"")), "cannot be in 2 bytes"),
    "PNG bad deflate": (png(header(8, 8), (b"IDAT", b"nonsense"), (b"IEND", b"")), "damaged PNG"),
    "PNG without header": (png((b"IEND", b"")), "no header"),
    "PNG of no pixels": (png(header(5, 0), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")), "PNG"),
    "PNG 1 bit": (saved(Image.fromarray(GREY > 99), "png"), "1 bit per pixel; convert"),
    "PNG animated": (
        saved(Image.fromarray(GREY), "png", save_all=True, append_images=[Image.fromarray(GREY[::-1])]),
        "an animation",
    ),
    "JPEG cut": (saved(RGB, "jpeg")[:-100], "damaged JPEG"),
    "JPEG header cut": (saved(RGB, "jpeg")[:100], "truncated or damaged JPEG"),
    "JPEG bomb": (saved(GREY, "jpeg").replace(b"\0\x0c\0\x10", b"\x4e\x20\x4e\x20"), "20000 pixels cannot be"),
    "JPEG lossless": (LOSSLESS_JPEG, "a rare kind of JPEG"),
    "JPEG 12 bits": (saved(GREY, "jpeg").replace(b"\x08\0\x0c\0\x10", b"\x0c\0\x0c\0\x10"), "a JPEG with 12 bits"),
    "JPEG of two frames": (saved(GREY, "jpeg").replace(b"\xff\xc4", b"\xff\xc0", 1), "it holds 2 images"),
    "RIFF of sound": (b"RIFF\x24\0\0\0WAVEfmt ", "no known image format"),
    "WebP cut": (WEBP[:-1], "truncated WebP"),
    "WebP chunk leaves the file": (riff((b"VP8L", WEBP[20:]))[:16] + b"\xff\xff\xff\x7f" + WEBP[20:], "WebP"),
    "WebP without a picture": (riff((b"EXIF", b"xx")), "it holds 0 images"),
    "WebP of two pictures": (riff((b"VP8L", WEBP[20:]), (b"VP8L", WEBP[20:])), "it holds 2 images"),
    "WebP without a header": (riff((b"VP8 ", b"nonsense")), "no image header"),
    "WebP bad data": (riff((b"VP8L", lossless_header(16, 12) + b"\xff" * 99)), "damaged WEBP"),
    "WebP on a large canvas": (riff((b"VP8X", CANVAS), (b"VP8L", WEBP[20:])), "canvas of another size"),
    "WebP animated": (
        saved(Image.fromarray(RGB), "webp", save_all=True, append_images=[Image.fromarray(RGB[::-1])]),
        "an animation",
    ),
    "TIFF cut": (saved(GREY, "tiff")[:-1], "truncated or damaged TIFF"),
    "TIFF deflate damaged": (DEFLATED[:-30] + bytes(30), "damaged TIFF"),
    "TIFF header only": (b"II*\0", "truncated or damaged TIFF"),
    "TIFF without pictures": (b"II*\0\0\0\0\0", "holds no image"),
    "TIFF in a circle": (tiff_directory(*PLAIN, after=8), "in a circle"),
    "TIFF chain leaves the file": (tiff_directory(*PLAIN, after=2**31), "beyond its"),
    "TIFF of 2^62 pixels": (tiff_directory(*HUGE), "too large"),
    "TIFF with a tile of 2^60": (tiff_directory(*TILED), "too large"),
    "TIFF of 20,000 directories": (many_directories(20_000), "a stack of 20000 planes"),
    "TIFF with sub-directories in a circle": (tiff_directory(*PLAIN[:4], (34665, 4, 1, 8)), "TIFF"),
    "TIFF YCbCr": (saved(Image.fromarray(RGB).convert("YCbCr"), "tiff-pillow"), "YCBCR without JPEG"),
    "TIFF without its strip": (tiff_directory(*NOWHERE, (277, 3, 1, 1), *ENDING), "truncated or damaged TIFF"),
    "TIFF with a list for its width": (tiff_directory((256, 4, 8, 8), *PLAIN[1:], *ENDING), "not a single number"),
    "TIFF stack of MetaMorph": (saved(GREY, "tiff", extratags=[(33629, 5, 3, (1, 1) * 3, True)]), "a stack of 3"),
    "TIFF stack": (saved(np.stack([GREY] * 3), "tiff", photometric="minisblack"), "a stack of 3 planes"),
    "ImageJ stack": (saved(np.stack([GREY] * 4), "tiff", imagej=True, metadata={"axes": "ZYX"}), "a stack of 4"),
    "TIFF 1 bit": (saved(GREY > 99, "tiff"), "1 bit per pixel; convert"),
    "TIFF complex": (saved(GREY.astype(np.complex64), "tiff"), "denoised"),
    "TIFF CIELAB": (saved(RGB, "tiff", photometric="cielab"), "neither grey nor RGB"),
    "NPY cut": (saved(GREY, "npy")[:-1], "truncated or damaged"),
    "NPY with a pickle": (saved(np.array([[{}]]), "npy"), "holds no numbers"),
    "NPY complex": (saved(GREY.astype(complex), "npy"), "holds no numbers"),
    "NPY bool": (saved(GREY > 99, "npy"), "holds no numbers"),
    "NPY stack": (saved(np.zeros((5, 9, 9)), "npy"), "not a single image"),
    "NPY line": (saved(np.zeros(9), "npy"), "not a single image"),
    "NPY of 2^40": (
        VAST, "too large",
    ),
    "NPZ cut": (saved(GREY, "npz")[:-30], "damaged NPZ"),
    "NPZ without arrays": (archive(), "no known image format"),
    "NPZ of no pictures": (archive(a=LINE, b=LINE), "no image among its 2 members"),
    "NPZ with a pickle": (archive(a=saved(np.array([[{}]]), "npy")), "holds no numbers"),
    "NPZ bomb": (lying(archive(a=bytes(2**20))), "damaged NPY"),
    "NPZ of 2^40": (archive(a=VAST), "too large"),
    "NPZ of many members": (archive(**{f"a{index}": b"" for index in range(1100)}), "too many members"),
    "NPZ bit flipped": (saved(GREY, "npz").replace(GREY.tobytes()[:8], b"modified"), "damaged NPZ"),
    "NPY nonsense header": (npy_header(b"__import__('os')\n"), "damaged NPY"),
}  # fmt: skip
