"""An array of a Zarr in a wider dtype: its metadata, edited, and room for its chunks, which are all written anew."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mashpix.errors import FileError
from mashpix.files.folder import METADATA
from mashpix.files.ome_zarr.metadata import Layout, read_node

SIZED = {"delta", "shuffle"}
"""Codecs whose settings fit one dtype only."""


def check_widening(root: Path, layouts: list[Layout]) -> None:
    """Refuse a Zarr whose metadata say its dtype in further places."""
    node = read_node(root, "")
    why = ""
    if (root / ".zmetadata").exists() or (node and node.metadata.get("consolidated_metadata")):
        why = "has consolidated metadata"
    elif found := SIZED & {codec for layout in layouts for codec in layout.codecs}:
        why = f"has a codec for one dtype ({', '.join(sorted(found))})"
    if why:
        raise FileError(f"`dtype`: a Zarr that {why} ({layouts[0].dtype}; leave it out)")


def widen_array(root: Path, layout: Layout, dtype: np.dtype[Any]) -> None:
    """Give an array in a copy of a Zarr a wider dtype; its chunks, which are of the old one, go."""
    folder = root / layout.name
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in METADATA:
            path.unlink()
    path = folder / (".zarray" if layout.zarr_format == 2 else "zarr.json")
    data = json.loads(path.read_bytes())
    if layout.zarr_format == 2:
        data["dtype"] = dtype.newbyteorder(">" if data["dtype"].startswith(">") else "<").str
    else:
        data["data_type"] = dtype.name
        data["codecs"] = [_fit(codec, dtype) for codec in data["codecs"]]
    path.write_text(json.dumps(data, indent=2))


def _fit(codec: Any, dtype: np.dtype[Any]) -> Any:
    """Return a codec of format 3 whose settings say the byte order and the size of the dtype."""
    codec = {"name": codec} if isinstance(codec, str) else dict(codec)
    settings = dict(codec.get("configuration", {}))
    if codec["name"] == "bytes":
        settings.setdefault("endian", "little")
    if "typesize" in settings:
        settings["typesize"] = dtype.itemsize
    if "codecs" in settings:
        settings["codecs"] = [_fit(inner, dtype) for inner in settings["codecs"]]
    return codec | ({"configuration": settings} if settings else {})
