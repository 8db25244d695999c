"""Laws of damaged and hostile OME-Zarr: refused in one line that names the chunk or the array."""

import os
from contextlib import suppress
from itertools import product

import numpy as np
import pytest

from mashpix import FileError
from mashpix.files import open_stack
from zarr_kinds import OPTIONS_2, OPTIONS_3, change_json, swell, write_array, write_ome

pytest.importorskip("zarr", reason="the extra `zarr` is not installed")
pytestmark = pytest.mark.usefixtures("no_sync")

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
    (".zattrs", {"multiscales": []}, "no image in this Zarr"),
    (".zattrs", {"plate": {}}, "a plate of many images"),
    (".zattrs", {"well": {}}, "a well of many images"),
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
    ("zarr.json", {"attributes": {}}, "no image in this Zarr"),
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


@pytest.mark.parametrize(
    ("codec", "zarr_format"), [*product([None, *OPTIONS_2], [2]), *product([None, *OPTIONS_3], [3])]
)
def test_a_truncated_chunk_is_refused_by_name(codec, zarr_format, rng, tmp_path):
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
