"""Laws of camera raw: a known picture behind a known camera comes back, as LibRaw develops it, in a TIFF of its own."""

import io
import json
import re

import numpy as np
import pytest
import tifffile
from PIL import ImageCms
from typer.testing import CliRunner

import programs
from instrument_files import BLACK, build_dng, expose, scene, to_srgb
from mashpix import FileError, extras, psnr
from mashpix.cli import app
from mashpix.errors import ExtraError
from mashpix.files import check_writable, open_file, read_image, write_image
from mashpix.jobs.batch.inputs import find_sources
from mashpix.jobs.batch.items import output_name

pytest.importorskip("rawpy", reason="camera raw needs rawpy (the extra raw)")
INSIDE = np.s_[6:-6, 6:-6]
"""Demosaicing knows less at the border."""


@pytest.fixture
def save(tmp_path):
    def write(name="a.dng", *, bits=16, electrons=None, grey=False, **options):
        sensor = expose(scene(), bits=bits, electrons=electrons)
        (tmp_path / name).write_bytes(build_dng(sensor, bits=bits, grey=grey, **options))
        return tmp_path / name

    return write


@pytest.mark.parametrize("bits", [12, 16])
def test_the_picture_behind_the_camera_comes_back(bits, save):
    image = read_image(save(bits=bits))
    expected = 65535 * to_srgb(scene())
    assert (image.format, image.pixels.dtype, image.pixels.shape) == ("tiff", np.uint16, expected.shape)
    error = np.abs(image.pixels.astype(float) - expected)[INSIDE]
    assert np.percentile(error, 99) < 0.01 * 65535
    assert np.abs(np.mean(image.pixels - expected, axis=(0, 1))).max() < 0.002 * 65535


def test_nothing_is_scaled_by_what_is_in_the_picture(tmp_path):
    """Half the light gives half the linear values: no automatic brightness, no white taken from the brightest pixel."""
    for name, part in (("a.dng", 1.0), ("b.dng", 0.5)):
        (tmp_path / name).write_bytes(build_dng(expose(part * scene(), bits=16, electrons=None)))
    dark = read_image(tmp_path / "b.dng").pixels
    assert np.percentile(np.abs(dark - 65535 * to_srgb(0.5 * scene()))[INSIDE], 99) < 0.01 * 65535


@pytest.mark.parametrize("orientation", [2, 5, 6, 8])
def test_the_orientation_stays_a_tag_and_the_pixels_as_the_sensor_has_them(orientation, save, tmp_path):
    image = read_image(save(orientation=orientation))
    assert np.percentile(np.abs(image.pixels - 65535 * to_srgb(scene()))[INSIDE], 99) < 0.01 * 65535
    write_image(tmp_path / "b.tif", image)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages.first.tags[274].value == orientation


