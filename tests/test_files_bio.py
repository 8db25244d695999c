"""Laws of microscope files: the planes that were written come back one by one, and go into an OME-TIFF that says so."""

import json
import re
from contextlib import closing

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import programs
from instrument_files import build_lif, write_czi
from mashpix import FileError, UsageError, extras
from mashpix.cli import app
from mashpix.errors import ExtraError
from mashpix.files import check_same_format, open_file, read_image
from mashpix.files.reader_process import Child
from mashpix.files.tiff import empty
from mashpix.jobs.batch.items import output_name
from zarr_kinds import planes_of

QUICK = ("--masking-ratio", "0.5", "--steps", "3",
         "--network-channels", "4", "--depth", "2", "--masks", "2", "--threads", "1",
         "--no-refine")  # fmt: skip


@pytest.fixture
def stack(rng):
    return rng.integers(0, 4096, (2, 2, 3, 24, 32)).astype(np.uint16)


@pytest.fixture
def czi(tmp_path, stack):
    pytest.importorskip("pylibCZIrw", reason="CZI needs pylibCZIrw (the extra bio)")
    write_czi(tmp_path / "a.czi", [stack])
    return tmp_path / "a.czi"


def load(opened):
    """All planes of a stack as one array."""
    whole = np.empty(opened.shape, opened.dtype)
    for index in planes_of(opened):
        whole[index] = opened[index]
    return whole


