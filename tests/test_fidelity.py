"""Laws of fidelity: every file comes back as it was, or a line says what did not; other readers confirm it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import measured_page
from fidelity import KINDS, confirmed, round_trip, table, tolerance_of, verdicts
from file_kinds import Extras, Kind, build_npy, build_tiff
from instrument_table import instrument_files, instrument_table
from mashpix import FileError
from mashpix.files import check_writable, read_image, write_image
from measured_page import FILES_MARK, KINDS_MARK, PROGRAMS_MARK, comparable, read_part

EXTRAS = st.builds(
    Extras,
    icc=st.booleans(),
    exif=st.booleans(),
    orientation=st.none() | st.integers(1, 8),
    resolution=st.booleans(),
    text=st.booleans(),
    other=st.booleans(),
)
PICTURES = st.fixed_dictionaries(  # of fewer rows than channels, other readers do not know which axis is which
    {"height": st.integers(8, 40), "width": st.integers(8, 40), "seed": st.integers(0, 2**31)}
)
DTYPES = [f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64)] + ["float16", "float32", "float64"]


@st.composite
def tiffs(draw):
    """A TIFF of any dtype, channels, byte order, layout, compression and alpha."""
    dtype, channels = draw(st.sampled_from(DTYPES)), draw(st.integers(1, 5))
    options = {"byteorder": draw(st.sampled_from("<>")), "bigtiff": draw(st.booleans())}
    options["compression"] = draw(st.sampled_from([None, "lzw", "adobe_deflate", "packbits", "zstd", "lzma"]))
    if options["compression"] not in (None, "packbits") and draw(st.booleans()):
        options["predictor"] = 3 if dtype.startswith("float") else 2
    layout = draw(st.sampled_from(["strips", "tiles", "default"]))
    if layout != "default":
        options |= {"tile": (16, 32)} if layout == "tiles" else {"rowsperstrip": draw(st.integers(1, 64))}
    if channels > 1:
        options["planar"] = draw(st.booleans())
    if channels in (2, 4):
        options["extrasamples"] = [draw(st.sampled_from(["unassalpha", "assocalpha", "unspecified"]))]
    if channels == 1 and dtype.startswith("uint"):
        options["photometric"] = draw(st.sampled_from(["minisblack", "miniswhite"]))
    return Kind("TIFF", ".tif", build_tiff, dtype, channels, options)


@st.composite
def npys(draw):
    """An NPY of any dtype, byte order and order of axes."""
    options = {"byteorder": draw(st.sampled_from("<>")), "order": draw(st.sampled_from("CF"))}
    return Kind("NPY", ".npy", build_npy, draw(st.sampled_from(DTYPES)), draw(st.sampled_from([1, 3, 4])), options)


def check(kind, extras, folder, **size):
    """The law: pixels as meant, all else kept or announced, and the file that comes back does the same again."""
    source, target = folder / f"a{kind.suffix}", folder / f"b{kind.suffix}"
    source.write_bytes(kind.make(extras, **size))
    target.unlink(missing_ok=True)
    before, after, lost = round_trip(source, target, step=kind.step)
    assert before.pixels.dtype == np.dtype(kind.dtype)
    assert "LOST" not in verdicts(source, target, lost).values()
    confirmed(source, target, before, after, tolerance=tolerance_of(kind))
    again = read_image(target)
    assert (again.pixels.shape, again.pixels.dtype) == (after.pixels.shape, after.pixels.dtype)
    if before.alpha is not None:
        np.testing.assert_array_equal(again.alpha, before.alpha)
    if not kind.is_lossy:
        np.testing.assert_array_equal(again.pixels, after.pixels)
    if lost:
        with pytest.raises(FileError, match=re.escape(lost[0])):
            check_writable(before, folder / f"c{kind.suffix}", strict=True)
        with pytest.raises(FileError, match="`strict`"):
            write_image(folder / f"c{kind.suffix}", after, strict=True)
        assert not (folder / f"c{kind.suffix}").exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fidelity")


@settings(max_examples=40)
@given(kind=st.sampled_from(KINDS), extras=EXTRAS, size=PICTURES)
def test_every_kind_of_file_comes_back_as_it_was_or_says_what_did_not(folder, kind, extras, size):
    check(kind, extras, folder, **size)


@settings(max_examples=40)
@given(kind=tiffs() | npys(), extras=EXTRAS, size=PICTURES)
def test_so_does_every_layout_of_tiff_and_npy(folder, kind, extras, size):
    check(kind, extras, folder, **size)


@pytest.mark.slow
@settings(max_examples=1500)
@given(kind=st.sampled_from(KINDS) | tiffs() | npys(), extras=EXTRAS, size=PICTURES)
def test_many_files_come_back(folder, kind, extras, size):
    check(kind, extras, folder, **size)


def test_the_table_in_the_documentation_is_what_the_libraries_see(monkeypatch):
    monkeypatch.setattr(measured_page, "versions", dict)
    assert comparable(read_part(KINDS_MARK)) == comparable(table(programs=False))


def rows_of(mark, names):
    """The heads of a documented table, and its rows for these kinds or files."""
    heads, line, *rows = read_part(mark).splitlines()
    return "\n".join([heads, line, *(row for row in rows if row.removeprefix("| ").split(" | ")[0] in names)])


@pytest.mark.parametrize("kinds", [KINDS[::13], pytest.param(KINDS, marks=pytest.mark.slow)], ids=["some", "all"])
def test_the_table_in_the_documentation_is_what_programs_see(kinds):
    """Programs that are not here, or in another version, are left out of the comparison; see `measured_page`."""
    assert comparable(rows_of(KINDS_MARK, {kind.name for kind in kinds})) == comparable(table(kinds))


@pytest.mark.parametrize("count", [1, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"])
def test_the_table_of_files_of_instruments_is_what_was_measured(count, shared_data):
    sources = instrument_files()[:count]
    documented = rows_of(FILES_MARK, {path.name for path in sources})
    assert comparable(documented) == comparable(instrument_table(sources))


def test_other_programs_than_the_page_names_are_not_compared(monkeypatch):
    line = "| TIFF | kept | Pillow, vips, tiffcp | exiftool (3 differ), tiffinfo |"
    for installed, expected in (
        ({}, "TIFF\nkept\nPillow\n–"),
        ({"vips": "0.1"}, "TIFF\nkept\nPillow\n–"),
        (dict(re.findall(r"(\w+) ([\d.]+\d)", read_part(PROGRAMS_MARK))), line.strip("| ").replace(" | ", "\n")),
    ):
        monkeypatch.setattr(measured_page, "versions", lambda installed=installed: installed)
        assert comparable(line) == expected


def test_nothing_is_lost_in_silence_and_a_loss_would_be_seen(folder):
    """The verdict itself: a file without its profile, of which no line speaks, is found."""
    kind = next(kind for kind in KINDS if kind.name == "PNG RGB, 8 bits")
    source, target = folder / "whole.png", folder / "poor.png"
    source.write_bytes(kind.make(Extras()))
    target.write_bytes(kind.make(Extras(icc=False)))
    found = verdicts(source, target, [])
    assert [name for name, verdict in found.items() if verdict == "LOST"] == ["ICC"]
    assert verdicts(source, target, ["the profile is not kept"])["ICC"] == "warned"
    image = read_image(source)
    with pytest.raises(AssertionError, match="other pixels"):
        confirmed(source, source, image, replace(image, pixels=image.pixels[::-1]), tolerance=0)


SINGLE = ["693_UNCR_CT_int16", "A_0_0", "FEI-Helios-Ebeam-16bits", "image_float32", "test_tiff_Zeiss_SEM_512pix"]


@pytest.mark.parametrize("name", SINGLE)
def test_files_of_instruments_come_back(name, shared_data, folder):
    source, target = shared_data / "formats" / f"{name}.tif", folder / f"{name}.tif"
    before, after, lost = round_trip(source, target)
    assert "LOST" not in verdicts(source, target, lost).values()
    confirmed(source, target, before, after, tolerance=0)
    assert Path(target).read_bytes()[:4] == source.read_bytes()[:4]
