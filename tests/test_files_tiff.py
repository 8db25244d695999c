"""Laws of TIFF: a copy keeps all tags, a new file as many as it can, and what is written is what was meant."""

import io
import struct
import time
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from bad_files import ome_xml
from file_kinds import Extras, build_tiff
from mashpix import FileError
from mashpix.files import ImageFile, check_writable, encode_map, read_image, write_image
from mashpix.files.tiff import image as tiff
from mashpix.files.tiff.directories import find_directories


@pytest.fixture
def grey(rng):
    return rng.integers(0, 256, (64, 96)).astype(np.uint8)


def save_packed(path, rows, bits, numbers, *, byteorder="<", **options):
    """Rows of values packed by hand, which tifffile does only uncompressed and little-endian; and tags that say so."""
    flat = ((rows[..., None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)
    save(path, np.packbits(flat.reshape(*rows.shape[:-1], -1), axis=-1), byteorder=byteorder, **options)
    data, tags = bytearray(path.read_bytes()), pages_of(path).first.tags
    for code, (kind, number) in (numbers | {258: ("H", bits)}).items():
        count = tags[code].count
        struct.pack_into(byteorder + kind * count, data, tags[code].valueoffset, *[number] * count)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14])
@pytest.mark.parametrize("compression", [None, "lzw", "packbits"])
@pytest.mark.parametrize("byteorder", "<>")
def test_values_of_few_bits_stay_packed(bits, compression, byteorder, rng, tmp_path):
    values = rng.integers(0, 2**bits, (13, 24)).astype(np.uint16)
    options = {"compression": compression, "byteorder": byteorder, "rowsperstrip": 5, "description": "cells"}
    source = save_packed(tmp_path / "a.tif", values, bits, {256: ("I", 24)}, **options)
    image = read_image(source)
    step = {2: 85, 4: 17}.get(bits, 1)
    assert image.pixels.dtype == (np.uint8 if bits < 8 else np.uint16)
    np.testing.assert_array_equal(image.pixels, values * step)
    assert write_image(tmp_path / "b.tif", replace(image, pixels=image.pixels[::-1].copy())) == []
    new = pages_of(tmp_path / "b.tif").first
    assert (new.bitspersample, new.compression, new.description) == (bits, pages_of(source).first.compression, "cells")
    np.testing.assert_array_equal(new.asarray(), values[::-1])


@pytest.mark.parametrize("text", ["cells", "", '{"n": 1}', "shape=(64, 96)"])
def test_a_description_before_that_of_tifffile_is_read_and_kept(text, grey, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", grey, description=text, metadata={"k": 1})
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, grey)
    assert write_image(tmp_path / "b.tif", image) == []
    old, new = (pages_of(tmp_path / name).first for name in ("a.tif", "b.tif"))
    assert (new.description, new.description1) == (old.description, old.description1)


@pytest.mark.parametrize("text", [None, "cells"])
def test_a_page_that_is_a_stack_says_so_behind_a_description_too(text, grey, tmp_path):
    options = {"photometric": "minisblack", "truncate": True, "metadata": {"axes": "ZYX"}}
    tifffile.imwrite(tmp_path / "a.tif", np.stack([grey] * 3), description=text, **options)
    with pytest.raises(FileError, match="a stack of 3 planes"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("bits", [2, 4, 12])
@pytest.mark.parametrize("planar", [False, True])
def test_colours_of_few_bits_stay_packed(bits, planar, rng, tmp_path):
    values = rng.integers(0, 2**bits, (3, 13, 24) if planar else (13, 24, 3)).astype(np.uint16)
    options = {"planarconfig": "separate", "photometric": "rgb"} if planar else {}
    rows = values if planar else values.reshape(13, -1)
    numbers = {256: ("I", 24), 257: ("I", 13), 262: ("H", 2), 277: ("H", 3)}
    source = save_packed(tmp_path / "a.tif", rows, bits, numbers, **options)
    image, step = read_image(source), {2: 85, 4: 17}.get(bits, 1)
    colours = np.moveaxis(values, 0, -1) if planar else values
    np.testing.assert_array_equal(image.pixels, colours * step)
    assert write_image(tmp_path / "b.tif", replace(image, pixels=image.pixels[::-1].copy())) == []
    new = pages_of(tmp_path / "b.tif").first
    assert (new.bitspersample, new.planarconfig) == (bits, 2 if planar else 1)
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels, colours[::-1] * step)


