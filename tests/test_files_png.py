"""Laws of PNG: interlacing and transparent colours are read, chunks are carried bit for bit, others are left."""

import io
import struct
import zlib
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from file_kinds import ADAM7, header, png, rows
from file_properties import png_chunks
from mashpix import FileError
from mashpix.files import read_image, write_image


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_interlaced_files_are_read(dtype, channels, colour_type, rng, tmp_path):
    """Adam7 is written by hand, since no encoder here writes it."""
    array = rng.integers(0, np.iinfo(dtype).max, (13, 11, channels)).astype(dtype)
    passes = [array[top::down, left::right] for top, left, down, right in ADAM7]
    packed = zlib.compress(b"".join(rows(part) for part in passes if part.size))
    kind = header(13, 11, bits=8 * array.itemsize, colour_type=colour_type, interlaced=True)
    (tmp_path / "a.png").write_bytes(png(kind, (b"IDAT", packed), (b"IEND", b"")))
    image = read_image(tmp_path / "a.png")
    found = np.dstack([image.pixels] if image.alpha is None else [image.pixels, image.alpha])
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_becomes_alpha_and_is_announced(dtype, channels, rng, tmp_path):
    array = rng.integers(0, np.iinfo(dtype).max, (9, 8, channels)).astype(dtype)
    array[2, 3:6] = array[7, 1]
    key = b"".join(struct.pack(">H", value) for value in array[7, 1])
    kind = header(9, 8, bits=8 * array.itemsize, colour_type=0 if channels == 1 else 2)
    data = png(kind, (b"tRNS", key), (b"IDAT", zlib.compress(rows(array))), (b"IEND", b""))
    (tmp_path / "a.png").write_bytes(data)
    image = read_image(tmp_path / "a.png")
    assert image.losses == ("the transparent colour becomes an alpha channel",)
    np.testing.assert_array_equal(image.pixels.reshape(array.shape), array)
    expected = np.where((array == array[7, 1]).all(axis=-1), 0, np.iinfo(dtype).max)
    np.testing.assert_array_equal(image.alpha, expected)
    write_image(tmp_path / "b.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").alpha, expected)


def test_chunks_are_carried_where_new_pixels_leave_them_true(rng, tmp_path):
    array = rng.integers(0, 256, (9, 8)).astype(np.uint8)
    carried = [
        (b"gAMA", struct.pack(">I", 45455)), (b"cHRM", bytes(range(32))), (b"pHYs", b"\0\0\1\0\0\0\1\0\1"),
        (b"tIME", bytes(7)), (b"tEXt", b"Title\0cells"), (b"zTXt", b"a\0\0" + zlib.compress(b"b")), (b"prIv", b"odd"),
        (b"bKGD", b"\0\0"), (b"sBIT", b"\5"), (b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0"),
    ]  # fmt: skip
    left = [(b"hIST", bytes(2)), (b"iDOT", bytes(28)), (b"caBX", b"signature")]
    picture = b"IDAT", zlib.compress(rows(array))
    data = png(header(9, 8), *carried[:6], *left, picture, *carried[6:], (b"IEND", b""))
    (tmp_path / "a.png").write_bytes(data)
    image = read_image(tmp_path / "a.png")
    lost = write_image(tmp_path / "b.png", replace(image, pixels=array[::-1].copy()))
    assert lost == ["chunks that do not fit the new pixels are not kept: caBX, hIST"]
    written = (tmp_path / "b.png").read_bytes()
    assert [chunk for chunk in png_chunks(written) if chunk[0] not in (b"IHDR", b"IDAT", b"IEND")] == carried
    np.testing.assert_array_equal(imagecodecs.png_decode(written), array[::-1])


@pytest.mark.parametrize("kind", ["rows missing", "checksum of deflate", "deflate cut", "second header"])
def test_damage_behind_right_checksums_is_found(kind, rng, tmp_path):
    array = rng.integers(0, 256, (9, 8)).astype(np.uint8)
    packed = zlib.compress(rows(array))
    body = {
        "rows missing": [(b"IDAT", zlib.compress(rows(array[:5])))],
        "checksum of deflate": [(b"IDAT", packed[:-4] + b"\1\2\3\4")],
        "deflate cut": [(b"IDAT", packed[: len(packed) // 2])],
        "second header": [header(9, 9), (b"IDAT", packed)],
    }[kind]
    (tmp_path / "a.png").write_bytes(png(header(9, 8), *body, (b"IEND", b"")))
    with pytest.raises(FileError, match="damaged PNG"):
        read_image(tmp_path / "a.png")


def test_the_limit_of_another_library_does_not_hold_here(rng, tmp_path, monkeypatch):
    array = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(array).quantize(16).save(tmp_path / "a.png")
    Image.fromarray(array).save(tmp_path / "a.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ("a.png", "a.jpg"):
        assert read_image(tmp_path / name).pixels.shape == array.shape


@pytest.mark.parametrize("folder", ["sidd/noisy", "cc15/noisy", "fmdd/noisy", "kodak"])
def test_real_pictures_come_back_whole(folder, shared_data, tmp_path):
    source = min((shared_data / folder).glob("*.png"))
    image = read_image(source)
    assert write_image(tmp_path / "b.png", image) == []
    with Image.open(source) as old, Image.open(tmp_path / "b.png") as new:
        assert (old.mode, old.info) == (new.mode, new.info)
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
        np.testing.assert_array_equal(image.pixels, np.asarray(old))


def test_the_ending_of_the_input_means_its_format(rng, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (9, 8, 3)).astype(np.uint8)).save(buffer, "PNG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    image = read_image(tmp_path / "a.jpg")
    for name in ("b.jpg", "b.JPG", "b"):  # as the input is called, or nothing said
        write_image(tmp_path / name, image)
        assert read_image(tmp_path / name).format == "png"
    write_image(tmp_path / "b.jpeg", image)
    assert read_image(tmp_path / "b.jpeg").format == "jpeg"
    for name in ("b.gif", "b.jp2", "b.tif.bak"):
        with pytest.raises(FileError, match="no format to write"):
            write_image(tmp_path / name, image)
        assert not (tmp_path / name).exists()
