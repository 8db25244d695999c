"""AVIF as libheif, phones and cameras lay it out: read right and written again, or refused in one line."""

import io
import struct

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from fidelity import changed
from mashpix import FileError
from mashpix.files import read_image, write_image
from mashpix.files.iso_boxes import read_items

ROWS, COLUMNS = np.mgrid[:128, :192]
RGB = np.dstack([ROWS * 1.9, COLUMNS, (ROWS + COLUMNS) // 2]).astype(np.uint8)


def box(name, *parts, full=None):
    """A box; with version and flags if it is a full one."""
    body = b"".join([b"" if full is None else struct.pack(">I", full), *parts])
    return struct.pack(">I4s", 8 + len(body), name) + body


def build_avif(tiles, columns, further=b""):
    """A lossless AVIF of tiles, or of one image; as in files of libheif, each place is relative to a base."""
    coded = [bytes(imagecodecs.avif_encode(tile, level=100, speed=10)) for tile in tiles]
    found = [read_items(data, what="AVIF")[1][1] for data in coded]
    codes = [data[item.start : item.end] for data, item in zip(coded, found, strict=True)]
    av1c = next(coded[0][part.place : part.end] for part in found[0].properties if part.name == b"av1C")
    rows, (height, width) = len(tiles) // columns, tiles[0].shape[:2]
    whole, count = (columns * width, rows * height), struct.pack(">H", len(tiles) + 1)
    uses = bytes([3, 2, 0x83, 4] if further else [2, 2, 0x83])
    items = [(number, b"av01", uses, code) for number, code in enumerate(codes, start=1)]
    items.append((len(tiles) + 1, b"grid", bytes([1, 1]), struct.pack(">4B2H", 0, 0, rows - 1, columns - 1, *whole)))
    of_tiles = struct.pack(f">HH{len(tiles)}H", len(tiles) + 1, len(tiles), *range(1, len(tiles) + 1))
    sizes = [box(b"ispe", struct.pack(">II", *size), full=0) for size in (whole, (width, height))]
    known = box(b"ipco", *sizes, av1c, further)
    used = [struct.pack(">H", number) + uses for number, _, uses, _ in items]
    infos = [box(b"infe", struct.pack(">HH4sx", number, 0, kind), full=2 << 24) for number, kind, *_ in items]

    def meta(place):
        places = []
        for number, *_, body in items:
            places.append(struct.pack(">HHIHII", number, 0, place, 1, 0, len(body)))
            place += len(body)
        return box(
            b"meta",
            box(b"hdlr", struct.pack(">I4s13x", 0, b"pict"), full=0),
            box(b"pitm", count if len(tiles) > 1 else b"\0\1", full=0),
            box(b"iloc", b"\x44\x40", count, *places, full=0),
            box(b"iinf", count, *infos, full=0),
            box(b"iprp", known, box(b"ipma", b"\0\0", count, *used, full=0)),
            box(b"iref", box(b"dimg", of_tiles), full=0),
            full=0,
        )

    ftyp = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    return ftyp + meta(len(ftyp) + len(meta(0)) + 8) + box(b"mdat", *(body for *_, body in items))


def test_a_grid_of_tiles_is_refused(tmp_path):
    data = build_avif([RGB[:64, :96], RGB[:64, 96:], RGB[64:, :96], RGB[64:, 96:]], 2)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), RGB)
    (tmp_path / "a.avif").write_bytes(data)
    with pytest.raises(FileError, match=r"an AVIF whose image is in several pieces \(convert it first\)"):
        read_image(tmp_path / "a.avif")


def test_places_relative_to_a_base_are_read_and_written(tmp_path):
    (tmp_path / "a.avif").write_bytes(build_avif([RGB], 1))
    image = read_image(tmp_path / "a.avif")
    np.testing.assert_array_equal(image.pixels, RGB)
    assert write_image(tmp_path / "b.avif", changed(image)) == []
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "b.avif")), changed(image).pixels, atol=3)


def test_layers_are_refused(tmp_path):
    (tmp_path / "a.avif").write_bytes(build_avif([RGB], 1, box(b"a1op", b"\0")))
    with pytest.raises(FileError, match="in several layers"):
        read_image(tmp_path / "a.avif")


@pytest.mark.parametrize(("bits", "sampling"), [(10, "420"), (12, "422"), (10, "400")])
def test_lossy_code_of_more_bits_is_read_and_written(bits, sampling, tmp_path):
    pixels = RGB.astype(np.uint16) << (bits - 8)
    pixels = pixels[..., 0].copy() if sampling == "400" else pixels
    options = {"primaries": 9, "transfer": 16, "matrix": 9} if sampling == "420" else {}
    data = imagecodecs.avif_encode(pixels, level=90, bitspersample=bits, pixelformat=sampling, speed=10, **options)
    (tmp_path / "a.avif").write_bytes(data)
    image = read_image(tmp_path / "a.avif")
    assert write_image(tmp_path / "b.avif", changed(image)) == []
    for name, meant, tolerance in (("a", image, 0), ("b", changed(image), 2 ** (bits - 7))):
        seen = cv2.imread(tmp_path / f"{name}.avif", cv2.IMREAD_UNCHANGED)
        seen = seen if seen.ndim == 2 else seen[..., ::-1]
        assert seen.dtype == np.uint16
        np.testing.assert_allclose(seen, meant.pixels, atol=tolerance)
    assert read_image(tmp_path / "b.avif").template.bits == bits
