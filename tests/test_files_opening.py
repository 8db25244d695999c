"""Laws of `open_file`: any file is a stack of planes, read once, and copied whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mashpix import FileError
from mashpix.files import OpenFile, hash_file, open_file, read_image
from mashpix.jobs.batch.items import output_name
from zarr_kinds import planes_of

GREY, RGB = (24, 40), (24, 40, 3)


def save(path, shape, **options):
    """A file of random values."""
    values = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, picture=values)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, values, **({"photometric": "minisblack"} | options))
    else:
        Image.fromarray(values).save(path, **options)
    return values


MINISBLACK = {"photometric": "minisblack", "metadata": None}
FILES = {  # ending, shape, options, axes that are named; the axes that are found, and whether they are RGB
    "PNG grey": (".png", GREY, {}, None, "YX", False),
    "PNG RGB": (".png", RGB, {}, None, "YXS", True),
    "JPEG": (".jpg", RGB, {}, None, "YXS", True),
    "WebP": (".webp", RGB, {"lossless": True}, None, "YXS", True),
    "TIFF grey": (".tif", GREY, MINISBLACK, None, "YX", False),
    "TIFF RGB": (".tif", RGB, {"photometric": "rgb"}, None, "YXS", True),
    "TIFF JPEG, YCbCr": (".tif", RGB, {"photometric": "rgb", "compression": "jpeg"}, None, "YXS", True),
    "TIFF of three samples": (".tif", RGB, MINISBLACK | {"planarconfig": "contig"}, None, "YXS", False),
    "TIFF of five samples": (".tif", (*GREY, 5), MINISBLACK | {"planarconfig": "contig"}, None, "YXS", False),
    "TIFF RGB, alpha": (".tif", (*GREY, 4), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, None, "YXS", True),
    "TIFF of channels": (".tif", (3, *GREY), {"ome": True, "metadata": {"axes": "CYX"}}, None, "CYX", False),
    "TIFF stack of RGB": (".tif", (2, *RGB), {"photometric": "rgb"}, None, "ZYXS", True),
    "TIFF stack, samples": (".tif", (2, *RGB), MINISBLACK | {"planarconfig": "contig"}, None, "ZYXS", False),
    "NPY grey": (".npy", GREY, {}, None, "YX", False),
    "NPY": (".npy", RGB, {}, None, "YXS", None),
    "NPY, samples named": (".npy", RGB, {}, "YXS", "YXS", True),
    "NPY of channels": (".npy", (3, *GREY), {}, "CYX", "CYX", False),
    "NPY stack": (".npy", (2, *RGB), {}, None, "ZYXS", None),
    "NPY stack, samples named": (".npy", (2, *RGB), {}, "ZYXS", "ZYXS", True),
    "NPZ": (".npz", RGB, {}, None, "YXS", None),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_what_it_is_and_comes_back_changed(name, tmp_path):
    suffix, shape, options, axes, found, is_rgb = FILES[name]
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    save(source, shape, **options)
    with open_file(source, axes=axes) as opened:
        typed: OpenFile = opened
        assert (typed.axes, typed.dtype, typed.is_rgb) == (found, np.uint8, is_rgb)
        assert opened.is_stack == (len(planes_of(opened)) > 1)
        assert opened.sha256() == hash_file(source)
        opened.check_target(target, strict=False)
        with opened.copy_to(target, overwrite=False) as copy:
            assert not target.exists()
            for index in planes_of(opened):
                copy(index, opened[index][::-1].copy())
        with open_file(target, axes=axes) as again:
            assert (again.axes, again.shape, again.is_rgb) == (opened.axes, opened.shape, is_rgb)
            for index in planes_of(opened):
                difference = again[index].astype(int) - opened[index][::-1]
                assert np.abs(difference).mean() < (20 if "JPEG" in name else 1e-9)


def test_a_single_image_is_identified_once_and_read_once(tmp_path, monkeypatch):
    save(tmp_path / "a.png", RGB)
    opens = []
    opening = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *rest, **more: opens.append(path) or opening(path, *rest, **more))
    with open_file(tmp_path / "a.png") as opened:
        opened.sha256()
        assert np.array_equal(opened[:, :], opened.image.pixels)
    assert len(opens) == 2  # its first bytes, then all of it


def test_a_plane_that_was_just_read_is_not_decoded_again(tmp_path, monkeypatch):
    save(tmp_path / "a.tif", (3, *GREY), compression="zlib")
    decoded = []
    decode = tifffile.TiffPage.asarray
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page, *rest: decoded.append(1) or decode(page, *rest))
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", lambda page, *rest: decoded.append(1) or decode(page, *rest))
    with open_file(tmp_path / "a.tif") as opened:
        for index in planes_of(opened):
            assert opened[index] is opened[index]
        assert len(decoded) == 3


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_what_is_kept_cannot_be_changed(name, tmp_path):
    save(tmp_path / name, (3, *GREY) if name != "a.png" else GREY)
    with open_file(tmp_path / name) as opened:
        index = planes_of(opened)[0]
        before = opened[index].copy()
        with pytest.raises(ValueError, match="read-only"):
            opened[index][...] = 0
        np.testing.assert_array_equal(opened[index], before)


def put_and_stop(copy, index, plane):
    copy(index, plane)
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_a_copy_that_ends_early_leaves_nothing_and_takes_no_more_planes(name, tmp_path):
    save(tmp_path / name, (3, *GREY) if name != "a.png" else GREY)
    with open_file(tmp_path / name) as opened:
        index = planes_of(opened)[0]
        with pytest.raises(KeyboardInterrupt), opened.copy_to(tmp_path / f"b{name}", overwrite=False) as copy:
            put_and_stop(copy, index, opened[index])
        with pytest.raises(FileError, match="the copy is closed"):
            copy(index, opened[index])
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_a_plane_that_does_not_fit_is_refused(name, tmp_path):
    save(tmp_path / name, (3, *GREY) if name != "a.png" else GREY)
    with open_file(tmp_path / name) as opened:
        index = planes_of(opened)[0]
        for plane in (opened[index].astype(np.float32), opened[index][:-1]):
            with (
                pytest.raises(FileError, match="not the pixels of the file"),
                opened.copy_to(tmp_path / f"b{name}", overwrite=False) as copy,
            ):
                copy(index, plane)


def test_what_is_lost_is_said_once_and_refused_if_strict(tmp_path):
    Image.fromarray(np.arange(960, dtype=np.uint8).reshape(GREY)).convert("P").save(tmp_path / "a.png")
    with open_file(tmp_path / "a.png") as opened:
        assert opened.lost == ("the palette is expanded to colours",)
        with opened.copy_to(tmp_path / "b.png", overwrite=False) as copy:
            pass
        assert copy.warnings == []
        with opened.copy_to(tmp_path / "b.tif", overwrite=False) as copy:
            pass
        assert [line[:15] for line in copy.warnings] == ["written as TIFF"]
        with pytest.raises(FileError, match="palette is expanded"):
            opened.check_target(tmp_path / "c.png", strict=True)
        with (
            pytest.raises(FileError, match="palette is expanded"),
            opened.copy_to(tmp_path / "c.png", overwrite=False, strict=True),
        ):
            pass
    assert not (tmp_path / "c.png").exists()
    assert read_image(tmp_path / "b.png").pixels.shape == RGB


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("small.ome.tif", "small_denoised.ome.tif"),
        ("small.OME.TIFF", "small_denoised.OME.TIFF"),
        ("small.ome.zarr", "small_denoised.ome.zarr"),
        ("small.1.tif", "small.1_denoised.tif"),
        ("small.ome.png", "small.ome_denoised.png"),
        ("small.czi", "small_denoised.ome.tif"),
        (".ome.tif", ".ome_denoised.tif"),
        ("small", "small_denoised"),
    ],
)
def test_an_output_is_marked_before_the_whole_ending(name, expected):
    assert output_name(Path(name)) == expected
