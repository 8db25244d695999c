"""Laws of CMYK: four inks come back as four channels, as other readers see them, with their profile and their marks."""

import io
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from commands import QUICK, run_here
from mashpix import FileError
from mashpix.files import check_writable, read_image, write_image
from programs import pixels_by_vips, there

ROWS, COLUMNS = np.indices((48, 64))
INKS = np.dstack([COLUMNS * 3, ROWS * 4, ROWS + COLUMNS, 40 + ROWS]).astype(np.uint8)
PROFILE = b"profile" * 500


def jpeg(kind):
    """A CMYK JPEG: as Adobe writes it, the same without Adobe's segment, or its inks as luminance and differences."""
    if kind == "YCCK, subsampled":
        return bytes(imagecodecs.jpeg8_encode(255 - INKS, 95, colorspace="CMYK", outcolorspace="YCCK"))
    file, inks = io.BytesIO(), INKS
    if kind == "YCCK":
        inks = np.dstack([255 - np.asarray(Image.fromarray(INKS[..., :3].copy()).convert("YCbCr")), INKS[..., 3]])
    image = Image.frombytes("CMYK", inks.shape[1::-1], inks.tobytes())
    image.save(file, "JPEG", quality=95, icc_profile=PROFILE, progressive=kind == "progressive")
    data = file.getvalue().replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0" + bytes([2 * (kind == "YCCK")]))
    place = data.index(b"\xff\xee")
    return data if kind != "unmarked" else data[:place] + data[place + 2 + data[place + 3] :]


@pytest.mark.parametrize("kind", ["Adobe", "progressive", "unmarked", "YCCK", "YCCK, subsampled"])
def test_the_inks_of_a_jpeg_are_mirrored_as_other_readers_see_them(kind, tmp_path):
    old, new = tmp_path / "a.jpg", tmp_path / "b.jpg"
    old.write_bytes(jpeg(kind))
    image = read_image(old)
    assert (image.is_rgb, image.notes) == (None, ("CMYK: the four inks are denoised, and its profile is kept",))
    assert np.abs(image.pixels.astype(int) - INKS).max() < 9
    lost = write_image(new, replace(image, pixels=image.pixels[::-1]))
    assert lost == (["unusual chroma subsampling becomes 4:4:4"] if kind == "YCCK, subsampled" else [])
    stored = [imagecodecs.jpeg8_decode(path.read_bytes(), outcolorspace="CMYK").astype(int) for path in (old, new)]
    assert np.abs(stored[0][::-1] - stored[1]).max() < 9
    with Image.open(old) as before, Image.open(new) as after:
        assert before.info == after.info
        assert [before.quantization[layer[3]] for layer in before.layer] == [
            after.quantization[layer[3]] for layer in after.layer
        ]
    if "vips" in there():
        seen = [pixels_by_vips(path).astype(int) for path in (old, new)]
        assert np.abs(seen[0][::-1] - seen[1]).max() < 9


def test_the_inks_of_a_tiff_come_back_bit_for_bit(tmp_path):
    options = {"photometric": "separated", "compression": "lzw", "iccprofile": PROFILE, "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", INKS, metadata=None, **options)
    image = read_image(tmp_path / "a.tif")
    assert (image.is_rgb, image.alpha) == (None, None)
    assert write_image(tmp_path / "b.tif", replace(image, pixels=image.pixels[::-1])) == []
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        page = file.pages.first
        np.testing.assert_array_equal(page.asarray(), INKS[::-1])
        assert (page.photometric.name, page.iccprofile) == ("SEPARATED", PROFILE)


def test_inks_are_not_written_as_colours(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg("Adobe"))
    with pytest.raises(FileError, match="the colours of this JPEG are inks"):
        check_writable(read_image(tmp_path / "a.jpg"), tmp_path / "a.png")


def test_a_cmyk_jpeg_is_denoised(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg("YCCK"))
    done = run_here("denoise", "a.jpg", "--strength", "0.1", *QUICK, cwd=tmp_path)
    assert (done.returncode, "the four inks are denoised" in done.stderr) == (0, True), done.stderr
    found = read_image(tmp_path / "a_denoised.jpg").pixels.astype(int)
    assert np.abs(found - INKS).mean() < 12