@pytest.mark.parametrize("bits", [4, 12])
def test_few_bits_in_tiles_are_read_and_become_whole_bytes_which_is_said(bits, rng, tmp_path):
    values = rng.integers(0, 2**bits, (32, 64)).astype(np.uint16)
    options = {"tile": (16, 32 * bits // 8), "description": "cells"}
    source = save_packed(tmp_path / "a.tif", values, bits, {256: ("I", 64), 322: ("H", 32)}, **options)
    image, step = read_image(source), {4: 17}.get(bits, 1)
    np.testing.assert_array_equal(image.pixels, values * step)
    lost = write_image(tmp_path / "b.tif", image)
    assert lost == [f"{bits} bits per value become {8 if bits == 4 else 16}"]
    new = pages_of(tmp_path / "b.tif").first
    assert (new.is_tiled, new.description) == (True, "cells")
    np.testing.assert_array_equal(new.asarray(), image.pixels)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_one_bit_is_refused_with_advice(photometric, grey, tmp_path):
    source = save(tmp_path / "a.tif", grey > 99, photometric=photometric)
    with pytest.raises(FileError, match=r"too few grey levels.*convert it to 8 bit first"):
        read_image(source)
    Image.fromarray(grey > 99).save(tmp_path / "b.tif", compression="group4")
    with pytest.raises(FileError, match="too few grey levels"):
        read_image(tmp_path / "b.tif")


def test_values_that_mean_something_else_elsewhere_stay_in_a_tiff(grey, tmp_path):
    save(tmp_path / "a.tif", grey, photometric="miniswhite")
    save(tmp_path / "b.tif", np.dstack([grey] * 4), photometric="rgb", extrasamples=["assocalpha"])
    for name, reason in (("a.tif", "white is 0"), ("b.tif", "multiplied by alpha")):
        image = read_image(tmp_path / name)
        with pytest.raises(FileError, match=f"{reason}.*choose TIFF"):
            check_writable(image, tmp_path / "c.png")
        check_writable(image, tmp_path / "c.tif")


def save(path, array, **options):
    tifffile.imwrite(path, array, **({"metadata": None} | options))
    return path


def pages_of(path):
    return tifffile.TiffFile(io.BytesIO(path.read_bytes())).pages


def patched(path, code, *, value=None, places=None):
    """Other numbers in one directory entry of a little-endian file: its own value, or the first of its list."""
    tag, data = pages_of(path).first.tags[code], bytearray(path.read_bytes())
    if value is not None:
        struct.pack_into("<I", data, tag.offset + 8, value)
    for index, place in enumerate(places or ()):
        struct.pack_into("<I", data, tag.valueoffset + 4 * index, place)
    path.write_bytes(data)
    return path


def test_tiles_that_share_one_place_part_when_they_differ(tmp_path):
    source = save(tmp_path / "a.tif", np.zeros((64, 96), np.uint8), tile=(32, 32), byteorder="<")
    first = pages_of(source).first.dataoffsets[0]
    image = read_image(patched(source, 324, places=[first] * 6))
    different = np.arange(64 * 96).reshape(64, 96).astype(np.uint8)
    assert write_image(tmp_path / "b.tif", replace(image, pixels=different)) == []
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), different)


