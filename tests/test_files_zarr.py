"""Laws of OME-Zarr: planes are replaced, all else stays byte for byte; another decoder reads what was meant."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mashpix import ExtraError, FileError, UsageError, extras
from mashpix.files import open_file
from mashpix.files.ome_zarr import planes as planes_module
from mashpix.jobs.recipe import hash_file
from zarr_kinds import (
    OPTIONS_2,
    OPTIONS_3,
    change_json,
    contents,
    halved,
    invert,
    negative,
    planes_of,
    read_array,
    write_array,
    write_group,
    write_json,
    write_ome,
)

pytest.importorskip("zarr", reason="the extra `zarr` is not installed")
pytestmark = pytest.mark.usefixtures("no_sync")
METADATA = (".zarray", ".zattrs", ".zgroup", "zarr.json")


@st.composite
def stores(draw):
    zarr_format = draw(st.sampled_from([2, 3]))
    axes = draw(st.sampled_from(["yx", "zyx", "cyx", "tczyx", "tyxz"]))
    shape = [draw(st.integers(1, 12 if axis in "yx" else 3)) for axis in axes]
    return {
        "axes": axes,
        "zarr_format": zarr_format,
        "shape": shape,
        "dtype": draw(st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i8", "f2", "f4", "f8"])),
        "chunks": [draw(st.integers(-(-length // 4), length + 1)) for length in shape],  # each is a file
        "codec": draw(st.sampled_from([None, *(OPTIONS_2 if zarr_format == 2 else OPTIONS_3)])),
        "separator": draw(st.sampled_from([".", "/"])),
        "byteorder": draw(st.sampled_from("<>")),
        "order": draw(st.sampled_from("CF")),
        "most_kept": draw(st.sampled_from([0, 500, 2**26])),
    }


@settings(max_examples=40)
@given(store=stores(), seed=st.integers(0, 99))
def test_planes_change_and_all_else_stays(store, seed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zarr")
    store = dict(store)
    shape, dtype, most_kept = store.pop("shape"), np.dtype(store.pop("dtype")), store.pop("most_kept")
    array = np.random.default_rng(seed).normal(0, 50, shape)
    array = array.astype(dtype) if dtype.kind != "u" else np.abs(array).astype(dtype)
    source = write_ome(folder / "a.zarr", [array], **store)
    before = contents(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes_module, "MAX_KEPT", most_kept)
        opened = open_file(source)
        assert (opened.axes, opened.shape, opened.dtype) == (store["axes"].upper(), array.shape, dtype)
        for index in planes_of(opened):
            np.testing.assert_array_equal(opened[index], array[index])
            assert opened[index].dtype == dtype
        invert(source, folder / "b.zarr")
    after = contents(folder / "b.zarr")
    assert contents(source) == before
    assert {name: data for name, data in after.items() if name.endswith(METADATA)} == {
        name: data for name, data in before.items() if name.endswith(METADATA)
    }
    assert sorted(after) == sorted(before)
    np.testing.assert_array_equal(read_array(folder / "b.zarr" / "0"), negative(array))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_labels_further_images_and_unknown_files_stay(zarr_format, stack, tmp_path):
    options = {"zarr_format": zarr_format, "codec": "zstd"}
    source = write_ome(tmp_path / "a.zarr", [stack], **options)
    write_group(source / "labels", {"labels": ["cells"]}, zarr_format=zarr_format)
    write_ome(source, [stack // 99], name="labels/cells", more={"image-label": {}}, **options)
    (source / "OME").mkdir()
    (source / "OME" / "METADATA.ome.xml").write_text("<OME/>")
    (source / "empty").mkdir()
    invert(source, tmp_path / "b.zarr")
    before, after = contents(source), contents(tmp_path / "b.zarr")
    changed = {name for name in before if before[name] != after[name]}
    assert sorted(after) == sorted(before)
    assert changed
    assert {name.split("/")[0] for name in changed} == {"0"}
    assert not changed & {"0/.zarray", "0/zarr.json"}
    assert (tmp_path / "b.zarr" / "empty").is_dir()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_smaller_sizes_are_made_from_the_result(zarr_format, rng, tmp_path):
    full = rng.integers(0, 4096, (2, 4, 32, 48)).astype(np.uint16)
    levels = [
        full,
        halved(full, 2, 3),
        halved(full, 1, 2, 3)[:, :, ::2, ::2],
        full[:, :, :20, :20],
        full[..., :24].astype("f4"),
    ]
    source = write_ome(
        tmp_path / "a.zarr", levels, axes="czyx", zarr_format=zarr_format, chunks=(1, 3, 16, 16), separator="."
    )
    opened = invert(source, tmp_path / "b.zarr")
    assert [note[:5] for note in opened.notes] == ["the 2", "2 of "]
    new = [read_array(tmp_path / "b.zarr" / str(number)) for number in range(5)]
    np.testing.assert_array_equal(new[0], negative(full))
    np.testing.assert_array_equal(new[1], halved(negative(full), 2, 3))
    exact = negative(full).astype(float).reshape(2, 2, 2, 8, 4, 12, 4).mean(axis=(2, 4, 6))
    np.testing.assert_array_equal(new[2], np.rint(exact).astype(np.uint16))
    for number in (3, 4):
        np.testing.assert_array_equal(new[number], levels[number])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_chunks_that_become_empty_stay_there(zarr_format, stack, tmp_path):
    opened = open_file(write_ome(tmp_path / "a.zarr", [stack], zarr_format=zarr_format))
    with opened.copy_to(tmp_path / "b.zarr", overwrite=False) as put:
        for index in planes_of(opened):
            put(index, np.zeros((24, 40), np.uint16))
    assert sorted(contents(tmp_path / "b.zarr")) == sorted(contents(tmp_path / "a.zarr"))
    assert not read_array(tmp_path / "b.zarr" / "0").any()


def test_shards_are_read_and_written(stack, tmp_path):
    import zarr
    from zarr.codecs import ZstdCodec

    write_ome(tmp_path / "a.zarr", [stack], zarr_format=3)
    shutil.rmtree(tmp_path / "a.zarr" / "0")
    sides = {"chunks": (1, 1, 1, 12, 10), "shards": (1, 2, 2, 24, 20), "shape": stack.shape, "dtype": stack.dtype}
    zarr.create_array(tmp_path / "a.zarr", name="0", compressors=ZstdCodec(), **sides)[...] = stack
    invert(tmp_path / "a.zarr", tmp_path / "b.zarr")
    np.testing.assert_array_equal(read_array(tmp_path / "b.zarr" / "0"), negative(stack))


def test_of_several_images_the_largest_is_denoised_and_that_is_said(stack, tmp_path):
    write_group(tmp_path / "a.zarr", {"bioformats2raw.layout": 3})
    (tmp_path / "a.zarr" / "3").write_bytes(b"a file")
    for name, image in (("0", stack[:1]), ("1", stack), ("2", stack[:, :1])):
        write_ome(tmp_path / "a.zarr", [image], name=name)
    opened = invert(tmp_path / "a.zarr", tmp_path / "b.zarr")
    assert opened.notes == ("holds 3 images: the largest (2, 2, 3, 24, 40) is denoised, the rest stays as it was",)
    for name, expected in (("0", stack[:1]), ("1", negative(stack)), ("2", stack[:, :1])):
        np.testing.assert_array_equal(read_array(tmp_path / "b.zarr" / name / "0"), expected)


def test_axes_come_from_the_metadata_or_are_a_guess_that_is_announced(stack, tmp_path):
    entry = {"multiscales": [{"axes": [{"name": "angle"}, {"name": "ch", "type": "channel"}, "z", "y", "x"],
                              "datasets": [{"path": "0"}]}]}  # fmt: skip
    opened = open_file(write_ome(tmp_path / "a.zarr", [stack], more=entry))
    assert (opened.axes, opened.notes) == ("QCZYX", ("axis 'angle' gets the letter Q",))
    write_array(tmp_path / "b.zarr", stack[0, 0], zarr_format=3, chunks=(1, 24, 40))
    assert "read as ZYX, 3 planes" in open_file(tmp_path / "b.zarr").notes[0]
    assert open_file(tmp_path / "b.zarr", axes="cyx").axes == "CYX"
    change_json(tmp_path / "b.zarr" / "zarr.json", dimension_names=["t", "y", "x"])
    assert (open_file(tmp_path / "b.zarr").axes, open_file(tmp_path / "b.zarr").notes) == ("TYX", ())
    with pytest.raises(UsageError, match="3 letters needed"):
        open_file(tmp_path / "b.zarr", axes="YX")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_missing_chunk_is_refused_by_name_unless_that_is_allowed(zarr_format, rng, tmp_path):
    full = rng.integers(1, 4096, (2, 32, 32)).astype(np.uint16)
    full[0, :16, :16] = 0
    small = halved(full, 1, 2)
    options = {"axes": "zyx", "chunks": (1, 16, 16), "zarr_format": zarr_format, "skip": [(0, 0, 0)]}
    source = write_ome(tmp_path / "a.zarr", [full, small], **options)
    missing = "0/c/0/0/0" if zarr_format == 3 else "0/0/0/0"
    with pytest.raises(FileError, match=rf"a chunk is missing \('{missing}'; `sparse` reads .* fill value 0\)"):
        open_file(source)
    invert(source, tmp_path / "b.zarr", sparse=True)
    expected = negative(full)
    expected[0, :16, :16] = 0
    new = tmp_path / "b.zarr"
    assert not (new / missing).exists()
    np.testing.assert_array_equal(read_array(new / "0"), expected)
    np.testing.assert_array_equal(read_array(new / "1"), halved(negative(full), 1, 2))
    assert set(contents(new)) - set(contents(source)) == {missing.replace("0/", "1/", 1)}


def test_memory_does_not_grow_with_the_stack():
    script = Path(__file__).parents[1] / "benchmarks" / "zarr_memory.py"
    done = subprocess.run([sys.executable, script, "--planes", "96"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, stack, _, grown = map(int, done.stdout.split())
    assert grown < stack / 4


def test_a_hash_of_a_folder_is_of_names_and_contents(stack, tmp_path):
    one, other = (write_ome(tmp_path / name, [stack]) for name in ("a.zarr", "b.zarr"))
    assert hash_file(one) == hash_file(other)
    os.rename(other / ".zgroup", other / "zgroup")
    assert hash_file(one) != hash_file(other)
    (one / ".zattrs").write_text("{}")
    assert hash_file(one) != hash_file(other)


def test_without_the_library_the_error_names_the_extra(stack, tmp_path, monkeypatch):
    source = write_ome(tmp_path / "a.zarr", [stack])
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(ExtraError, match=r"'a.zarr': not installed \(zarr; pip install \"mashpix\[zarr\]\"\)"):
        open_file(source)


def test_a_folder_that_is_called_so_and_is_none(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(FileError, match="not a Zarr"):
        open_file(tmp_path / "a.zarr")
    write_json(tmp_path / "a.zarr" / ".zgroup", {"zarr_format": 2})
    with pytest.raises(FileError, match="no image in this Zarr"):
        open_file(tmp_path / "a.zarr")


def test_a_real_picture_keeps_all_but_its_pixels(shared_data, tmp_path):
    source = shared_data / "formats" / "tubhiswt4D_sub.zarr"
    opened = invert(source, tmp_path / "b.zarr")
    assert (opened.axes, opened.shape, opened.dtype) == ("TCZYX", (3, 1, 2, 512, 512), np.uint8)
    before, after = contents(source), contents(tmp_path / "b.zarr")
    changed = {name for name in before if before[name] != after[name]}
    assert sorted(before) == sorted(after)
    assert {name.split("/")[0] for name in changed} == {"0", "1", "2"}
    full = read_array(source / "0")
    np.testing.assert_array_equal(read_array(tmp_path / "b.zarr" / "0"), 255 - full)
    np.testing.assert_array_equal(read_array(tmp_path / "b.zarr" / "1"), halved(255 - full, 3, 4))
    assert json.loads(before[".zattrs"]) == json.loads(after[".zattrs"])


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        ({"zarr_format": 2, "codec": "blosc", "byteorder": ">"}, "float32"),
        ({"zarr_format": 3, "codec": "blosc"}, "float32"),
        ({"zarr_format": 3, "codec": "zstd"}, "uint32"),
    ],
)
def test_a_widened_zarr_has_new_chunks_in_all_sizes_that_are_made(options, dtype, rng, tmp_path):
    full = rng.integers(0, 4096, (2, 4, 32, 48)).astype(np.uint16)
    levels = [full, halved(full, 2, 3), full[:, :, :20, :20], halved(full, 2, 3).astype("f4")]
    source, target = write_ome(tmp_path / "a.zarr", levels, axes="czyx", **options), tmp_path / "b.zarr"
    with open_file(source) as opened, opened.widened(np.dtype(dtype)) as wider:
        with wider.copy_to(target, overwrite=False) as copy:
            for index in planes_of(wider):
                copy(index, wider[index] * wider.dtype.type(3))
        assert wider.notes == opened.notes
    np.testing.assert_array_equal(read_array(target / "0"), full * np.dtype(dtype).type(3))
    expected = halved((full * np.dtype(dtype).type(3)), 2, 3)
    np.testing.assert_array_equal(read_array(target / "1"), expected)
    assert (read_array(target / "0").dtype, read_array(target / "1").dtype) == (np.dtype(dtype), np.dtype(dtype))
    for kept in ("2", "3"):
        assert contents(target / kept) == contents(source / kept)
    with open_file(target) as again:
        assert again.dtype == dtype


def test_a_zarr_that_says_its_dtype_twice_keeps_it(stack, tmp_path):
    source = write_ome(tmp_path / "a.zarr", [stack])
    (source / ".zmetadata").write_text("{}")
    with open_file(source) as opened, pytest.raises(FileError, match="`dtype`: a Zarr that has consolidated metadata"):
        opened.widened(np.dtype("float32"))
