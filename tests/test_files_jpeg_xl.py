"""JPEG XL: colours, profile, orientation and depth come back, as libvips and libjxl see them."""

from dataclasses import replace

import imagecodecs
import numpy as np
import pytest

from fidelity import changed
from mashpix.files import check_writable, read_image, write_image
from programs import pixels_by_vips, run, there

needs_vips = pytest.mark.skipif("vips" not in there(), reason="vips (Debian: libvips-tools) is needed")
RGB = np.random.default_rng(0).normal(120, 30, (24, 40, 3)).clip(0, 255).astype(np.uint8)
OF_8X8 = 5
"""Bytes before the frames of a lossless image of 8 x 8 pixels in RGB."""


def profile_of(path):
    """The profile that libvips makes of the colours of a JPEG XL, or finds in it."""
    return run("vipsheader", "-f", "icc-profile-data", path)


@needs_vips
@pytest.mark.parametrize(("bits", "option"), [(8, "--lossless"), (16, "--lossless"), (8, "--distance=0.5")])
def test_profile_and_depth_come_back(bits, option, tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(RGB if bits == 8 else RGB.astype(np.uint16) * 257))
    run(
        "vips", "icc_transform", tmp_path / "a.png", tmp_path / "b.png", "p3", f"--depth={bits}", "--input-profile=srgb"
    )
    run("vips", "jxlsave", tmp_path / "b.png", tmp_path / "c.jxl", option)
    image = changed(read_image(tmp_path / "c.jxl"))
    assert check_writable(image, tmp_path / "d.jxl", strict=True) == write_image(tmp_path / "d.jxl", image) == []
    assert profile_of(tmp_path / "d.jxl") == profile_of(tmp_path / "c.jxl")
    assert image.pixels.dtype == f"uint{bits}"
    np.testing.assert_array_equal(pixels_by_vips(tmp_path / "d.jxl"), image.pixels)
    other = replace(image, template=image.template._replace(start=None))
    assert check_writable(other, tmp_path / "e.jxl") == ["its colour profile is not kept"]
    assert ("written lossless, to keep its colours" in "".join(image.notes)) == (option != "--lossless")


@needs_vips
def test_16_bits_of_another_format_have_the_same_colours_as_8_bits(tmp_path):
    for name, pixels in (("a", RGB), ("b", RGB.astype(np.uint16) * 257)):
        (tmp_path / f"{name}.png").write_bytes(imagecodecs.png_encode(pixels))
        write_image(tmp_path / f"{name}.jxl", read_image(tmp_path / f"{name}.png"))
    assert profile_of(tmp_path / "a.jxl") == profile_of(tmp_path / "b.jxl")
    np.testing.assert_array_equal(pixels_by_vips(tmp_path / "b.jxl"), RGB.astype(np.uint16) * 257)


def build_turned(pixels, orientation):
    """A JPEG XL of 8 x 8 pixels with an orientation, its header by hand (ISO/IEC 18181-1, annex D)."""
    size, depth, rest = [(1, 1), (5, 0), (3, 1)], [(3, 0), (1, 1), (2, 0)], [(1, 0), (1, 1), (1, 1), (2, 0), (1, 1)]
    fields = [(16, 0x0AFF), *size, (1, 0), (1, 1), (3, orientation - 1), (3, 0), *depth, *rest]
    text = "".join(f"{value:0{count}b}"[::-1] for count, value in fields)
    start = int(text[::-1], 2).to_bytes(-(-len(text) // 8), "little")
    return start + bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=False))[OF_8X8:]


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_comes_back_and_pixels_stay_as_stored(orientation, tmp_path):
    pixels = RGB[:8, :8].copy()
    (tmp_path / "a.jxl").write_bytes(build_turned(pixels, orientation))
    image = read_image(tmp_path / "a.jxl")
    np.testing.assert_array_equal(image.pixels, pixels)
    assert write_image(tmp_path / "b.jxl", replace(image, pixels=pixels[::-1])) == []
    other = replace(image, template=image.template._replace(start=None))
    assert check_writable(other, tmp_path / "c.jxl") == ["its orientation is not kept"]
    seen = imagecodecs.jpegxl_decode((tmp_path / "b.jxl").read_bytes())
    np.testing.assert_array_equal(seen, np.rot90(pixels[::-1], 2 if orientation == 3 else -1))


@pytest.mark.parametrize("bits", [8, 16])
def test_lossy_colours_of_the_encoder_stay_lossy(bits, tmp_path):
    pixels = RGB if bits == 8 else RGB.astype(np.uint16) * 257
    (tmp_path / "a.jxl").write_bytes(imagecodecs.jpegxl_encode(pixels, distance=0.5, bitspersample=bits))
    image = read_image(tmp_path / "a.jxl")
    assert image.notes == ("lossy JPEG XL: written again with a distance of 0.5",)
    assert write_image(tmp_path / "b.jxl", image) == []
    again = read_image(tmp_path / "b.jxl")
    assert again.template.header == image.template.header
    assert np.abs(again.pixels.astype(float) - image.pixels).mean() < 2**bits / 32
