"""The properties of a file beside its pixels, as Pillow (and for NPY and NPZ, NumPy) finds them."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

POINTERS = {273, 279, 324, 325}
"""Tags that say where the pixels of a TIFF lie."""
OF_JPEG = {347, 530, 531, 532}
"""Tags that belong to JPEG compression in a TIFF."""
MODEL = {b"prIv", b"gAMA", b"sBIT", b"bKGD"}


def describe(path: Path) -> dict[str, Any]:
    """Values of the properties that `fidelity.ANNOUNCED` names; those that the file lacks are empty or missing."""
    data = path.read_bytes()
    return {
        **dict.fromkeys((b"BM", b"\0\0", b"P2", b"P5", b"P6", b"Pf"), _other),
        b"\x89P": _png, b"\xff\xd8": _jpeg, b"RI": _webp, b"II": _tiff, b"MM": _tiff, b"\x93N": _npy, b"PK": _npz
    }[data[:2]](data)  # fmt: skip


def _common(image: Any) -> dict[str, Any]:
    """What Pillow knows of PNG, JPEG and WebP alike."""
    exif = image.getexif()
    inner = dict(exif.get_ifd(0x8769))
    orientation = exif.get(0x0112)
    other = {code: value for code, value in exif.items() if code not in (0x0112, 0x8769)}
    return {
        "ICC": image.info.get("icc_profile"),
        "EXIF": {**other, **inner},
        "orientation": orientation,
        "resolution": image.info.get("dpi"),
    }


def _other(data: bytes) -> dict[str, Any]:
    """AVIF, BMP and PNM as Pillow knows them, and JPEG XL, which it does not read, by its boxes."""
    if data[4:8] == b"JXL ":
        boxes, place = {}, 0
        while place < len(data):
            length = int.from_bytes(data[place : place + 4], "big") or len(data) - place
            boxes[data[place + 4 : place + 8]] = data[place + 8 : place + length]
            place += length
        return {"EXIF": boxes.get(b"Exif"), "text": boxes.get(b"xml ")}
    if data[4:8] == b"ftyp" and b"\0\0\0\x0cav1C\x81\x40" in data:  # more bits than Pillow reads
        return {"values": "high"}
    with Image.open(io.BytesIO(data)) as image:
        found = {"channels": image.mode, "compression": image.info.get("compression"), "text": image.info.get("xmp")}
        return _common(image) | found | {"other": data.split(b"\n")[1] if data[:1] == b"P" else None}


def _png(data: bytes) -> dict[str, Any]:
    bits, colour_type, _, _, interlacing = struct.unpack(">5B", data[24:29])
    chunks = dict(png_chunks(data))
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return _common(image) | {
            "values": bits,
            "channels": colour_type,
            "colour": colour_type,
            "alpha": colour_type in (4, 6) or b"tRNS" in chunks,
            "compression": "deflate",
            "layout": interlacing,
            "text": dict(image.text),
            "other": {name: chunks[name] for name in MODEL if name in chunks},
        }


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Names and contents of the chunks of a PNG."""
    position, found = 8, []
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        found.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += length + 12
    return found


def _jpeg(data: bytes) -> dict[str, Any]:
    restart = data.find(b"\xff\xdd\0\4")
    with Image.open(io.BytesIO(data)) as image:
        return _common(image) | {
            "values": image.bits,
            "channels": image.layers,
            "colour": (image.mode, image.info.get("adobe_transform")),
            "compression": [image.quantization[table] for _, _, _, table in image.layer],
            "layout": (
                [layer[1:3] for layer in image.layer],
                image.info.get("progressive"),
                restart > 0 and data[restart : restart + 6],
            ),
            "text": (image.info.get("comment"), image.info.get("xmp")),
            "other": [item for item in image.applist if item[0] == "APP13"],
        }


def _webp(data: bytes) -> dict[str, Any]:
    position, names = 12, {}
    while position < len(data):
        name, length = struct.unpack("<4sI", data[position : position + 8])
        names[name] = data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    with Image.open(io.BytesIO(data)) as image:
        return _common(image) | {
            "values": 8,
            "channels": len(image.mode),
            "colour": image.mode,
            "alpha": "A" in image.mode,
            "compression": "lossless" if b"VP8L" in names else "lossy",
            "text": image.info.get("xmp"),
            "other": names.get(b"prIv"),
        }


def _tiff(data: bytes) -> dict[str, Any]:
    is_big = data[2:4] in (b"+\0", b"\0+")
    header = b"II+\0" + data[4:16] if is_big else data[:8]  # the only mark of a BigTIFF that Pillow knows
    tags = _directory(data, header)
    exif = _directory(data, header, place=tags[34665]) if 34665 in tags else {}
    named = {
        "values": (258, 339),
        "channels": (256, 257, 277),
        "colour": (262, 320),
        "alpha": (338,),
        "compression": (259,),
        "layout": (284, 278, 322, 323, 317, 266),
        "ICC": (34675,),
        "orientation": (274,),
        "resolution": (282, 283, 296),
        "text": (270, 305, 700),
    }
    found: dict[str, Any] = {
        name: {code: tags[code] for code in codes if code in tags} for name, codes in named.items()
    }
    found["layout"] = (data[:4], found["layout"])
    found["EXIF"] = exif
    known = POINTERS | OF_JPEG | {34665} | {code for codes in named.values() for code in codes}
    return found | {"other": {code: value for code, value in tags.items() if code not in known}}


def _directory(data: bytes, header: bytes, place: int | None = None) -> dict[int, Any]:
    """The first directory of a TIFF, or the one at a place, read by Pillow, which needs no picture for that."""
    directory = TiffImagePlugin.ImageFileDirectory_v2(header, prefix=data[:2])
    file = io.BytesIO(data)
    file.seek(directory.next if place is None else place)
    directory.load(file)
    return dict(directory)


def _npy(data: bytes) -> dict[str, Any]:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    return {
        "values": array.dtype.str,
        "channels": array.shape,
        "layout": (data[:8], array.flags.f_contiguous, array.flags.c_contiguous),
    }


def _npz(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
        kinds = [(item.filename, item.compress_type, item.date_time) for item in archive.infolist()]
        picture = _npy(contents.pop("picture.npy"))
        return picture | {"compression": kinds, "text": archive.comment, "other": contents}
