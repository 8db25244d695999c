"""Laws of OME-Zarr: planes are replaced, all else stays byte for byte; another decoder reads what was meant."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mashpix import ExtraError, FileError, UsageError, extras
from mashpix.axes import plane_groups
from mashpix.files import atomic_folder, check_folder, check_same_format, open_stack
from mashpix.files.ome_zarr import planes as planes_module
from mashpix.recipe import hash_file
from zarr_kinds import (
    OPTIONS_2,
    OPTIONS_3,
    change_json,
    contents,
    read_array,
    swell,
    write_array,
    write_group,
    write_json,
    write_ome,
)

pytest.importorskip("zarr", reason="the extra `zarr` is not installed")


@pytest.fixture(autouse=True)
def no_sync(monkeypatch, request):
    """Whether a file has come to the disk cannot be seen here, and a busy disk takes seconds to say so."""
    if "syncs" not in request.node.name:
        monkeypatch.setattr(atomic_folder, "_sync", lambda folder: None)


METADATA = (".zarray", ".zattrs", ".zgroup", "zarr.json")


def planes_of(stack):
    return [picture[0] for group in plane_groups(stack.axes, stack.shape, joint=False) for picture in group]


def negative(array):
    return (np.iinfo(array.dtype).max - array).astype(array.dtype) if array.dtype.kind in "iu" else -array


def invert(source, target, *, overwrite=False, **options):
    """A copy of a stack with every plane turned into its negative."""
    stack = open_stack(source, **options)
    with closing(stack), stack.copy_to(target, overwrite=overwrite) as put:
        for index in planes_of(stack):
            put(index, negative(stack[index]))
    return stack


def halved(array, *axes):
    """Means of pairs along the axes."""
    means = array.astype(np.float64)
    for axis in axes:
        shape = means.shape
        means = means.reshape(*shape[:axis], shape[axis] // 2, 2, *shape[axis + 1 :]).mean(axis + 1)
    return (np.rint(means) if array.dtype.kind in "iu" else means).astype(array.dtype)


@pytest.fixture
def stack(rng):
    return rng.integers(0, 4096, (2, 2, 3, 24, 40)).astype(np.uint16)


@st.composite
def stores(draw):
    zarr_format = draw(st.sampled_from([2, 3]))
    axes = draw(st.sampled_from(["yx", "zyx", "cyx", "tczyx", "tyxz"]))
    shape = [draw(st.integers(1, 30)) if axis in "yx" else draw(st.integers(1, 4)) for axis in axes]
    return {
        "axes": axes,
        "zarr_format": zarr_format,
        "shape": shape,
        "dtype": draw(st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i8", "f2", "f4", "f8"])),
        "chunks": [draw(st.integers(1, length + 1)) for length in shape],
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
        patch.setattr(planes_module, "MOST_KEPT", most_kept)
        opened = open_stack(source)
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
    opened = open_stack(write_ome(tmp_path / "a.zarr", [stack], zarr_format=zarr_format))
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
    opened = open_stack(write_ome(tmp_path / "a.zarr", [stack], more=entry))
    assert (opened.axes, opened.notes) == ("QCZYX", ("axis 'angle' is called Q",))
    write_array(tmp_path / "b.zarr", stack[0, 0], zarr_format=3, chunks=(1, 24, 40))
    assert "taken for ZYX, 3 planes" in open_stack(tmp_path / "b.zarr").notes[0]
    assert open_stack(tmp_path / "b.zarr", axes="cyx").axes == "CYX"
    change_json(tmp_path / "b.zarr" / "zarr.json", dimension_names=["t", "y", "x"])
    assert (open_stack(tmp_path / "b.zarr").axes, open_stack(tmp_path / "b.zarr").notes) == ("TYX", ())
    with pytest.raises(UsageError, match="3 letters needed"):
        open_stack(tmp_path / "b.zarr", axes="YX")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_missing_chunk_is_refused_by_name_unless_that_is_allowed(zarr_format, rng, tmp_path):
    full = rng.integers(1, 4096, (2, 32, 32)).astype(np.uint16)
    full[0, :16, :16] = 0
    small = halved(full, 1, 2)
    options = {"axes": "zyx", "chunks": (1, 16, 16), "zarr_format": zarr_format, "skip": [(0, 0, 0)]}
    source = write_ome(tmp_path / "a.zarr", [full, small], **options)
    missing = "0/c/0/0/0" if zarr_format == 3 else "0/0/0/0"
    with pytest.raises(FileError, match=rf"a chunk is missing \('{missing}'; --sparse takes .* fill value 0\)"):
        open_stack(source)
    invert(source, tmp_path / "b.zarr", sparse=True)
    expected = negative(full)
    expected[0, :16, :16] = 0
    new = tmp_path / "b.zarr"
    assert not (new / missing).exists()
    np.testing.assert_array_equal(read_array(new / "0"), expected)
    np.testing.assert_array_equal(read_array(new / "1"), halved(negative(full), 1, 2))
    assert set(contents(new)) - set(contents(source)) == {missing.replace("0/", "1/", 1)}


NODES = {2: ("0/.zarray", ".zattrs"), 3: ("0/zarr.json", "zarr.json")}
BOMB = {"id": "pickle", "protocol": 4}
BAD_2 = [
    ("0/.zarray", {"shape": [3, 2, 3, 24, 40]}, "a chunk is missing \\('0/2/0/0/0/0'"),
    ("0/.zarray", {"shape": [10**12, 1, 1, 24, 40]}, "absurd shape"),
    ("0/.zarray", {"shape": [1, 1, 1, 10**9, 10**9], "chunks": [1, 1, 1, 10**9, 10**9]}, "too large"),
    ("0/.zarray", {"chunks": [1, 1, 1, 2**20, 2**20]}, "too large a chunk"),
    ("0/.zarray", {"shape": [2, 2, 3, 0, 40]}, "absurd shape"),
    ("0/.zarray", {"shape": [2, 2, 3, -24, 40]}, "absurd shape"),
    ("0/.zarray", {"shape": [2, 2, 3, 24.0, 40]}, "absurd shape"),
    ("0/.zarray", {"chunks": [1, 1, 1, 0, 16]}, "absurd shape"),
    ("0/.zarray", {"chunks": [1, 1, 16, 16]}, "damaged Zarr"),
    ("0/.zarray", {"dtype": "|O"}, "no numbers to denoise .*'|O'"),
    ("0/.zarray", {"dtype": "<c8"}, "no numbers to denoise"),
    ("0/.zarray", {"dtype": "|b1"}, "no numbers to denoise"),
    ("0/.zarray", {"dtype": [["a", "<u2"]]}, "no numbers to denoise"),
    ("0/.zarray", {"filters": [BOMB]}, "unknown or lossy codec 'pickle'"),
    ("0/.zarray", {"compressor": {"id": "imagecodecs_jpeg"}}, "unknown or lossy codec 'imagecodecs_jpeg'"),
    ("0/.zarray", {"compressor": {"level": 1}}, "damaged Zarr"),
    ("0/.zarray", {"dimension_separator": "../"}, "damaged Zarr"),
    ("0/.zarray", {"order": "X"}, "damaged Zarr"),
    (".zattrs", {"multiscales": [{"axes": ["t", "c", "z", "y", "x"], "datasets": [{"path": "../a"}]}]}, "outside"),
    (".zattrs", {"multiscales": [{"axes": ["t", "c", "z", "y", "x"], "datasets": [{"path": "/etc"}]}]}, "outside"),
    (".zattrs", {"multiscales": [{"axes": ["t", "c", "z", "y", "x"], "datasets": [{"path": 7}]}]}, "outside"),
    (".zattrs", {"multiscales": [{"axes": ["t", "c", "z", "y", "x"], "datasets": [{"path": "9"}]}]}, "no array '9'"),
    (".zattrs", {"multiscales": [{"axes": ["z", "y", "x"], "datasets": [{"path": "0"}]}]}, "axes that do not fit"),
    (".zattrs", {"multiscales": [{"axes": ["t", "c", "z", "y", "y"], "datasets": [{"path": "0"}]}]}, "do not fit"),
    (".zattrs", {"multiscales": [{"axes": ["axis"] * 30, "datasets": [{"path": "0"}]}]}, "axes that do not fit"),
    (".zattrs", {"multiscales": [{"datasets": [{"path": "\ud800"}]}]}, "damaged"),
    (".zattrs", {"multiscales": [{"datasets": [{"path": "x" * 300}]}]}, "cannot be read"),
    (".zattrs", {"multiscales": [{"datasets": [{"path": ".zgroup"}]}]}, "no array"),
    (".zattrs", {"multiscales": "all"}, "damaged OME-Zarr"),
    (".zattrs", {"multiscales": []}, "no picture in this Zarr"),
    (".zattrs", {"plate": {}}, "a plate of many pictures"),
    (".zattrs", {"well": {}}, "a well of many pictures"),
    (".zattrs", {"image-label": {}}, "a label image"),
]
SHARDING = {"chunk_shape": [1, 1, 1, 16, 16], "codecs": [{"name": "vlen-bytes"}], "index_codecs": [{"name": "bytes"}]}
BAD_3 = [
    ("0/zarr.json", {"shape": [2, 2, 3, 24, 41 + 16]}, "a chunk is missing \\('0/c/0/0/0/0/3'"),
    ("0/zarr.json", {"shape": [10**12, 1, 1, 24, 40]}, "absurd shape"),
    ("0/zarr.json", {"data_type": "bool"}, "no numbers to denoise"),
    ("0/zarr.json", {"data_type": {"name": "numpy.datetime64"}}, "no numbers to denoise"),
    ("0/zarr.json", {"codecs": [{"name": "numcodecs.pickle"}]}, "unknown or lossy codec 'pickle'"),
    ("0/zarr.json", {"codecs": ["zfpy"]}, "unknown or lossy codec 'zfpy'"),
    ("0/zarr.json", {"codecs": [{"name": "sharding_indexed", "configuration": SHARDING}]}, "codec 'vlen-bytes'"),
    ("0/zarr.json", {"codecs": []}, "damaged Zarr"),
    ("0/zarr.json", {"chunk_grid": {"name": "rectilinear"}}, "unknown layout of chunks"),
    ("0/zarr.json", {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "x"}}}, "damaged Zarr"),
    ("0/zarr.json", {"zarr_format": 4}, "damaged Zarr"),
    ("0/zarr.json", {"node_type": "group"}, "no array '0'"),
    ("zarr.json", {"attributes": {}}, "no picture in this Zarr"),
]


@pytest.mark.parametrize(
    ("zarr_format", "name", "changes", "message"), [(2, *row) for row in BAD_2] + [(3, *row) for row in BAD_3]
)
def test_metadata_that_cannot_be_meant_are_refused(zarr_format, name, changes, message, stack, tmp_path):
    source = write_ome(tmp_path / "a.zarr", [stack], zarr_format=zarr_format)
    change_json(source / name, **changes)
    with pytest.raises(FileError, match=message) as caught:
        open_stack(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, '{"a": 1' + "0" * 5000 + "}", "\0"])
@pytest.mark.parametrize(("zarr_format", "number"), [(2, 0), (2, 1), (3, 0), (3, 1)])
def test_what_is_no_json_is_refused(text, zarr_format, number, stack, tmp_path):
    source = write_ome(tmp_path / "a.zarr", [stack], zarr_format=zarr_format)
    (source / NODES[zarr_format][number]).write_text(text)
    with pytest.raises(FileError, match="JSON"):
        open_stack(source)


def test_what_leads_out_of_the_folder_is_refused(stack, tmp_path):
    write_array(tmp_path / "secret", stack, chunks=stack.shape)
    source = write_ome(tmp_path / "a.zarr", [stack])
    for name, target in (("link", "../secret"), ("0/0/0/0/0/9", source / ".zattrs")):
        (source / name).symlink_to(target)
        with pytest.raises(FileError, match=f"holds a link or a device \\('{name}'"):
            open_stack(source)
        (source / name).unlink()
    os.mkfifo(source / "0" / "pipe")
    with pytest.raises(FileError, match="holds a link or a device"):
        open_stack(source)


def test_an_absurd_number_of_planes_is_refused_where_chunks_may_be_missing(stack, tmp_path):
    source = write_ome(tmp_path / "a.zarr", [stack])
    change_json(source / "0" / ".zarray", shape=[10**12, 1, 1, 24, 40])
    with pytest.raises(FileError, match="absurd shape"):
        open_stack(source, sparse=True)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("codec", ["blosc", "gzip", "zstd", None, "zlib", "bz2", "lzma", "lz4"])
def test_a_truncated_chunk_is_refused_by_name(codec, zarr_format, rng, tmp_path):
    if codec not in (OPTIONS_2 if zarr_format == 2 else {None: None} | OPTIONS_3) and codec is not None:
        pytest.skip("not in this format")
    picture = rng.integers(0, 4096, (16, 16)).astype(np.uint16)
    options = {"zarr_format": zarr_format, "chunks": (16, 16), "codec": codec, "separator": "."}
    source = write_ome(tmp_path / "a.zarr", [picture], axes="yx", **options)
    chunk = source / "0" / ("c.0.0" if zarr_format == 3 else "0.0")
    data = chunk.read_bytes()
    for length in [*range(0, 40, 3), *range(40, len(data), 41), len(data) - 1]:
        chunk.write_bytes(data[:length])
        with pytest.raises(FileError, match=f"damaged chunk '0/{chunk.name}'"):
            open_stack(source)[slice(None), slice(None)]
    if codec == "blosc":
        chunk.write_bytes(swell(data))
        with pytest.raises(FileError, match="Blosc header"):
            open_stack(source)[slice(None), slice(None)]


@pytest.mark.parametrize("codec", ["gzip", "zlib", "bz2", "lzma"])
def test_flipped_bits_are_found_where_the_codec_has_a_checksum(codec, rng, tmp_path):
    picture = rng.integers(0, 4096, (16, 16)).astype(np.uint16)
    source = write_ome(tmp_path / "a.zarr", [picture], axes="yx", chunks=(16, 16), codec=codec, separator=".")
    chunk = source / "0" / "0.0"
    data = chunk.read_bytes()
    for place in range(0, len(data), 7):
        chunk.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        with suppress(FileError):  # but for a field of the header that nobody needs, such as gzip's time
            np.testing.assert_array_equal(open_stack(source)[slice(None), slice(None)], picture)


@pytest.mark.parametrize(("most", "message"), [(200, "does not hold what was written"), (60000, "cannot be written")])
def test_values_that_a_codec_cannot_hold_are_an_error(most, message, rng, tmp_path):
    picture = rng.integers(0, 100, (16, 16)).astype(np.uint16)
    source = write_ome(tmp_path / "a.zarr", [picture], axes="yx", chunks=(16, 16), separator=".")
    narrow = [{"id": "delta", "dtype": "<u2", "astype": "|i1"}]
    change_json(source / "0" / ".zarray", filters=narrow)
    flat = np.concatenate([[picture.flat[0]], np.diff(picture.ravel().astype(int))]).astype(np.int8)
    (source / "0" / "0.0").write_bytes(flat.tobytes())
    stack, plane = open_stack(source), np.full((16, 16), most, np.uint16)
    plane[0, 0] = most if most > 255 else 1
    with pytest.raises(FileError, match=message), stack.copy_to(tmp_path / "b.zarr", overwrite=False) as put:
        put((slice(None), slice(None)), plane)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_an_error_on_the_way_leaves_the_old_folder_and_nothing_else(stack, tmp_path):
    source = write_ome(tmp_path / "a.zarr", [stack])
    write_ome(tmp_path / "b.zarr", [stack[:1]])
    old = contents(tmp_path / "b.zarr")
    opened = open_stack(source)
    with pytest.raises(FileError, match="the output exists"), opened.copy_to(tmp_path / "b.zarr", overwrite=False):
        pass
    copying = opened.copy_to(tmp_path / "b.zarr", overwrite=True)
    put = copying.__enter__()
    put(planes_of(opened)[0], stack[0, 0, 0])
    with pytest.raises(KeyError):
        copying.gen.throw(KeyError())
    assert contents(tmp_path / "b.zarr") == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]
    with pytest.raises(FileError, match="closed"):
        put(planes_of(opened)[0], stack[0, 0, 0])


@pytest.mark.parametrize("step", ["shutil.copyfile", "zarr.storage._local._put", "os.rename", "os.mkdir"])
def test_a_full_disk_is_one_line_and_the_old_folder_stays(step, stack, tmp_path, monkeypatch):
    source, target = write_ome(tmp_path / "a.zarr", [stack]), write_ome(tmp_path / "b.zarr", [stack[:1]])
    old = contents(target)

    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_folder, "_swap", lambda one, other: False)
    monkeypatch.setattr(step, fail)
    with pytest.raises(FileError, match=r"cannot be written .*No space left"):
        invert(source, target, overwrite=True)
    monkeypatch.undo()
    assert contents(target) == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]


@pytest.mark.parametrize("can_swap", [True, False])
def test_a_folder_is_replaced_whole_in_place_too(can_swap, stack, tmp_path, monkeypatch):
    if not can_swap:
        monkeypatch.setattr(atomic_folder, "_swap", lambda one, other: False)
    source = write_ome(tmp_path / "a.zarr", [stack])
    (source / "more").write_text("more")
    invert(source, source, overwrite=True)
    np.testing.assert_array_equal(read_array(source / "0"), negative(stack))
    write_ome(tmp_path / "b.zarr", [stack[:1]], separator=".")
    invert(source, tmp_path / "b.zarr", overwrite=True)
    np.testing.assert_array_equal(read_array(tmp_path / "b.zarr" / "0"), stack)
    assert sorted(contents(tmp_path / "b.zarr")) == sorted(contents(source))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_syncs_before_it_gets_its_name(at_once, stack, tmp_path, monkeypatch):
    source, calls = write_ome(tmp_path / "a.zarr", [stack[:1, :1, :1]]), []
    real = atomic_folder.os.fsync, atomic_folder._move
    monkeypatch.setattr(atomic_folder.os, "fsync", lambda handle: calls.append("fsync") or real[0](handle))
    monkeypatch.setattr(
        atomic_folder, "_move", lambda *names, **options: calls.append("move") or real[1](*names, **options)
    )
    if not at_once:
        monkeypatch.setattr(atomic_folder.ctypes, "CDLL", lambda name: object())
    invert(source, tmp_path / "b.zarr")
    assert "move" in calls
    assert at_once or calls.index("move") > len(contents(source))


def test_outputs_that_cannot_be_are_refused_before_any_work(stack, tmp_path):
    source = write_ome(tmp_path / "a.zarr", [stack])
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link.zarr").symlink_to(source)
    for target, message in {
        source: "the input itself",
        tmp_path / "link.zarr": "the input itself",
        tmp_path / "pictures": "there and no Zarr",
        tmp_path / "file": "there and no Zarr",
        source / "b.zarr": "lie in each other",
        tmp_path / "nowhere" / "b.zarr": "No such file",
    }.items():
        with pytest.raises(FileError, match=message):
            check_folder(source, target, overwrite=True)
    check_folder(source, source, overwrite=False, in_place=True)
    write_ome(tmp_path / "b.zarr", [stack])
    with pytest.raises(FileError, match="the output exists"):
        check_folder(source, tmp_path / "b.zarr", overwrite=False)
    check_folder(source, tmp_path / "b.zarr", overwrite=True)
    with pytest.raises(FileError, match=r"a stack keeps its format \('.tif'"):
        check_same_format(source, tmp_path / "a.tif")
    assert contents(tmp_path / "pictures") == {"a.png": b""}


def test_temporary_folders_of_killed_runs_are_removed(stack, tmp_path):
    source = write_ome(tmp_path / "a.zarr", [stack])
    for age, letter in ((4000, "a"), (0, "b")):
        left = tmp_path / f".b.zarr.{letter * 16}.mashpix-tmp"
        shutil.copytree(source, left)
        os.utime(left, (left.stat().st_mtime - age,) * 2)
    invert(source, tmp_path / "b.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".b.zarr.{'b' * 16}.mashpix-tmp", "a.zarr", "b.zarr"]


CHILD = """
import sys
from pathlib import Path
import numpy as np
from mashpix.axes import plane_groups
from mashpix.files import atomic_folder, open_stack
atomic_folder._sync = lambda folder: None  # a killed process loses nothing that was written
source, target = map(Path, sys.argv[1:])
print("ready", flush=True)
while True:
    stack = open_stack(source)
    with stack.copy_to(target, overwrite=True) as put:
        for (index,) in [picture for group in plane_groups(stack.axes, stack.shape, joint=False) for picture in group]:
            put(index, stack[index][::-1])
    print("done", flush=True)
    source = target
