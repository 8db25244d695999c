"""Laws of files that people bring: predictors, palettes, names and endings, gain maps, cut raw files, odd scans."""

import io
import struct
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from bad_files import saved
from commands import run_here
from file_kinds import Extras, build_heic, header, png, rows
from instrument_files import build_dng, build_lif
from mashpix import FileError
from mashpix.files import ImageFile, check_writable, formats, open_file, read_image, single_image, write_image
from mashpix.files.formats import output_ending
from mashpix.files.further_images import strip_announcements
from mashpix.files.tiff import copy

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (24, 32)).astype(np.uint8)
QUICK = ("--preset", "fast", "--steps", "3", "--masking-ratio", "0.5", "--threads", "1", "--no-refine")


def mirrored(path, data, **how):
    """The file of these bytes as it is read, written again with mirrored pixels, and read once more."""
    path.write_bytes(data)
    image = read_image(path)
    target = path.with_stem("mirrored")
    warned = write_image(target, replace(image, pixels=image.pixels[::-1]), overwrite=True, **how)
    return image, read_image(target), warned


def without_tag(data, code):
    """A TIFF whose first directory has one tag less: its code is that of a private one."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages.first.tags[code].offset
    return data[:place] + struct.pack("<H", 65100) + data[place + 2 :]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_with_the_horizontal_predictor_are_written_as_they_were(dtype, tmp_path):
    values = RNG.normal(size=(24, 32)).astype(dtype)
    stored = values.view(f"int{8 * values.itemsize}")
    data = saved(stored, "tiff", compression="adobe_deflate", predictor=2, rowsperstrip=7)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages.first.tags[339].valueoffset
    data = data[:place] + struct.pack("<H", 3) + data[place + 2 :]  # SampleFormat: IEEE floats
    image, again, warned = mirrored(tmp_path / "a.tif", data)
    np.testing.assert_array_equal(image.pixels, values)
    np.testing.assert_array_equal(again.pixels, values[::-1])
    with tifffile.TiffFile(tmp_path / "mirrored.tif") as file:
        assert (file.pages.first.predictor, warned) == (2, [])


@pytest.mark.parametrize("channels", [1, 3])
def test_twelve_bits_with_a_predictor_come_back(channels, tmp_path):
    values = RNG.integers(0, 4096, (24, 32, channels)).astype(np.uint16)
    values = values[..., 0] if channels == 1 else values
    differences = np.diff(values, axis=1, prepend=np.zeros_like(values[:, :1])) & 4095
    data = bytearray(saved(differences, "tiff", bitspersample=12, extratags=[(65101, 3, 1, 2, True)],
                           photometric="rgb" if channels == 3 else "minisblack"))  # fmt: skip
    with tifffile.TiffFile(io.BytesIO(data)) as file:  # tifffile writes no such predictor
        page = file.pages.first
        struct.pack_into("<H", data, page.tags[65101].offset, 317)
        packed = zlib.compress(bytes(data[page.dataoffsets[0] : page.dataoffsets[0] + page.databytecounts[0]]))
        struct.pack_into("<H", data, page.tags[259].valueoffset, 8)
        struct.pack_into("<I", data, page.tags[279].valueoffset, len(packed))
        struct.pack_into("<I", data, page.tags[273].valueoffset, len(data))
    image, again, warned = mirrored(tmp_path / "a.tif", bytes(data) + packed)
    np.testing.assert_array_equal(image.pixels, values)
    np.testing.assert_array_equal(again.pixels, values[::-1])
    assert warned == []


def test_a_tiff_written_anew_gains_no_resolution(tmp_path):
    data = saved(np.dstack([GREY] * 3), "tiff", compression="webp", photometric="rgb")
    for code in (282, 283, 296):
        data = without_tag(data, code)
    _, _, warned = mirrored(tmp_path / "a.tif", data)
    assert warned == ["WEBP compression becomes deflate"]
    with tifffile.TiffFile(tmp_path / "mirrored.tif") as file:
        assert not {282, 283, 296} & {tag.code for tag in file.pages.first.tags}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiff_that_does_not_say_what_its_values_are_is_read(channels, tmp_path):
    pixels = GREY if channels == 1 else np.dstack([GREY, GREY[::-1], GREY])
    data = without_tag(saved(pixels, "tiff", photometric="minisblack", planarconfig="contig"), 262)
    image, again, _ = mirrored(tmp_path / "a.tif", data)
    assert "0 is taken as black" in image.notes[0]
    assert image.is_rgb is None
    np.testing.assert_array_equal(again.pixels, pixels[::-1])


@pytest.mark.parametrize("ramp", [False, True])
def test_a_palette_with_alpha_becomes_colours_with_alpha(ramp, tmp_path):
    colours = RNG.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    colours = np.stack([np.arange(256, dtype=np.uint16) * 257] * 3) if ramp else colours
    both = np.dstack([GREY, GREY[::-1]])
    options = {"planarconfig": "contig", "photometric": "minisblack", "extrasamples": ["unassalpha"]}
    data = saved(both, "tiff", extratags=[(320, 3, 768, colours.tobytes(), True)], **options)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages.first.tags[262].valueoffset
    (tmp_path / "a.tif").write_bytes(data[:place] + struct.pack("<H", 3) + data[place + 2 :])
    done = run_here("denoise", tmp_path / "a.tif", *QUICK)
    assert done.returncode == 0, done.stderr
    before, after = read_image(tmp_path / "a.tif"), read_image(tmp_path / "a_denoised.tif")
    np.testing.assert_array_equal(before.pixels, GREY if ramp else np.moveaxis(colours >> 8, 0, -1)[GREY])
    assert after.pixels.shape == before.pixels.shape
    np.testing.assert_array_equal(after.alpha, GREY[::-1])


def test_a_suggested_palette_stays_or_is_said_to_go(tmp_path):
    pixels, palette = np.dstack([GREY] * 3), RNG.integers(0, 256, 30).astype(np.uint8).tobytes()

    def file(*chunks):
        head, body = header(24, 32, colour_type=2), (b"IDAT", zlib.compress(rows(pixels)))
        return png(head, (b"PLTE", palette), *chunks, body, (b"IEND", b""))

    _, _, warned = mirrored(tmp_path / "a.png", file())
    assert (warned, palette in (tmp_path / "mirrored.png").read_bytes()) == ([], True)
    _, _, warned = mirrored(tmp_path / "a.png", file((b"tRNS", b"\0\1" * 3)))
    assert "chunks that do not fit the new pixels are not kept: PLTE" in warned


def test_jpeg_ls_is_called_by_its_name(tmp_path):
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpegls_encode(GREY))
    with pytest.raises(FileError, match="a JPEG-LS"):
        read_image(tmp_path / "a.jpg")


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
    b'xmlns:G="http://ns.google.com/photos/1.0/container/" xmlns:C="http://ns.google.com/photos/1.0/camera/" '
    b'hdrgm:Version="1.0" C:MotionPhoto=\'1\' C:Model="box" dc:title="cells"><hdrgm:Gamma><rdf:Seq/></hdrgm:Gamma>'
    b"<G:Directory><rdf:li>GainMap</rdf:li></G:Directory><dc:rights>mine</dc:rights></rdf:Description></x:xmpmeta>"
)


def test_metadata_no_longer_announce_images_that_are_dropped(tmp_path):
    plain = saved(GREY, "jpeg")
    parts = [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP), (0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")]
    segments = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in parts)
    _, again, warned = mirrored(tmp_path / "a.jpg", plain[:2] + segments + plain[2:] + plain)
    written = (tmp_path / "mirrored.jpg").read_bytes()
    assert "further images" in warned[0]
    assert not [word for word in (b"hdrgm:", b"MotionPhoto", b"Directory", b"21496") if word in written]
    assert all(word in written for word in (b'C:Model="box"', b'dc:title="cells"', b"<dc:rights>mine</dc:rights>"))
    assert again.losses == ()
    assert strip_announcements(b"<a>" + XMP[-30:]) == b"<a>" + XMP[-30:]


def test_the_name_of_an_output_fits_its_content(tmp_path):
    for name, kind, ending in (
        ("a.nef", "jpeg", ".jpg"), ("b.jpg", "png", ".png"), ("c.dng", "tiff", ".tif"), ("d.JPG", "jpeg", ".JPG"),
        ("e.lsm", "tiff", ".lsm"), ("f", "png", ""), ("g.czi", "png", ".png"), ("h.ome.tif", "tiff", ".ome.tif"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(saved(GREY, kind))
        assert (name, output_ending(tmp_path / name)) == (name, ending)
    done = run_here("denoise", tmp_path / "a.nef", *QUICK)
    assert done.returncode == 0, done.stderr
    assert read_image(tmp_path / "a_denoised.jpg").format == "jpeg"


def test_what_cannot_be_written_is_refused_before_any_work(tmp_path, monkeypatch):
    """The encoder itself is asked, whatever its reasons: for a single image, and for a stack in a TIFF."""

    def fail(array, **options):
        raise ValueError("not that kind of strip")

    (tmp_path / "one.tif").write_bytes(saved(GREY, "tiff", compression="adobe_deflate"))
    stack = np.stack([GREY] * 3)
    (tmp_path / "many.tif").write_bytes(saved(stack, "tiff", compression="adobe_deflate", photometric="minisblack"))
    monkeypatch.setattr(copy, "_encode", fail)
    for name in ("one.tif", "many.tif"):
        with open_file(tmp_path / name) as opened, pytest.raises(FileError, match="not that kind of strip"):
            opened.check_target(tmp_path / "b.tif", strict=False)


def test_a_large_image_is_tried_by_its_first_rows(monkeypatch):
    tried = []
    real = formats.WRITABLE["png"].encode
    monkeypatch.setattr(single_image, "N_TRIED", 320)
    png_format = replace(formats.WRITABLE["png"], encode=lambda image, old: tried.append(image) or real(image, old))
    monkeypatch.setitem(formats.WRITABLE, "png", png_format)
    check_writable(ImageFile(np.zeros((90, 20), np.uint8), "png", np.ones((90, 20), np.uint8)), Path("a.png"))
    assert [(image.pixels.shape, image.alpha.shape) for image in tried] == [((16, 20), (16, 20))]


def test_a_scan_along_other_axes_is_read(tmp_path):
    """A LIF of planes XZ, as a line scan makes them: dimensions X, Z and then time."""
    pytest.importorskip("liffile", reason="LIF needs liffile (the extra bio)")
    stack = RNG.integers(0, 4096, (3, 1, 1, 24, 32)).astype(np.uint16)
    (tmp_path / "a.lif").write_bytes(build_lif({"scan": stack}, axes={2: 3}))
    with closing(open_file(tmp_path / "a.lif")) as opened:
        assert (opened.axes, opened.shape) == ("TCZYX", (3, 1, 1, 24, 32))
        assert "Z as Y" in opened.notes[0]
        np.testing.assert_array_equal(opened[1, 0, 0, :, :], stack[1, 0, 0])


def test_wavelengths_are_channels_with_their_names(tmp_path):
    pytest.importorskip("liffile", reason="LIF needs liffile (the extra bio)")
    stack = RNG.integers(0, 4096, (5, 1, 1, 24, 32)).astype(np.uint16)
    (tmp_path / "a.lif").write_bytes(build_lif({"sweep": stack}, axes={4: 5}))
    with closing(open_file(tmp_path / "a.lif")) as opened:
        assert opened.shape == (1, 5, 1, 24, 32)
        assert len(opened.found["channels"]) == 5
        np.testing.assert_array_equal(opened[0, 3, 0, :, :], stack[3, 0, 0])


def test_a_raw_file_that_ends_in_nothing_is_truncated(tmp_path):
    """LibRaw fills what is missing with zeros; a sensor has noise in its last row."""
    pytest.importorskip("rawpy", reason="camera raw needs rawpy (the extra raw)")
    mosaic = RNG.integers(600, 4000, (64, 64)).astype(np.uint16)
    mosaic[40:] = 0
    (tmp_path / "a.dng").write_bytes(build_dng(mosaic))
    with pytest.raises(FileError, match="truncated camera raw"):
        read_image(tmp_path / "a.dng")


def test_every_image_says_at_the_start_what_another_format_loses(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with open_file(tmp_path / "a.png") as opened:
        assert "written as TIFF" in opened.check_target(tmp_path / "b.tif", strict=False)[0]


def test_a_turned_heic_is_upright_and_its_other_images_are_said_to_be_lost(tmp_path):
    colours = np.repeat(np.repeat(RNG.integers(0, 256, (3, 4, 3)), 16, 0), 16, 1).astype(np.uint8)
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a tiff:Orientation='6' b='7'/></x:xmpmeta>"
    exif = b"Exif\0\0" + Extras(orientation=6).exif_block()
    (tmp_path / "a.heic").write_bytes(build_heic(colours, colours[::-1], exif=exif, xmp=xmp))
    image = read_image(tmp_path / "a.heic")
    assert "the other images of the file are not kept (1)" in image.losses
    write_image(tmp_path / "b.png", image)
    with Image.open(tmp_path / "b.png") as new:
        np.testing.assert_array_equal(ImageOps.exif_transpose(new), image.pixels)
        assert new.getexif().get(271) == "Acme"
        assert b"tiff:Orientation='1' b='7'" in new.info["xmp"]


@pytest.mark.parametrize("stored", [(0, 0), (2835, 11811), (3780, 3780)])
def test_a_bmp_gains_no_resolution(stored, tmp_path):
    data = saved(GREY, "bmp")
    (tmp_path / "a.bmp").write_bytes(data[:38] + struct.pack("<ii", *stored) + data[46:])
    write_image(tmp_path / "b.bmp", read_image(tmp_path / "a.bmp"))
    assert struct.unpack_from("<ii", (tmp_path / "b.bmp").read_bytes(), 38) == stored
