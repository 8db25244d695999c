"""Second readers that are programs of other projects: exiftool, libtiff's tiffinfo and tiffcp, libvips' vips."""

import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

PROGRAMS = ("exiftool", "tiffinfo", "tiffcp", "vips")
"""Debian has them in libimage-exiftool-perl, libtiff-tools and libvips-tools."""
OF_FILE = {"SourceFile", "System", "ExifTool", "Composite"}
"""What exiftool tells of the file system, of itself, and works out of other tags."""
MOVED = {"StripOffsets", "StripByteCounts", "TileOffsets", "TileByteCounts", "MediaDataOffset", "MediaDataSize"}
"""Tags that say where pixels lie: new pixels need other room."""
VIPS_FORMATS = {0: "u1", 1: "i1", 2: "u2", 3: "i2", 4: "u4", 5: "i4", 6: "f4", 8: "f8"}


def there() -> set[str]:
    """The programs that are installed here."""
    return {name for name in PROGRAMS if shutil.which(name)}


def versions() -> dict[str, str]:
    """Version of each program that is installed here."""
    ask = {"exiftool": ("-ver",), "tiffinfo": ("-h",), "tiffcp": ("-h",), "vips": ("--version",)}
    found = {name: re.search(r"\d+(\.\d+)+", run(name, *ask[name])) for name in PROGRAMS if name in there()}
    return {name: version[0] for name, version in found.items() if version}


def run(*command: Any) -> str:
    """What a program says on stdout; `CalledProcessError` if it fails."""
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    done = subprocess.run([*map(str, command)], capture_output=True, check=True, env=environment, timeout=60)
    return done.stdout.decode("utf-8", "replace")


def tags_by_exiftool(*paths: Path) -> list[dict[str, Any]]:
    """Tags of files by group and name, all directories."""
    found = json.loads(run("exiftool", "-j", "-a", "-G1", "-n", *paths))
    return [
        {
            name: value
            for name, value in tags.items()
            if name.split(":")[0] not in OF_FILE and name.split(":")[-1] not in MOVED
        }
        for tags in found
    ]


def tags_by_tiffinfo(*paths: Path) -> list[dict[str, Any]]:
    """Lines that tiffinfo prints of each directory of TIFF files, without places in the file."""
    found = []
    for path in paths:
        directories = run("tiffinfo", path).split("=== TIFF directory")[1:]
        found.append(
            {
                f"{number}:{line.partition(':')[0].strip()}": line
                for number, text in enumerate(directories)
                for line in text.splitlines()[1:]
                if "TIFF Directory at offset" not in line
            }
        )
    return found


METADATA: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "exiftool": tags_by_exiftool,
    "tiffinfo": tags_by_tiffinfo,
}
"""Programs that list tags."""
KNOWN = {"exiftool": {".avif", ".jpg", ".jxl", ".png", ".tif", ".tiff", ".webp"}, "tiffinfo": {".tif", ".tiff"}}
"""The formats whose tags they know."""


def differences(name: str, source: Path, target: Path) -> list[str] | None:
    """The tags that a program sees changed, gone or come; None if it cannot read the source."""
    try:
        old, new = METADATA[name](source, target)
    except (subprocess.CalledProcessError, ValueError):
        return None
    return sorted(tag for tag in old.keys() | new.keys() if old.get(tag) != new.get(tag))


def same_tags(source: Path, target: Path, lost: list[str]) -> list[str]:
    """Programs that see the tags of the old file in the new one, and how many differ where that was announced.

    Raises `AssertionError` if a tag differs of which no line speaks.
    """
    names = []
    for name in METADATA:
        if name not in there() or source.suffix not in KNOWN[name]:
            continue
        if (differ := differences(name, source, target)) is not None:
            assert lost or not differ, f"{name} sees other tags: {differ}"
            names.append(f"{name} ({len(differ)} differ)" if differ else name)
    return names


def pixels_by_vips(path: Path) -> Any:
    """All pages one below another, (H, W) or (H, W, C), read by libvips."""
    with tempfile.TemporaryDirectory() as folder:
        pages = "[n=-1]" if path.suffix in (".tif", ".tiff") else ""
        run("vips", "copy", f"{path}{pages}", f"{folder}/a.v")
        data = Path(folder, "a.v").read_bytes()
    width, height, bands, _, kind = struct.unpack("<5i", data[4:24])
    size = width * height * bands * np.dtype(VIPS_FORMATS[kind]).itemsize
    array = np.frombuffer(data[64 : 64 + size], VIPS_FORMATS[kind]).reshape(height, width, bands)
    return array[..., 0] if bands == 1 else array


def pixels_by_tiffcp(path: Path) -> Any:
    """All pages one below another, decompressed by libtiff."""
    with tempfile.TemporaryDirectory() as folder:
        run("tiffcp", "-c", "none", path, f"{folder}/a.tif")
        with tifffile.TiffFile(f"{folder}/a.tif") as file:
            pages = [page.asarray() for page in file.pages]
            pages = [np.moveaxis(array, 0, -1) if file.pages.first.axes == "SYX" else array for array in pages]
    array = np.concatenate(pages)
    return array.astype(array.dtype.newbyteorder("="))


PIXELS: dict[str, Callable[[Path], Any]] = {"vips": pixels_by_vips, "tiffcp": pixels_by_tiffcp}
"""Programs that decode pixels."""
