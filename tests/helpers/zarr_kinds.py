"""OME-Zarr folders for the tests, encoded and decoded chunk by chunk without the zarr library (formats 2 and 3)."""

import bz2
import gzip
import json
import lzma
import struct
import zlib
from contextlib import closing
from functools import partial
from itertools import product
from pathlib import Path

import imagecodecs
import numpy as np

from mashpix.axes import plane_groups
from mashpix.files import open_stack

CODECS = {
    None: (bytes, bytes),
    "zlib": (zlib.compress, zlib.decompress),
    "gzip": (gzip.compress, gzip.decompress),
    "bz2": (bz2.compress, bz2.decompress),
    "lzma": (lzma.compress, lzma.decompress),
    "zstd": (imagecodecs.zstd_encode, imagecodecs.zstd_decode),
    "blosc": (imagecodecs.blosc_encode, imagecodecs.blosc_decode),
    "lz4": (partial(imagecodecs.lz4_encode, header=True), partial(imagecodecs.lz4_decode, header=True)),
}  # fmt: skip
"""Encoder and decoder of each codec, by its name in the metadata."""
OPTIONS_2 = {
    "zlib": {"level": 1}, "gzip": {"level": 1}, "bz2": {"level": 1}, "zstd": {"level": 1}, "lz4": {"acceleration": 1},
    "lzma": {"format": 1, "check": -1, "preset": None, "filters": None},
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
}  # fmt: skip
OPTIONS_3 = {
    "gzip": {"level": 1}, "zstd": {"level": 1, "checksum": False},
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 2, "blocksize": 0},
}  # fmt: skip
"""What the metadata say of them: numcodecs' names in format 2, those of the specification in format 3."""


def write_json(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1))


def change_json(path, **changes):
    write_json(path, json.loads(path.read_text()) | changes)