def test_reversed_bits_are_read_and_written(grey, tmp_path):
    """FillOrder 2 mirrors the bits of every byte; a copy with new strips but the old tag would mirror them again."""
    source, mirror = tmp_path / "a.tif", bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    Image.fromarray(grey).save(source, tiffinfo={266: 1})
    at = pages_of(source).first.dataoffsets[0]
    data = patched(source, 266, value=2).read_bytes()
    source.write_bytes(data[:at] + data[at : at + grey.size].translate(mirror) + data[at + grey.size :])
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(source.read_bytes())), grey)
    write_image(tmp_path / "b.tif", read_image(source))
    with Image.open(tmp_path / "b.tif") as image:
        np.testing.assert_array_equal(np.asarray(image), grey)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_a_new_file_keeps_the_fractions_of_the_old_one(order, big, grey, rng, tmp_path):
    colours = rng.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    white, signed, single = (3127, 10000, 3290, 10000), (-1, 3, 2, 5, -7, 9), (4, 5)
    tags = [(318, 5, 2, white, True), (65001, 10, 3, signed, True), (65002, 5, 1, single, True)]
    how = {"photometric": "palette", "colormap": colours, "extratags": tags, "byteorder": order, "bigtiff": big}
    tifffile.imwrite(tmp_path / "a.tif", grey, metadata=None, **how)
    write_image(tmp_path / "b.tif", read_image(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        found = [file.pages.first.tags[code] for code in (318, 65001, 65002)]
        assert [(tag.count, tag.value) for tag in found] == [(2, white), (3, signed), (1, single)]


@pytest.mark.parametrize("depth", [1, 257])
def test_a_palette_file_keeps_its_other_tags(depth, grey, rng, tmp_path):
    colours = rng.integers(0, 256, (3, 256)).astype(np.uint16)  # some writers put 8-bit colours there
    private = [(65000, 2, None, "scope", True), (65001, 12, 2, (0.5, 1.5), True), (274, 3, 1, 6, True)]
    source = save(
        tmp_path / "a.tif", grey, photometric="palette", colormap=colours * depth, description="cells",
        software="scope", resolution=(300, 200), resolutionunit=3, iccprofile=b"profile" * 30, extratags=private,
    )  # fmt: skip
    image = read_image(source)
    np.testing.assert_array_equal(image.pixels, colours.T.astype(np.uint8)[grey])
    assert write_image(tmp_path / "b.tif", image) == ["the palette is expanded to colours"]
    old, new = pages_of(source).first, pages_of(tmp_path / "b.tif").first
    np.testing.assert_array_equal(new.asarray(), image.pixels)
    assert new.photometric.name == "RGB"
    for code in (270, 274, 282, 283, 296, 305, 34675, 65000, 65001):
        assert new.tags[code].value == old.tags[code].value, code


def test_a_microscope_with_coloured_marks_keeps_its_tags(shared_data, tmp_path):
    source = shared_data / "formats" / "test_tiff_Zeiss_SEM_512pix.tif"
    assert write_image(tmp_path / "b.tif", read_image(source)) == ["the palette is expanded to colours"]
    old, new = pages_of(source).first, pages_of(tmp_path / "b.tif").first
    assert new.tags["CZ_SEM"].value == old.tags["CZ_SEM"].value
    assert new.resolution == old.resolution
    with Image.open(source) as image:
        np.testing.assert_array_equal(new.asarray(), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_lossy_compression_becomes_deflate_and_is_announced(tile, tmp_path):
    smooth = np.dstack([np.tile(np.arange(40, 136, dtype=np.uint8), (64, 1)), np.full((64, 96), 90, np.uint8)] * 2)
    exif = [(34665, 4, 1, 8, True)]
    source = save(
        tmp_path / "a.tif", smooth[..., :3], photometric="rgb", compression="jpeg", tile=tile, description="cells",
        extratags=exif,
    )  # fmt: skip
    with Image.open(source) as image:
        reference = np.asarray(image.convert("RGB"))
    image = read_image(source)
    assert np.abs(image.pixels.astype(int) - reference.astype(int)).max() <= 1
    assert write_image(tmp_path / "b.tif", image) == ["JPEG compression becomes deflate"]
    new = pages_of(tmp_path / "b.tif").first
    assert (new.photometric.name, new.compression.name, new.description) == ("RGB", "ADOBE_DEFLATE", "cells")
    np.testing.assert_array_equal(new.asarray(), image.pixels)


def test_exif_goes_into_a_new_file_but_for_the_makers_notes(grey, tmp_path):
    exif = {
        0x829A: 0.01,
        0x9003: "2026:01:02 03:04:05",
        0x927C: b"notes of the maker",
        0xA432: (24.0, 70.0),
    }
    gps = {1: "N", 2: (48.0, 8.0, 0.5)}
    Image.fromarray(grey).quantize(16).save(tmp_path / "a.tif", tiffinfo={0x8769: exif, 0x8825: gps, 271: "Acme"})
    lost = write_image(tmp_path / "b.tif", read_image(tmp_path / "a.tif"))
    assert lost == ["the palette is expanded to colours", "not kept in the new TIFF: the maker's notes in EXIF"]
    with Image.open(tmp_path / "a.tif") as old, Image.open(tmp_path / "b.tif") as new:
        before, after = old.getexif(), new.getexif()
        kept = dict(before.get_ifd(0x8769))
        assert kept.pop(0x927C)
        assert dict(after.get_ifd(0x8769)) == kept
        assert dict(after.get_ifd(0x8825)) == dict(before.get_ifd(0x8825)) == gps
        assert after[271] == "Acme"
        np.testing.assert_array_equal(np.asarray(new), read_image(tmp_path / "a.tif").pixels)


def test_a_file_without_strip_lengths_is_written_anew(grey, tmp_path):
    source = save(tmp_path / "a.tif", grey, byteorder="<", description="cells")
    entry, data = pages_of(source).first.tags["StripByteCounts"].offset, bytearray(source.read_bytes())
    struct.pack_into("<H", data, entry, 280)  # it becomes MaxSampleValue
    source.write_bytes(data)
    image = read_image(source)
    np.testing.assert_array_equal(image.pixels, grey)
    write_image(tmp_path / "b.tif", image)
    new = pages_of(tmp_path / "b.tif").first
    assert new.description == "cells"
    np.testing.assert_array_equal(new.asarray(), grey)


def test_a_copy_that_would_not_read_as_meant_is_not_made(grey, tmp_path, monkeypatch):
    image = read_image(save(tmp_path / "a.tif", grey, description="cells"))
    monkeypatch.setattr(tiff, "put_pixels", lambda *arguments: None)
    write_image(tmp_path / "b.tif", replace(image, pixels=grey[::-1].copy()))
    new = pages_of(tmp_path / "b.tif").first
    assert new.description == "cells"
    np.testing.assert_array_equal(new.asarray(), grey[::-1])


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 31])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_new_tiff_is_one_picture_whatever_its_channels(channels, dtype, rng, tmp_path):
    array = rng.integers(0, 256, (9, 12, channels)).astype(dtype)
    array = array[..., 0] if channels == 1 else array
    write_image(tmp_path / "a.tif", ImageFile(array, "npy"))
    assert len(pages_of(tmp_path / "a.tif")) == 1
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, array)
    (tmp_path / "map.tif").write_bytes(encode_map(array))
    np.testing.assert_array_equal(read_image(tmp_path / "map.tif").pixels, array.astype(np.float32))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "map.tif"), array.astype(np.float32))


