"""Read Zarr metadata, formats 2 and 3, and check it before anything is allocated or decoded."""

import json
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mashpix.errors import FileError
from mashpix.files.image_file import HEADROOM

Data = dict[str, Any]
LOSSLESS = {"blosc", "zlib", "gzip", "zstd", "lz4", "bz2", "lzma", "delta", "shuffle", "crc32", "crc32c", "adler32",
            "fletcher32"}  # fmt: skip
"""Codecs that are supported: none rounds values, and none executes what it reads, as pickles do."""
LAYOUTS = {"bytes", "endian", "transpose", "sharding_indexed"}
"""Codecs of format 3 that rearrange values."""
DTYPE = re.compile(r"[<>|]?([iu][1248]|f[248])|(u?int(?:8|16|32|64)|float(?:16|32|64))")
"""Numeric types in format 2, such as "<u2", or in format 3, such as "uint16"."""


@dataclass(frozen=True)
class Node:
    """A group or an array.

    name : of its folder below the Zarr, with slashes; "" for the Zarr itself
    zarr_format : 2 or 3
    is_array : or a group
    metadata : of the node, as Zarr has them
    attributes : of the node, as its writer has them
    """

    name: str
    zarr_format: int
    is_array: bool
    metadata: Data
    attributes: Data

    @property
    def ome(self) -> Data:
        """The attributes of OME-NGFF, which are under their own key from version 0.5 on."""
        own = self.attributes.get("ome")
        return own if isinstance(own, dict) else self.attributes


@dataclass(frozen=True)
class Layout:
    """The layout of the values of an array.

    name, zarr_format : of its node
    shape, chunks : lengths of the array, and of the part in one file
    dtype : in native byte order
    separator, prefix : parts of the names of its chunks
    codecs : that encode a chunk, in this order
    names : of its axes, where format 3 has them
    """

    name: str
    zarr_format: int
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    separator: str
    prefix: str
    codecs: tuple[str, ...]
    names: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    def chunk_name(self, place: tuple[int, ...]) -> str:
        """Return the path of a chunk's file below the Zarr."""
        return join(self.name, self.prefix + self.separator.join(map(str, place)))


def join(*names: str) -> str:
    """Join parts, some of which may be empty, to a path below the Zarr."""
    return "/".join(name for name in names if name)


def check_path(path: Any) -> str:
    """Check a path from metadata; refuse one that could leave the folder."""
    if (
        not isinstance(path, str)
        or "\\" in path
        or "\0" in path
        or any(part in ("", ".", "..") for part in path.split("/"))
    ):
        raise FileError(
            f"metadata name a path outside of the folder, or none ({str(path)[:80]!r}; one below it needed)"
        )
    return path


def read_node(root: Path, name: str) -> Node | None:
    """Read the group or array of a folder; None if it is neither."""
    if (data := _read_json(root, join(name, "zarr.json"))) is not None:
        if data.get("zarr_format") != 3 or data.get("node_type") not in ("array", "group"):
            raise FileError(f"damaged Zarr ({join(name, 'zarr.json')!r}; format 3 and a node type needed)")
        attributes = data.get("attributes", {})
        return Node(name, 3, data["node_type"] == "array", data, attributes if isinstance(attributes, dict) else {})
    attributes = _read_json(root, join(name, ".zattrs"))
    array = _read_json(root, join(name, ".zarray"))
    group = _read_json(root, join(name, ".zgroup"))
    if array is None and group is None and attributes is None:
        return None
    return Node(name, 2, array is not None, array or group or {}, attributes or {})


def _read_json(root: Path, name: str) -> Data | None:
    """Read a JSON object from a file; None if the file does not exist."""
    path = root / name
    try:
        if path.stat().st_size > HEADROOM:
            raise FileError(f"too large ({name!r} has {path.stat().st_size} bytes; at most {HEADROOM})")
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileError(f"cannot be read ({name!r}; {error.strerror})") from None
    except (ValueError, RecursionError):
        raise FileError(f"damaged Zarr ({name!r} is not JSON)") from None
    if not isinstance(data, dict):
        raise FileError(f"damaged Zarr ({name!r} is not a JSON object)")
    return data


def read_layout(root: Path, name: str) -> Layout:
    """Read the layout of an array of the Zarr.

    Raises
    ------
    FileError
        If it is missing or damaged, its values are not numbers, or a codec is unknown.
    """
    node = read_node(root, name)
    if node is None or not node.is_array:
        raise FileError(f"damaged Zarr (no array {name!r}, which its metadata name)")
    try:
        layout = _parse_2(node) if node.zarr_format == 2 else _parse_3(node)
        if len(layout.shape) != len(layout.chunks):
            raise ValueError(f"shape {layout.shape}, chunks {layout.chunks}")
        if layout.separator not in ("/", "."):
            raise ValueError(f"separator {layout.separator!r}")
        return layout
    except FileError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"damaged Zarr (array {name!r}: {type(error).__name__} {str(error)[:80]})") from None


def _parse_2(node: Node) -> Layout:
    data = node.metadata
    codecs = [*(data.get("filters") or []), *([data["compressor"]] if data.get("compressor") else [])]
    names = _known([codec["id"] for codec in codecs], node.name, LOSSLESS)
    shape, chunks = _lengths(data["shape"], node.name), _lengths(data["chunks"], node.name)
    dtype, separator = _dtype(data["dtype"], node.name), data.get("dimension_separator", ".")
    return Layout(node.name, 2, shape, chunks, dtype, separator, "", names)


def _parse_3(node: Node) -> Layout:
    data = node.metadata
    if data["chunk_grid"]["name"] != "regular" or data.get("storage_transformers"):
        raise FileError(f"unknown layout of chunks (array {node.name!r}; a regular grid needed)")
    names = _known(_names_of(data["codecs"]), node.name, LOSSLESS | LAYOUTS)
    shape = _lengths(data["shape"], node.name)
    chunks = _lengths(data["chunk_grid"]["configuration"]["chunk_shape"], node.name)
    keys = data["chunk_key_encoding"]
    is_default = keys["name"] == "default"
    separator = keys.get("configuration", {}).get("separator", "/" if is_default else ".")
    prefix, axes = f"c{separator}" if is_default else "", tuple(data.get("dimension_names") or ())
    return Layout(node.name, 3, shape, chunks, _dtype(data["data_type"], node.name), separator, prefix, names, axes)


def _names_of(codecs: list[Any]) -> list[str]:
    """Return the names of codecs, including those within shards."""
    names = []
    for codec in codecs:
        data: Data = {"name": codec} if isinstance(codec, str) else codec
        names.append(data["name"].removeprefix("numcodecs."))
        inner = data.get("configuration", {})
        names += _names_of([*inner.get("codecs", []), *inner.get("index_codecs", [])])
    return names


def _known(names: list[str], array: str, known: set[str]) -> tuple[str, ...]:
    if unknown := [str(name)[:40] for name in names if name not in known]:
        needed = ", ".join(sorted(known))
        raise FileError(f"unknown or lossy codec {unknown[0]!r} (array {array!r}; one of {needed} needed)")
    return tuple(names)


def _lengths(values: Any, array: str) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(type(value) is int and value >= 1 for value in values):
        raise FileError(f"absurd shape (array {array!r}: {str(values)[:80]}; lengths of at least 1 needed)")
    return tuple(values)


def _dtype(name: Any, array: str) -> np.dtype[Any]:
    match = DTYPE.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise FileError(f"no numbers to denoise (array {array!r} holds {str(name)[:40]!r}; integers or floats needed)")
    return np.dtype(match[1] or match[2])