def write_array(folder, array, *, zarr_format=2, chunks, codec=None, separator="/", byteorder="<", order="C", skip=()):
    """An array as a folder; chunks whose places are in `skip` are left out."""
    plain = array.dtype.newbyteorder("=")
    common = {"shape": array.shape, "fill_value": 0, "zarr_format": zarr_format}
    if zarr_format == 2:
        compressor = {"id": codec} | OPTIONS_2[codec] if codec else None
        data = common | {"chunks": chunks, "dtype": array.dtype.newbyteorder(byteorder).str, "compressor": compressor}
        write_json(folder / ".zarray", data | {"filters": None, "order": order, "dimension_separator": separator})
    else:
        codecs = [{"name": "bytes", "configuration": {"endian": "little" if byteorder == "<" else "big"}}]
        if order == "F":
            codecs.insert(0, {"name": "transpose", "configuration": {"order": list(range(array.ndim))[::-1]}})
        if codec:
            codecs.append({"name": codec, "configuration": OPTIONS_3[codec]})
        keys = {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}}, "codecs": codecs}
        keys["chunk_key_encoding"] = {"name": "default", "configuration": {"separator": separator}}
        keys |= {"node_type": "array", "data_type": plain.name, "attributes": {}}
        write_json(folder / "zarr.json", common | keys)
    for place in product(*(range(-(-length // chunk)) for length, chunk in zip(array.shape, chunks, strict=True))):
        if place in skip:
            continue
        values = np.zeros(chunks, plain.newbyteorder(byteorder))
        part = array[tuple(slice(n * c, (n + 1) * c) for n, c in zip(place, chunks, strict=True))]
        values[tuple(map(slice, part.shape))] = part
        name = separator.join(map(str, place))
        path = folder / (f"c{separator}{name}" if zarr_format == 3 else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CODECS[codec][0](values.tobytes(order=order)))


def read_array(folder):
    """The values of an array in native byte order, decoded from its files; missing chunks are 0."""
    is_3 = (folder / "zarr.json").exists()
    data = json.loads((folder / ("zarr.json" if is_3 else ".zarray")).read_text())
    if is_3:
        chunks = data["chunk_grid"]["configuration"]["chunk_shape"]
        separator, names = data["chunk_key_encoding"]["configuration"]["separator"], [c["name"] for c in data["codecs"]]
        endian = next((c["configuration"]["endian"] for c in data["codecs"] if c["name"] == "bytes"), "little")
        dtype = np.dtype(data["data_type"]).newbyteorder("<" if endian == "little" else ">")
        codec, order = next((n for n in names if n in CODECS), None), "F" if "transpose" in names else "C"
    else:
        chunks, separator, order, dtype = (
            data["chunks"],
            data["dimension_separator"],
            data["order"],
            np.dtype(data["dtype"]),
        )
        codec = data["compressor"] and data["compressor"]["id"]
    result = np.zeros(data["shape"], dtype.newbyteorder("="))
    for place in product(*(range(-(-length // chunk)) for length, chunk in zip(result.shape, chunks, strict=True))):
        name = separator.join(map(str, place))
        path = folder / (f"c{separator}{name}" if is_3 else name)
        if path.exists():
            target = result[tuple(slice(n * c, (n + 1) * c) for n, c in zip(place, chunks, strict=True))]
            if is_3 and names == ["sharding_indexed"]:
                values = _read_shard(
                    path.read_bytes(), data["codecs"][0]["configuration"]["chunk_shape"], chunks, dtype
                )
            else:
                values = np.frombuffer(CODECS[codec][1](path.read_bytes()), dtype).reshape(chunks, order=order)
            target[...] = values[tuple(map(slice, target.shape))]
    return result


def _read_shard(data, inner, chunks, dtype):
    """Values of a shard of Zstandard chunks: its index, at the end, has the place and the length of each, and a CRC."""
    grid = [outer // length for outer, length in zip(chunks, inner, strict=True)]
    index = np.frombuffer(data[-16 * np.prod(grid) - 4 : -4], "<u8").reshape(*grid, 2)
    values = np.zeros(chunks, dtype)
    for place in np.ndindex(*grid):
        start, length = map(int, index[place])
        part = tuple(slice(n * c, (n + 1) * c) for n, c in zip(place, inner, strict=True))
        if start == 2**64 - 1:  # not there
            continue
        values[part] = np.frombuffer(imagecodecs.zstd_decode(data[start : start + length]), dtype).reshape(inner)
    return values


def write_ome(root, levels, *, axes="tczyx", zarr_format=2, chunks=None, name="", more=None, **options):
    """A picture with its sizes, the largest first, as OME-NGFF 0.4 (Zarr format 2) or 0.5 (3) has it."""
    folder = root / name
    kinds = {"t": "time", "c": "channel"}
    entry = {
        "name": "cells", "axes": [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes],
        "datasets": [
            {"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": [0.5] * len(axes)}]}
            for number in range(len(levels))
        ],
    }  # fmt: skip
    ome = {"multiscales": [entry], "omero": {"channels": [{"color": "00FFFF", "label": "DAPI"}]}} | (more or {})
    write_group(folder, ome, zarr_format=zarr_format)
    for number, level in enumerate(levels):
        sides = chunks or tuple(
            min(16, length) if axis in "yx" else 1 for axis, length in zip(axes, level.shape, strict=True)
        )
        write_array(folder / str(number), level, zarr_format=zarr_format, chunks=sides, **options)
    return root


def write_group(folder, ome, *, zarr_format=2):
    """A group and what OME-NGFF says of it."""
    if zarr_format == 2:
        write_json(folder / ".zgroup", {"zarr_format": 2})
        write_json(folder / ".zattrs", ome | {"mine": [1, None]})
    else:
        attributes = {"ome": {"version": "0.5"} | ome, "mine": [1, None]}
        write_json(folder / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def contents(root):
    """Bytes of all files, by their paths."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}


def swell(data):
    """A Blosc chunk whose header declares 2 GB."""
    return data[:4] + struct.pack("<I", 2**31 - 1) + data[8:]


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