def test_the_tiff_holds_the_profile_and_what_the_camera_says(save, tmp_path):
    image = read_image(save())
    assert write_image(tmp_path / "b.tif", image) == []
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        page = file.pages.first
        assert (page.photometric.name, page.bitspersample, page.compression.name) == ("RGB", 16, "ADOBE_DEFLATE")
        assert {code: page.tags[code].value for code in (271, 272, 306, 315)} == {
            271: "Acme", 272: "One", 306: "2026:01:02 03:04:05", 315: "A. Person",
        }  # fmt: skip
        assert page.tags[34665].value["ExposureTime"] == (1, 100)
        assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(page.iccprofile)))
        assert not {50706, 50721, 33421} & {tag.code for tag in page.tags}, "it would be taken for a raw file"
        np.testing.assert_array_equal(page.asarray(), image.pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels, image.pixels)
    assert write_image(tmp_path / "c.tif", read_image(save())) == []
    assert (tmp_path / "c.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_other_programs_read_what_the_camera_said_and_the_pixels(save, tmp_path):
    if missing := {"exiftool", "tiffinfo", "vips"} - programs.there():
        pytest.skip(f"second readers are not here ({', '.join(sorted(missing))})")
    source, target = save(orientation=8), tmp_path / "b.tif"
    image = read_image(source)
    write_image(target, image)
    before, after = programs.tags_by_exiftool(source, target)
    kept = {"IFD0:Make", "IFD0:Model", "IFD0:ModifyDate", "IFD0:Artist", "IFD0:Orientation", "ExifIFD:ExposureTime"}
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    assert after["ICC_Profile:ProfileDescription"] == "sRGB built-in"
    assert programs.run("exiftool", "-warning", "-error", target) == ""
    assert "Photometric Interpretation: RGB color" in programs.run("tiffinfo", target)
    np.testing.assert_array_equal(programs.pixels_by_vips(target), image.pixels)


def test_what_is_not_kept_is_said(save, tmp_path):
    image = read_image(save(notes=True))
    assert write_image(tmp_path / "b.tif", image) == ["not kept in the TIFF: XMP"]
    with pytest.raises(FileError, match=r"XMP.*`strict`"):
        check_writable(image, tmp_path / "c.tif", strict=True)


def test_a_file_without_white_balance_is_developed_for_daylight_and_says_so(save):
    image = read_image(save(balance=False))
    assert any("daylight" in note for note in image.notes)
    assert not any("daylight" in note for note in read_image(save()).notes)


def test_a_sensor_without_colours_gives_grey(tmp_path):
    sensor = (BLACK + scene()[..., 1] * (65535 - BLACK)).astype(np.uint16)
    (tmp_path / "a.dng").write_bytes(build_dng(sensor, grey=True))
    image = read_image(tmp_path / "a.dng")
    assert np.abs(image.pixels / 65535 - to_srgb(scene()[..., 1]))[INSIDE].max() < 0.01
    assert write_image(tmp_path / "b.tif", image) == []


def test_a_name_and_a_camera_make_a_raw_of_what_begins_as_any_tiff(save, tmp_path):
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    tifffile.imwrite(tmp_path / "plain.NEF", grey)
    np.testing.assert_array_equal(read_image(tmp_path / "plain.NEF").pixels, grey)
    tifffile.imwrite(tmp_path / "scan.nef", np.zeros((64, 64, 3), np.uint8), extratags=[(271, 2, None, "Acme", True)])
    with pytest.raises(FileError, match="not a camera raw that LibRaw can read"):
        read_image(tmp_path / "scan.nef")
    (tmp_path / "raw.tif").write_bytes(save().read_bytes())
    with pytest.raises(FileError, match=r"camera raw \(give it the ending \.dng"):
        read_image(tmp_path / "raw.tif")


@pytest.mark.parametrize("bits", [12, 16])
def test_damage_is_one_line(bits, save, tmp_path):
    data = save(bits=bits).read_bytes()
    with tifffile.TiffFile(tmp_path / "a.dng") as file:
        end = file.pages.first.dataoffsets[0] + 96 * 128 * bits // 8
    for size in (9, 300, end // 2, end - 1):
        (tmp_path / "b.dng").write_bytes(data[:size])
        with pytest.raises(FileError, match=r"truncated|damaged") as caught:
            read_image(tmp_path / "b.dng")
        assert "\n" not in str(caught.value)
    with pytest.raises(FileError, match="too large"):
        read_image(save(), max_pixels=1000)


def test_without_rawpy_the_extra_is_named_and_folders_leave_raw_files_out(save, tmp_path, monkeypatch):
    save()
    assert [path.name for path in find_sources([tmp_path], tmp_path / "out").sources] == ["a.dng"]
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    found = find_sources([tmp_path], tmp_path / "out")
    assert (list(found.sources), found.not_images) == ([], 1)
    with pytest.raises(ExtraError, match=re.escape('pip install "mashpix[raw]"')):
        read_image(tmp_path / "a.dng")


def test_an_output_is_never_named_like_a_raw_file(save, tmp_path):
    path = save("IMG 1.DNG")
    assert output_name(path) == "IMG 1_denoised.tif"
    assert not open_file(path).is_stack
    for name in ("b.dng", "b.nef"):
        with pytest.raises(FileError, match="no format to write"):
            check_writable(read_image(path), tmp_path / name)


def test_a_raw_file_is_denoised_from_end_to_end(save, tmp_path):
    """Poisson noise of 400 electrons at white; few updates."""
    path = save("IMG.DNG", bits=12, electrons=400.0, orientation=6)
    before = path.read_bytes()
    quick = ("--masking-ratio", "0.5", "--steps", "40", "--network-channels", "8", "--depth", "2", "--masks", "4")
    done = CliRunner().invoke(app, ["denoise", str(path), "--strict", "--threads", "1", *quick])
    assert done.exit_code == 0, done.output
    clean, noisy = (65535 * to_srgb(scene()))[INSIDE], read_image(path).pixels[INSIDE]
    denoised = tifffile.imread(tmp_path / "IMG_denoised.tif")[INSIDE]
    gain = [psnr(clean, array.astype(float), data_range=65535) for array in (noisy, denoised)]
    assert gain[1] > gain[0] + 2, gain
    assert path.read_bytes() == before
    recipe = json.loads((tmp_path / "IMG_denoised.tif.json").read_text())
    assert recipe["input_sha256"]


def test_in_another_format_only_pixels_are_kept_and_that_is_said(save, tmp_path):
    image = read_image(save())
    lost = write_image(tmp_path / "b.png", image)
    assert lost == ["written as PNG: profile, EXIF and other metadata of the input are not kept"]
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").pixels, image.pixels)
