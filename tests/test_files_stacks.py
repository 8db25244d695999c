"""Laws of stacks in files: what is not replaced stays bit for bit, what is replaced reads as what was meant."""

import io
import struct
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from bad_files import ome_xml
from mashpix import FileError, MashpixError, UsageError
from mashpix.axes import plane_groups
from mashpix.files import check_same_format, map_stack, open_file
from zarr_kinds import invert, planes_of


@pytest.fixture
def stack(rng):
    return rng.integers(0, 65536, (2, 3, 2, 24, 40)).astype(np.uint16)


LABELS = list("abcdefghijkl")
AXES = {"axes": "TZCYX"}
WRITERS = {
    "ImageJ": {"imagej": True, "metadata": AXES | {"spacing": 0.3, "Labels": LABELS}, "resolution": (3.0, 3.0)},
    "ImageJ, one directory": {"imagej": True, "metadata": AXES, "truncate": True},
    "OME": {"ome": True, "metadata": AXES | {"PhysicalSizeX": 0.1, "Channel": {"Name": ["DAPI", "GFP"]}}},
    "OME, tiles": {"ome": True, "metadata": AXES, "compression": "zlib", "tile": (16, 16), "predictor": True},
    "OME, BigTIFF": {"ome": True, "metadata": AXES, "bigtiff": True, "byteorder": ">"},
    "LZW": {"ome": True, "metadata": AXES, "compression": "lzw"},
}


@pytest.mark.parametrize("name", WRITERS)
def test_planes_change_and_all_else_stays(name, stack, tmp_path):
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(source, stack, **({"photometric": "minisblack"} | WRITERS[name]))
    before = source.read_bytes()
    opened = invert(source, target)
    assert (opened.axes, opened.shape, opened.dtype, opened.notes, opened.lost) == (
        "TZCYX", stack.shape, stack.dtype, (), (),
    )  # fmt: skip
    assert source.read_bytes() == before
    with tifffile.TiffFile(source) as old, tifffile.TiffFile(target) as new:
        np.testing.assert_array_equal(new.asarray(), 65535 - stack)
        assert new.series[0].axes == old.series[0].axes
        assert new.ome_metadata == old.ome_metadata
        assert new.imagej_metadata == old.imagej_metadata
        moved = {"StripOffsets", "StripByteCounts", "TileOffsets", "TileByteCounts"}
        for pages in zip(old.pages, new.pages, strict=True):
            values = [{tag.name: tag.value for tag in page.aspage().tags if tag.name not in moved} for page in pages]
            assert values[0] == values[1]