"""


def kill_runs(folder, stack, *, kills):
    """Kill runs that write a folder, or replace it, at random moments; how often each outcome was seen."""
    source = write_ome(folder / "a.zarr", [stack], codec="zstd", chunks=(1, 1, 2, 24, 20))
    target, moments, seen = folder / "b.zarr", random.Random(0), Counter()
    for number in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, source, target], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout.readline() == "ready\n"
            started = time.monotonic()
            if number % 2:
                assert child.stdout.readline() == "done\n"
            time.sleep(moments.uniform(0, 1.2 * (time.monotonic() - started) or 0.2))
            child.kill()
        outcome = "absent"
        if target.exists():
            values = read_array(target / "0")
            outcome = "first" if np.array_equal(values, stack[..., ::-1, :]) else "second"
            assert outcome == "first" or np.array_equal(values, stack)
            assert sorted(contents(target)) == sorted(contents(source))
        assert outcome != "absent" or not seen.keys() - {"absent"}
        seen[outcome] += 1
    return seen


def test_a_killed_run_leaves_the_old_folder_or_the_new_one(stack, tmp_path):
    assert kill_runs(tmp_path, stack, kills=6).keys() - {"absent"}


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
        open_stack(source)


def test_a_folder_that_is_called_so_and_is_none(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(FileError, match="no Zarr"):
        open_stack(tmp_path / "a.zarr")
    write_json(tmp_path / "a.zarr" / ".zgroup", {"zarr_format": 2})
    with pytest.raises(FileError, match="no picture in this Zarr"):
        open_stack(tmp_path / "a.zarr")


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