def test_smaller_sizes_stay_and_are_announced(grey, tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(grey, subifds=1, metadata=None)
        file.write(grey[::2, ::2].copy(), subfiletype=1, metadata=None)
    image = read_image(tmp_path / "a.tif")
    assert "2 sizes" in image.notes[0]
    write_image(tmp_path / "b.tif", replace(image, pixels=grey[::-1].copy()))
    page = pages_of(tmp_path / "b.tif").first
    np.testing.assert_array_equal(page.asarray(), grey[::-1])
    np.testing.assert_array_equal(page.pages[0].asarray(), grey[::2, ::2])


def test_files_that_ome_xml_names_are_never_opened(rng, tmp_path):
    grey = rng.integers(0, 256, (24, 40)).astype(np.uint8)
    save(tmp_path / "secret.tif", grey[::-1].copy())
    source = save(tmp_path / "a.tif", grey, description=ome_xml(2, "secret.tif"))
    np.testing.assert_array_equal(read_image(source).pixels, grey)


def test_a_flipped_bit_in_deflate_is_found(grey, tmp_path):
    source = save(tmp_path / "a.tif", grey, compression="adobe_deflate", rowsperstrip=16)
    page, data = pages_of(source).first, source.read_bytes()
    start, end = page.dataoffsets[0], page.dataoffsets[-1] + page.databytecounts[-1]
    for place in range(start, end, 37):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        (tmp_path / "b.tif").write_bytes(damaged)
        with pytest.raises(FileError, match="damaged TIFF"):
            read_image(tmp_path / "b.tif")


def test_directories_that_leave_the_file_or_fill_the_memory_are_refused(grey, tmp_path):
    data = save(tmp_path / "a.tif", grey, byteorder="<").read_bytes()
    entry = struct.pack("<HHLL", 34665, 4, 1, 2**31)  # EXIF beyond the file
    directory = struct.pack("<H", 1) + entry + b"\0" * 4
    head = data[:4] + struct.pack("<L", len(data)) + data[8:]
    assert find_directories(data) == ({}, [])
    assert find_directories(head + directory) == ({}, ["EXIF"])
    huge = struct.pack("<HHLL", 33432, 2, len(data), 8)
    many = struct.pack("<H", 60000) + huge * 60000
    started = time.perf_counter()
    assert find_directories(head + many + b"\0" * 4) == ({}, ["EXIF"])
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("bigtiff", [False, True])
def test_exif_moves_in_every_kind_of_tiff(byteorder, bigtiff, grey, rng, tmp_path):
    colours = rng.integers(0, 2**16, (3, 256)).astype(np.uint16)
    options = {"photometric": "palette", "colours": colours, "byteorder": byteorder, "bigtiff": bigtiff}
    (tmp_path / "a.tif").write_bytes(build_tiff(grey, Extras(), **options))
    assert write_image(tmp_path / "b.tif", read_image(tmp_path / "a.tif")) == ["the palette is expanded to colours"]
    new = pages_of(tmp_path / "b.tif").first
    assert new.tags[34665].value["ExposureTime"] == (1, 100)
    assert (new.parent.byteorder, new.parent.is_bigtiff) == (byteorder, bigtiff)
