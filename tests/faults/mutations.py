"""Mutated files: 5,000 small files of every kind, damaged at random, are refused or read, and never anything else."""

import io
import random
import re
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from bad_files import saved
from faults.attempts import Attempt
from faults.door import pass_through
from faults.many import try_many
from fidelity import KINDS
from file_kinds import Extras, build_heic
from mashpix.files.formats import output_ending
from science_files import science_seeds

FILES, QUICK_FILES = 5000, 120
SECONDS = 5.0
"""That one file may take."""
EXTREMES = ("B", "<H", ">H", "<I", ">I", "<Q", ">Q")
"""Fields that may hold a length."""
NUMBERS = (b"0", b"1", b"-1", b"65536", b"2147483647", b"4294967296", b"999999999999", b"9" * 40, b"1e9", b"nan")
STACK = np.random.default_rng(0).integers(0, 4096, (2, 3, 12, 20)).astype(np.uint16)
AXES = {"metadata": {"axes": "ZCYX"}}
STACKS = {
    "pages": {"metadata": None},
    "tifffile's own": AXES,
    "ImageJ": {"imagej": True, **AXES},
    "ImageJ, one directory": {"imagej": True, "truncate": True, **AXES},
    "OME": {"ome": True, **AXES},
    "OME, tiles, deflate, predictor": {"ome": True, "tile": (16, 16), "compression": "zlib", "predictor": True, **AXES},
    "BigTIFF, big-endian": {"bigtiff": True, "byteorder": ">", **AXES},
    "LZW": {"compression": "lzw", **AXES},
}


def make_seeds() -> dict[str, bytes]:
    """Small files of every format and layout, by their names."""
    seeds = {f"a{kind.suffix} {kind.name}": kind.make(Extras(), height=9, width=13) for kind in KINDS}
    for name, options in STACKS.items():
        file = io.BytesIO()
        tifffile.imwrite(file, STACK, photometric="minisblack", **options)
        seeds[f"a.tif stack, {name}"] = file.getvalue()
    for order in "CF":
        file = io.BytesIO()
        np.save(file, np.asarray(STACK, order=order))
        seeds[f"a.npy stack, {order}"] = file.getvalue()
    seeds |= {f"a.{kind.replace(', ', ' ', 1)}": data for kind, data in science_seeds(STACK[0]).items()}
    frames = [Image.fromarray(np.dstack([plane] * 3).astype(np.uint8)) for plane in STACK[0]]
    for kind in ("png", "gif", "webp"):
        seeds[f"a.{kind} animation"] = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    seeds["a.heic"] = build_heic(np.asarray(frames[0]))
    file = io.BytesIO()
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(STACK[0], subifds=1, metadata={"axes": "ZYX"}, photometric="minisblack")
        writer.write(STACK[0, :, ::2, ::2], subfiletype=1, photometric="minisblack")
    seeds["a.tif stack, pyramid"] = file.getvalue()
    return seeds


def mutate_files(*, quick: bool, seed: int) -> Iterator[Attempt]:
    """One attempt a file; the same seed gives the same changes (dates and UUIDs in the files are drawn anew)."""
    seeds = make_seeds()
    names = list(seeds)
    with tempfile.TemporaryDirectory() as folder:

        def work(number: int) -> tuple[str, str]:
            name = names[number % len(names)]
            source = Path(folder, name.split()[0])
            source.write_bytes(mutate(seeds[name], seeds, random.Random(f"{seed} {number}")))
            before = source.read_bytes()
            outcome = pass_through(source, source.with_name("out" + output_ending(source)))
            if source.read_bytes() != before:
                return "lost", "the input has changed"
            return outcome if len(list(source.parent.glob(".*"))) == 0 else ("wrong", "a temporary file is left")

        numbers = range(QUICK_FILES if quick else FILES)
        for number, outcome, detail in try_many(numbers, work, seconds=SECONDS):
            yield Attempt(f"{number}, {names[number % len(names)]}", outcome, detail)


def mutate(data: bytes, seeds: dict[str, bytes], chance: random.Random) -> bytes:
    """A file with one to three changes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        chance.choice((_flip, _set_bytes, _insert, _delete, _splice, _set_field, _set_field, _set_number))(
            changed, seeds, chance
        )
    return bytes(changed)


def _flip(data: bytearray, _: dict[str, bytes], chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set_bytes(data: bytearray, _: dict[str, bytes], chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        if data:
            data[chance.randrange(len(data))] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))


def _insert(data: bytearray, _: dict[str, bytes], chance: random.Random) -> None:
    place = chance.randint(0, len(data))
    data[place:place] = chance.randbytes(chance.randint(1, 16))


def _delete(data: bytearray, _: dict[str, bytes], chance: random.Random) -> None:
    place = chance.randint(0, len(data))
    del data[place : place + chance.choice((1, 2, 4, 8, 64, 512))]


def _splice(data: bytearray, seeds: dict[str, bytes], chance: random.Random) -> None:
    """A piece of this or of another file over, or between, what is there."""
    other = chance.choice((bytes(data), chance.choice(list(seeds.values()))))
    start, length = chance.randint(0, len(other)), chance.choice((4, 16, 64, 256))
    place = chance.randint(0, len(data))
    data[place : place + chance.choice((0, length))] = other[start : start + length]


def _set_field(data: bytearray, _: dict[str, bytes], chance: random.Random) -> None:
    """A field set to an extreme: near the start, where headers are, as often as anywhere."""
    layout = chance.choice(EXTREMES)
    size = struct.calcsize(layout)
    most = 2 ** (8 * size) - 1
    place = chance.randint(0, max(chance.choice((64, 512, len(data))), size))
    if place + size <= len(data):
        value = chance.choice((0, 1, most, most // 2, most // 2 + 1, len(data), most - 7))
        struct.pack_into(layout, data, place, value & most)


def _set_number(data: bytearray, _: dict[str, bytes], chance: random.Random) -> None:
    """A number in a text - OME-XML, ImageJ's description, the header of an NPY - replaced by another one."""
    found = list(re.finditer(rb"\d+", bytes(data)))
    if found:
        match = chance.choice(found)
        data[match.start() : match.end()] = chance.choice(NUMBERS)