def test_a_plane_is_the_one_that_its_index_names(stack, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TZCYX"})
    np.save(tmp_path / "a.npy", stack)
    for opened in (open_file(tmp_path / "a.tif"), open_file(tmp_path / "a.npy", axes="TZCYX")):
        for index in planes_of(opened):
            np.testing.assert_array_equal(opened[index], stack[index])
        opened.close()


def test_pages_without_metadata_are_a_guess_that_is_announced(stack, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack[0, 0], metadata=None)
    opened = open_file(tmp_path / "a.tif")
    assert opened.axes == "ZYX"
    assert "read as ZYX, 2 planes" in opened.notes[0]
    opened.close()
    opened = open_file(tmp_path / "a.tif", axes="cyx")
    assert (opened.axes, opened.notes) == ("CYX", ())
    opened.close()
    for axes in ("CY", "YXC", "CYY"):
        with pytest.raises(UsageError, match="axes"):
            open_file(tmp_path / "a.tif", axes=axes)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_alpha_and_colours_of_a_stack_are_kept(planar, rng, tmp_path):
    stack = rng.integers(0, 256, (3, 24, 40, 4)).astype(np.uint8)
    stored = stack if planar == "contig" else np.moveaxis(stack, -1, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, extrasamples=["unassalpha"],
                     ome=True, metadata={"axes": "ZYXS" if planar == "contig" else "ZSYX"})  # fmt: skip
    opened = invert(tmp_path / "a.tif", tmp_path / "b.tif")
    assert dict(zip(opened.axes, opened.shape, strict=True))["S"] == 3
    new = tifffile.imread(tmp_path / "b.tif")
    new = new if planar == "contig" else np.moveaxis(new, 1, -1)
    np.testing.assert_array_equal(new[..., :3], 255 - stack[..., :3])
    np.testing.assert_array_equal(new[..., 3], stack[..., 3])


def test_a_pyramid_is_made_from_the_result(rng, tmp_path):
    stack = rng.integers(0, 65536, (3, 64, 96)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(stack, subifds=2, tile=(16, 16), metadata={"axes": "ZYX"}, photometric="minisblack")
        file.write(stack[:, ::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")
        file.write(stack[:, :20, :20], subfiletype=1, photometric="minisblack")
    opened = invert(tmp_path / "a.ome.tif", tmp_path / "b.ome.tif")
    assert [note[:5] for note in opened.notes] == ["the 1", "1 of "]
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        full, half, odd = (level.asarray() for level in file.series[0].levels)
    np.testing.assert_array_equal(full, 65535 - stack)
    means = full.reshape(3, 32, 2, 48, 2).mean(axis=(2, 4))
    np.testing.assert_array_equal(half, np.rint(means).astype(np.uint16))
    np.testing.assert_array_equal(odd, stack[:, :20, :20])


def test_the_largest_series_is_taken_and_the_rest_stays(stack, tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif", ome=True) as file:
        file.write(stack[0, 0, 0, :9, :9], metadata={"axes": "YX"}, photometric="minisblack")
        file.write(stack[0, 0], metadata={"axes": "CYX"}, photometric="minisblack")
    opened = invert(tmp_path / "a.tif", tmp_path / "b.tif")
    assert opened.axes == "CYX"
    assert opened.notes[0].startswith("holds 2 series: the largest, number 2 (")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        np.testing.assert_array_equal(file.series[0].asarray(), stack[0, 0, 0, :9, :9])
        np.testing.assert_array_equal(file.series[1].asarray(), 65535 - stack[0, 0])


def test_pages_that_share_their_pixels_part_when_they_differ(tmp_path):
    blank = np.zeros((3, 16, 20), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", blank, photometric="minisblack", metadata=None, byteorder="<")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        first = file.pages[0].dataoffsets[0]
        places = [page.aspage().tags["StripOffsets"].valueoffset for page in file.pages]
    for place in places:
        struct.pack_into("<I", data, place, first)
    (tmp_path / "a.tif").write_bytes(data)
    opened = open_file(tmp_path / "a.tif")
    with closing(opened), opened.copy_to(tmp_path / "b.tif", overwrite=False) as put:
        for number, index in enumerate(planes_of(opened)):
            put(index, np.full((16, 20), number, np.uint8))
    assert [plane.max() for plane in tifffile.imread(tmp_path / "b.tif")] == [0, 1, 2]


def test_lossy_planes_become_deflate_and_that_is_announced(tmp_path):
    smooth = np.tile(np.arange(40, 136, dtype=np.uint8)[:, None], (3, 32, 1, 3))
    tifffile.imwrite(tmp_path / "a.tif", smooth, photometric="rgb", compression="jpeg", metadata=None)
    opened = open_file(tmp_path / "a.tif")
    old = np.stack([opened[index] for index in planes_of(opened)])
    opened.close()
    opened = invert(tmp_path / "a.tif", tmp_path / "b.tif")
    assert opened.lost == ("JPEG compression becomes deflate",)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), 255 - old)
    with Image.open(tmp_path / "b.tif") as image:
        image.seek(2)
        np.testing.assert_array_equal(np.asarray(image), 255 - old[2])


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_stacks_keep_their_header_and_order(order, stack, tmp_path):
    np.save(tmp_path / "a.npy", np.asarray(stack, dtype=">u2", order=order))
    opened = invert(tmp_path / "a.npy", tmp_path / "b.npy", axes="TZCYX")
    assert opened.dtype == np.uint16
    old, new = (tmp_path / name for name in ("a.npy", "b.npy"))
    np.testing.assert_array_equal(np.load(new), 65535 - stack)
    assert new.read_bytes()[:128] == old.read_bytes()[:128]
    with closing(open_file(old)) as opened:
        assert "read as QTZYX" in opened.notes[0]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mapped files")
def test_a_stack_is_not_mapped_longer_than_a_plane_is_read(stack, tmp_path):
    np.save(tmp_path / "a.npy", stack)
    opened = open_file(tmp_path / "a.npy", axes="TZCYX")
    with closing(opened), opened.copy_to(tmp_path / "b.npy", overwrite=False) as put:
        for index in planes_of(opened):
            put(index, opened[index])
            assert str(tmp_path) not in Path("/proc/self/maps").read_text()


LAYOUTS = {"TCYX": (3, 2, 24, 40), "TYXS": (3, 24, 40, 3), "TSYX": (2, 3, 24, 40), "QYX": (3, 24, 40), "YX": (24, 40),
           "CZTYX": (2, 3, 2, 24, 40), "ZYXS": (2, 24, 40, 2)}  # fmt: skip


@pytest.mark.parametrize("ending", ["tif", "npy"])
@pytest.mark.parametrize("axes", LAYOUTS)
def test_maps_hold_each_plane_in_its_place(axes, ending, rng, tmp_path):
    values = rng.normal(size=LAYOUTS[axes]).astype(np.float32)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with map_stack(tmp_path / name / f"m.{ending}", axes=axes, shape=values.shape, overwrite=False) as put:
            for group in plane_groups(axes, values.shape, joint=False):
                for (index,) in reversed(group):
                    put(index, values[index].astype(np.float64))
    path = tmp_path / "a" / f"m.{ending}"
    assert path.read_bytes() == (tmp_path / "b" / f"m.{ending}").read_bytes()
    if ending == "npy":
        np.testing.assert_array_equal(np.load(path), values)
        return
    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == axes
        np.testing.assert_array_equal(file.asarray(), values)
    if "S" in axes:  # Pillow knows no colours of floats
        return
    with Image.open(path) as second:
        assert second.size == (40, 24)
        assert second.n_frames == sum(map(len, plane_groups(axes, values.shape, joint=False)))


def test_a_map_is_whole_or_absent(tmp_path):
    with pytest.raises(KeyError), map_stack(tmp_path / "m.tif", axes="TYX", shape=(2, 8, 8), overwrite=False):
        raise KeyError
    with map_stack(tmp_path / "n.npy", axes="TYX", shape=(2, 8, 8), overwrite=False):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["n.npy"]
    assert not np.load(tmp_path / "n.npy").any()
    with (
        pytest.raises(FileError, match="the output exists"),
        map_stack(tmp_path / "n.npy", axes="TYX", shape=(2, 8, 8), overwrite=False),
    ):
        pass


def test_single_images_are_no_stacks(rng, tmp_path):
    grey = rng.integers(0, 256, (24, 40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", grey)
    np.save(tmp_path / "a.npy", np.dstack([grey] * 3))
    assert not open_file(tmp_path / "a.tif").is_stack
    assert not open_file(tmp_path / "a.npy").is_stack
    with pytest.raises(FileError, match="a stack keeps its format"):
        check_same_format(tmp_path / "a.tif", tmp_path / "b.npy")
    check_same_format(tmp_path / "a.tif", tmp_path / "b.tiff")


def test_ome_xml_that_declares_more_planes_than_there_are(rng, tmp_path):
    stack = rng.integers(0, 256, (2, 24, 40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, description=ome_xml(10**12, None), metadata=None)
    with pytest.raises(FileError, match="declares 1000000000000 planes and holds 2"):
        open_file(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "secret.tif", stack[::-1].copy(), metadata=None)
    tifffile.imwrite(tmp_path / "b.tif", stack, description=ome_xml(4, "secret.tif"), metadata=None)
    opened = open_file(tmp_path / "b.tif")
    assert "names other files too" in opened.notes[0]
    assert opened.shape == stack.shape
    np.testing.assert_array_equal(opened[planes_of(opened)[0]], stack[0])
    opened.close()


def test_damaged_stacks_are_refused_or_give_one_line(stack, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TZCYX"})
    data = (tmp_path / "a.tif").read_bytes()
    for length in range(1, len(data), 1013):
        (tmp_path / "cut.tif").write_bytes(data[:length])
        with pytest.raises(FileError):
            open_file(tmp_path / "cut.tif")
    np.save(tmp_path / "a.npy", stack)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(FileError, match="truncated or damaged NPY"):
        open_file(tmp_path / "cut.npy")


def test_pixels_that_lie_over_a_directory_are_refused(stack, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack[0, 0], photometric="minisblack", metadata=None)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        second = file.pages[1].aspage()
        struct.pack_into("<I", data, second.tags["StripOffsets"].valueoffset, second.offset + 8 - stack[0, 0, 0].nbytes)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(FileError, match="an unusual TIFF"):
        invert(tmp_path / "a.tif", tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").exists()


def test_flipped_bits_never_raise_anything_else(stack, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack[:1], ome=True, metadata={"axes": "TZCYX"}, compression="lzw")
    data = (tmp_path / "a.tif").read_bytes()
    refused = 0
    for place in [*range(0, 400, 3), *range(400, len(data), 397)]:
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        (tmp_path / "b.tif").write_bytes(flipped)
        try:
            opened = open_file(tmp_path / "b.tif")
            if opened is not None:
                with closing(opened):
                    for index in planes_of(opened):
                        assert opened[index].size > 0
        except MashpixError:
            refused += 1
    assert refused > 0


def test_many_directories_are_opened_in_time(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((1000, 8, 8), np.uint8), photometric="minisblack", metadata=None)
    started = time.perf_counter()
    open_file(tmp_path / "a.tif").close()
    assert time.perf_counter() - started < 10


def test_a_real_time_series_keeps_everything_but_its_pixels(shared_data, tmp_path):
    source = shared_data / "formats" / "4D-series.ome.tiff"
    opened = open_file(source)
    assert (opened.axes, opened.shape, opened.dtype) == ("TZYX", (7, 5, 167, 439), np.int8)
    with opened.copy_to(tmp_path / "b.ome.tiff", overwrite=False) as put:
        for index in planes_of(opened):
            put(index, 127 - np.abs(opened[index]))
    opened.close()
    with tifffile.TiffFile(source) as old, tifffile.TiffFile(tmp_path / "b.ome.tiff") as new:
        np.testing.assert_array_equal(new.asarray(), 127 - np.abs(old.asarray()))
        assert new.ome_metadata == old.ome_metadata
