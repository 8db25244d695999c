"""Laws of WebP: alpha stays bit for bit, chunks are carried, and a picture of another format becomes lossless."""

import io
import struct
from dataclasses import replace

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from bad_files import saved
from mashpix import FileError
from mashpix.files import ImageFile, check_writable, read_image, write_image


@pytest.fixture
def colours(rng):
    return rng.integers(0, 256, (23, 37, 3)).astype(np.uint8)


def with_flag(data):
    """An extended header that says there is alpha, before the chunks of a file without one."""
    width, height = Image.open(io.BytesIO(data)).size
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, 0x10) + canvas + data[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}])
@pytest.mark.parametrize("opaque", [False, True])
def test_alpha_stays_even_where_all_is_opaque(options, opaque, colours, rng, tmp_path):
    alpha = np.full(colours.shape[:2], 255, np.uint8) if opaque else rng.integers(0, 256, (23, 37)).astype(np.uint8)
    data = saved(np.dstack([colours, alpha]), "webp", exact=True, **options)
    has_alpha = not opaque or "lossless" in options
    (tmp_path / "a.webp").write_bytes(with_flag(data) if opaque and has_alpha else data)
    image = read_image(tmp_path / "a.webp")
    write_image(tmp_path / "b.webp", replace(image, pixels=image.pixels[::-1].copy()))
    written = (tmp_path / "b.webp").read_bytes()
    assert (read_image(tmp_path / "b.webp").alpha is not None) == has_alpha
    found = cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found.shape[2] == 3 + has_alpha
    if has_alpha:
        np.testing.assert_array_equal(found[..., 3], alpha)


def test_colours_under_transparent_pixels_stay(colours, tmp_path):
    data = saved(np.dstack([colours, np.zeros((23, 37), np.uint8)]), "webp", exact=True, lossless=True)
    (tmp_path / "a.webp").write_bytes(data)
    write_image(tmp_path / "b.webp", read_image(tmp_path / "a.webp"))
    np.testing.assert_array_equal(imagecodecs.webp_decode((tmp_path / "b.webp").read_bytes())[..., :3], colours)


def test_another_alpha_than_was_read_can_be_written(colours, tmp_path):
    alpha = np.arange(23 * 37).reshape(23, 37).astype(np.uint8)
    (tmp_path / "a.webp").write_bytes(saved(np.dstack([colours, alpha]), "webp", quality=80))
    image = read_image(tmp_path / "a.webp")
    write_image(tmp_path / "b.webp", replace(image, alpha=255 - alpha))
    np.testing.assert_array_equal(read_image(tmp_path / "b.webp").alpha, 255 - alpha)


def test_a_lossy_file_says_its_new_quality_and_what_follows_it_is_lost(colours, tmp_path):
    data = saved(colours, "webp", quality=80)
    (tmp_path / "a.webp").write_bytes(data + b"tail")
    image = read_image(tmp_path / "a.webp")
    assert image.notes == ("lossy WebP: written again with quality 95",)
    assert image.losses == ("4 bytes after the image are not kept",)
    np.testing.assert_array_equal(image.pixels, np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("alpha", [False, True])
def test_a_new_file_is_lossless(alpha, colours, tmp_path):
    image = ImageFile(colours, "png", alpha=colours[..., 0] if alpha else None)
    write_image(tmp_path / "a.webp", image)
    again = read_image(tmp_path / "a.webp")
    np.testing.assert_array_equal(again.pixels, colours)
    assert (again.alpha is not None) == alpha


def test_what_webp_cannot_hold_is_refused_before_any_work(tmp_path):
    for pixels, message in (
        (np.zeros((8, 8, 3), np.uint16), "8 bits"),
        (np.zeros((8, 8), np.uint8), "holds RGB"),
        (np.zeros((1, 20_000, 3), np.uint8), "at most 16383"),
    ):
        with pytest.raises(FileError, match=message):
            check_writable(ImageFile(pixels, "png"), tmp_path / "a.webp")