def copy(opened, target):
    """An OME-TIFF of the same planes, put there from the last to the first."""
    with opened.copy_to(target, overwrite=True) as put:
        for index in reversed(planes_of(opened)):
            put(index, opened[index])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_czi_goes_into_an_ome_tiff_with_its_names_and_sizes(dtype, czi, stack, tmp_path):
    stack = (stack % 250).astype(dtype)
    write_czi(czi, [stack])
    with closing(open_file(czi)) as opened:
        assert (opened.axes, opened.shape, opened.dtype) == ("TCZYX", stack.shape, stack.dtype)
        np.testing.assert_array_equal(load(opened), stack)
        copy(opened, tmp_path / "b.ome.tif")
        copy(opened, tmp_path / "c.ome.tif")
    assert (tmp_path / "b.ome.tif").read_bytes() == (tmp_path / "c.ome.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        np.testing.assert_array_equal(file.asarray(), stack)
        assert (file.series[0].axes, len(file.pages)) == ("TCZYX", 12)
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [channel["Name"] for channel in pixels["Channel"]] == ["DAPI", "GFP"]
    steps = {letter: (pixels[f"PhysicalSize{letter}"], pixels[f"PhysicalSize{letter}Unit"]) for letter in "XYZ"}
    assert steps == {"X": (0.1, "µm"), "Y": (0.1, "µm"), "Z": (0.5, "µm")}
    with closing(open_file(tmp_path / "b.ome.tif")) as again:
        np.testing.assert_array_equal(load(again), stack)


def test_tiles_are_joined_where_the_file_places_them(czi, stack):
    write_czi(czi, [stack], tiles=4)
    with closing(open_file(czi)) as opened:
        np.testing.assert_array_equal(load(opened), stack)
        assert any("joined" in note for note in opened.notes)


def test_what_is_too_large_for_a_tiff_becomes_a_bigtiff(czi, stack, tmp_path, monkeypatch):
    monkeypatch.setattr(empty, "LARGEST_CLASSIC", stack.nbytes - 1)
    with closing(open_file(czi)) as opened:
        copy(opened, tmp_path / "b.ome.tif")
    assert (tmp_path / "b.ome.tif").read_bytes()[:4] == b"II+\0"
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.ome.tif"), stack)


def test_other_programs_read_the_planes(czi, stack, tmp_path):
    if missing := {"tiffinfo", "vips"} - programs.there():
        pytest.skip(f"second readers are not here ({', '.join(sorted(missing))})")
    with closing(open_file(czi)) as opened:
        copy(opened, tmp_path / "b.ome.tif")
    np.testing.assert_array_equal(programs.pixels_by_vips(tmp_path / "b.ome.tif"), stack.reshape(-1, 32))
    assert programs.run("tiffinfo", tmp_path / "b.ome.tif").count("=== TIFF directory") == 12


def test_colours_come_red_first(czi, rng, tmp_path):
    colours = rng.integers(0, 256, (1, 24, 32, 3)).astype(np.uint8)
    write_czi(czi, [colours], axes="CYXS")
    with closing(open_file(czi)) as opened:
        assert opened.axes == "TCZYXS"
        np.testing.assert_array_equal(load(opened)[0, :, 0], colours)
        copy(opened, tmp_path / "b.ome.tif")
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert (file.pages.first.photometric.name, file.pages.first.samplesperpixel) == ("RGB", 3)
        np.testing.assert_array_equal(file.asarray().reshape(24, 32, 3), colours[0])


@pytest.mark.parametrize("named", [True, False])
def test_the_largest_scene_is_taken_and_the_others_are_counted(named, czi, stack):
    write_czi(czi, [stack[..., :16, :], stack, stack[..., :16]], named=named)
    with closing(open_file(czi)) as opened:
        np.testing.assert_array_equal(load(opened), stack)
        name = "well 1" if named else "scene 1"
        assert opened.lost[-1] == f"of its 3 scenes, the largest is taken ({name!r}, {stack.shape})"


def test_a_lif_is_read_by_bioio(stack, tmp_path):
    for module in ("bioio", "bioio_lif"):
        pytest.importorskip(module, reason="LIF needs bioio and bioio-lif (the extra bio)")
    (tmp_path / "a.lif").write_bytes(build_lif({"small": stack[:1], "large": stack}))
    with closing(open_file(tmp_path / "a.lif")) as opened:
        assert (opened.axes, opened.shape, opened.dtype) == ("TCZYX", stack.shape, stack.dtype)
        np.testing.assert_array_equal(load(opened), stack)
        assert opened.lost[-1].startswith("of its 2 scenes, the largest is taken ('large'")
        copy(opened, tmp_path / "b.ome.tif")
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        np.testing.assert_array_equal(file.asarray(), stack)
        assert 'Name="Green"' in file.ome_metadata
        assert 'PhysicalSizeX="0.2"' in file.ome_metadata


def test_a_cut_czi_is_one_line(czi):
    data = czi.read_bytes()
    for size in (10, 600, len(data) // 2):
        czi.write_bytes(data[:size])
        with pytest.raises(FileError, match="damaged CZI") as caught:
            open_file(czi)
        assert "\n" not in str(caught.value)


def test_more_planes_than_the_file_can_hold_are_refused(czi, stack):
    from pylibCZIrw import czi as zeiss

    with zeiss.create_czi(str(czi), exist_ok=True) as file:
        for time in (0, 10**8):
            file.write(data=stack[0, 0, 0], plane={"T": time})
    with pytest.raises(FileError, match="declares 100000001 planes"):
        open_file(czi)


def test_damage_is_refused_or_read_and_never_ends_this_process(czi, rng):
    data, refused = czi.read_bytes(), []
    for place in rng.integers(0, len(data) - 64, 5):
        noise = rng.integers(0, 256, 64).astype(np.uint8).tobytes()
        czi.write_bytes(data[:place] + noise + data[place + 64 :])
        try:
            with closing(open_file(czi)) as opened:
                load(opened)
        except FileError as error:
            refused.append(str(error))
    assert refused
    assert not any("\n" in message for message in refused)


@pytest.mark.parametrize(
    ("what", "message"),
    [("crash", r"crashed on it \(exit code -6"), ("hang", r"took longer than 1 s"), ("shout", "damaged file")],
)
def test_a_reader_that_crashes_or_hangs_costs_one_file(what, message):
    with Child("bad_reader", what="file") as child:
        assert child.ask({"do": "answer"}, b"abc")[0] == {"length": 3}
        child.time_limit = 1.0 if what == "hang" else child.time_limit
        with pytest.raises(FileError, match=message):
            child.ask({"do": what})
    assert child.process.returncode is not None


def test_the_command_line_denoises_a_czi_into_an_ome_tiff(czi, stack, tmp_path):
    before = czi.read_bytes()
    done = CliRunner().invoke(app, ["denoise", str(czi), *QUICK])
    assert done.exit_code == 0, done.output
    assert "TCZYX 2 x 2 x 3 x 24 x 32, networks shared" in done.output
    assert "axes, channel names and pixel sizes are kept, other metadata are not kept" in done.output
    denoised = tifffile.imread(tmp_path / "a_denoised.ome.tif")
    assert (denoised.shape, denoised.dtype) == (stack.shape, stack.dtype)
    assert denoised.std() < 0.8 * stack.std()
    assert czi.read_bytes() == before
    recipe = tmp_path / "a_denoised.ome.tif.json"
    assert json.loads(recipe.read_text())["stack"]["axes"] == "TCZYX"
    again = CliRunner().invoke(app, ["denoise", str(czi), "--recipe", str(recipe), "-o", str(tmp_path / "b.tif")])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "a_denoised.ome.tif").read_bytes()


def test_what_makes_no_sense_is_said_before_work_starts(czi, tmp_path):
    for arguments, message in (
        (("--strict",), "not all of it can be kept"),
        (("--max-pixels", "100"), "too large"),
        (("-o", str(tmp_path / "b.png")), "a stack keeps its format ('.png'; '.tif' needed)"),
        (("--in-place",), "a stack keeps its format ('.czi'; '.tif' needed)"),
    ):
        done = CliRunner().invoke(app, ["denoise", str(czi), *QUICK, *arguments])
        assert (done.exit_code, message in done.output) == (1, True), done.output
    with pytest.raises(UsageError, match="axes of this file are TCZYX"):
        open_file(czi, axes="CTZYX")
    with pytest.raises(FileError, match="a single image needed here"):
        read_image(czi)
    other = czi.rename(tmp_path / "a.tif")
    with pytest.raises(FileError, match="with another ending"):
        open_file(other)
    other.rename(czi)
    assert output_name(czi) == "a_denoised.ome.tif"
    check_same_format(czi, tmp_path / "b.ome.tiff")
    assert [path.name for path in tmp_path.iterdir()] == ["a.czi"]


def test_without_the_libraries_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    for name, start in (("a.czi", b"ZISRAWFILE"), ("a.nd2", b"\xda\xce\xbe\x0a"), ("a.dv", b"anything")):
        (tmp_path / name).write_bytes(start.ljust(600, b"\0"))
        with pytest.raises(ExtraError, match=re.escape('pip install "mashpix[bio]"')):
            open_file(tmp_path / name)
