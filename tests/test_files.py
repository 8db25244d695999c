"""Laws of files: pixels come back, all else stays bit for bit, checked with an independent reader."""

import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from mashpix import FileError
from mashpix.files import ImageFile, read_image, write_image


def picture(dtype, channels, *, height=23, width=37):
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(0).integers(0, 2 ** (8 * np.dtype(dtype).itemsize), shape).astype(dtype)


def in_memory(path):
    """For readers that are lazy in closing files."""
    return io.BytesIO(path.read_bytes())


def changed(image):
    """The same file with other pixels, as denoising makes them."""
    return replace(image, pixels=image.pixels[::-1].copy(), suffix="")


def round_trip(path):
    """Read, change, write beside it, read again; both pictures and the new path."""
    before = read_image(path)
    target = path.with_name(f"{path.stem}_out{path.suffix}")
    assert write_image(target, changed(before)) == list(before.losses)
    after = read_image(target)
    assert after.pixels.dtype == before.pixels.dtype
    np.testing.assert_array_equal(after.alpha, before.alpha) if before.alpha is not None else None
    return before, after, target


@pytest.mark.parametrize("transparent", [False, True])
def test_a_png_palette_becomes_colours_and_is_announced(transparent, tmp_path):
    image = Image.fromarray(picture("uint8", 3)).quantize(16)
    image.save(tmp_path / "a.png", **({"transparency": 3} if transparent else {}))
    before, after, _ = round_trip(tmp_path / "a.png")
    assert before.losses == ("the palette is expanded to colours",)
    assert (before.alpha is not None) == transparent
    np.testing.assert_array_equal(before.pixels, np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(after.pixels, before.pixels[::-1])


def test_a_thumbnail_stays(tmp_path):
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(picture("uint16", 1), metadata=None)
        file.write(picture("uint16", 1, height=8, width=9), subfiletype=1, metadata=None)
    before, after, target = round_trip(tmp_path / "b.tif")
    assert "2 sizes" in before.notes[0]
    np.testing.assert_array_equal(after.pixels, before.pixels[::-1])
    assert len(tifffile.TiffFile(in_memory(target)).pages) == 2


def test_a_grey_ramp_palette_is_grey_and_stays(tmp_path):
    array, ramp = picture("uint8", 1), np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="palette", colormap=ramp, metadata=None)
    before, _, target = round_trip(tmp_path / "a.tif")
    np.testing.assert_array_equal(before.pixels, array)
    assert tifffile.TiffFile(in_memory(target)).pages.first.photometric.name == "PALETTE"
    ramp[:, 7] = 65535, 0, 0
    tifffile.imwrite(tmp_path / "b.tif", array, photometric="palette", colormap=ramp, metadata=None)
    before, after, _ = round_trip(tmp_path / "b.tif")
    assert "palette" in before.losses[0]
    assert before.pixels.shape == (23, 37, 3)
    np.testing.assert_array_equal(after.pixels, before.pixels[::-1])


def test_a_tiff_can_go_elsewhere(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture("uint8", 3), photometric="rgb", compression="jpeg", metadata=None)
    image = read_image(tmp_path / "a.tif")
    assert "metadata" in write_image(tmp_path / "b.png", image)[0]
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").pixels, image.pixels)


def test_other_formats_take_what_they_can_hold(tmp_path):
    rgb = ImageFile(picture("uint8", 3), "png")
    for name in ("a.jpg", "a.tiff", "a.npy"):
        write_image(tmp_path / name, rgb)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tiff"), rgb.pixels)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), rgb.pixels)
    with_alpha = ImageFile(picture("uint16", 3), "png", alpha=picture("uint16", 1))
    write_image(tmp_path / "b.tif", with_alpha)
    assert tifffile.TiffFile(in_memory(tmp_path / "b.tif")).pages.first.extrasamples == (2,)
    for name, image in {
        "a.png": ImageFile(picture("float32", 1), "tiff"),
        "b.png": ImageFile(picture("uint8", 5), "npy"),
        "b.jpg": ImageFile(picture("uint16", 3), "png"),
        "c.jpg": with_alpha,
        "d.jpg": ImageFile(picture("uint8", 2), "npy"),
        "c.npy": with_alpha,
    }.items():
        with pytest.raises(FileError):
            write_image(tmp_path / name, image)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".tif"])
@pytest.mark.parametrize("other", [np.zeros((9, 12), np.float32), np.zeros((8, 12), np.uint16)])
def test_other_pixels_than_were_read_are_refused(suffix, other, tmp_path):
    write_image(tmp_path / f"a{suffix}", ImageFile(np.zeros((9, 12), np.uint16), "png"))
    image, target = read_image(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}"
    with pytest.raises(FileError, match="not the pixels of the file"):
        write_image(target, replace(image, pixels=other))
    assert not target.exists()
    write_image(target, replace(image, pixels=other, template=None))
    np.testing.assert_array_equal(read_image(target).pixels, other)
