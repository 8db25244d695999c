"""Bad files: each gives one line within a second, and nothing else."""

import os
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest

from bad_files import BAD, DEFLATED, GREY, RGB, saved
from file_kinds import png
from mashpix import FileError
from mashpix.files import read_image


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gives_one_line(name, tmp_path, capfd):
    data, message = BAD[name]
    (tmp_path / "a.png").write_bytes(data)
    started = time.perf_counter()
    with pytest.raises(FileError, match=message) as caught:
        read_image(tmp_path / "a.png")
    assert time.perf_counter() - started < 1
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_libraries_say_nothing_on_stderr(tmp_path):
    """In a process of its own: pytest listens to the loggers, and so hides what they print."""
    profile = zlib.compress(b"no profile")
    whole = saved(RGB, "png")
    remark = png((b"iCCP", b"x\0\0" + profile))[8:]
    inputs = [data for data, _ in BAD.values()] + [whole[:33] + remark + whole[33:]]
    for index, data in enumerate(inputs):
        (tmp_path / str(index)).write_bytes(data)
    code = """
import sys
from pathlib import Path
from mashpix import FileError
from mashpix.files import read_image
for path in Path(sys.argv[1]).iterdir():
    try:
        read_image(path)
    except FileError:
        pass
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing", tmp_path / "loop", tmp_path / ("x" * 300)):
        with pytest.raises(FileError):
            read_image(path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(FileError, match="not a regular file"):
            read_image(type(tmp_path)("/dev/zero"))


def test_a_file_larger_than_memory_is_not_loaded(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(saved(RGB, "png"))
    with path.open("r+b") as file:
        file.truncate(2**40)  # sparse: it takes no room
    with pytest.raises(FileError, match="1099511627776 bytes; at most"):
        read_image(path)
    with pytest.raises(FileError, match="memory of this computer"):
        read_image(path, max_pixels=2**60)
    with path.open("r+b") as file:
        file.write(b"nonsense")
    with pytest.raises(FileError, match="no known image format"):
        read_image(path)


@pytest.mark.parametrize(
    "data",
    [
        saved(RGB, "png"), saved(RGB, "jpeg"), saved(RGB, "tiff", photometric="rgb"), DEFLATED, saved(RGB, "npy"),
        saved(GREY, "tiff", tile=(16, 16), bigtiff=True, compression="lzw"), saved(RGB[:4, :4], "webp", lossless=True),
        saved(GREY[:4, :4], "npz"),
    ],
    ids=["png", "jpeg", "tiff", "deflate", "npy", "bigtiff", "webp", "npz"],
)  # fmt: skip
def test_truncation_at_any_byte_is_refused(data, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(data)
    read_image(path)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(FileError):
            read_image(path)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff", "npy", "npz"])
def test_flipped_bits_never_raise_anything_else(kind, tmp_path, rng):
    options = {"compression": "lzw", "photometric": "rgb"} if kind == "tiff" else {}
    data, path = saved(RGB, kind, **options), tmp_path / "a"
    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(damaged)
        try:
            image = read_image(path)
        except FileError:
            continue
        assert kind != "png" or np.array_equal(image.pixels, RGB)


def test_a_limit_can_be_raised_and_lowered(tmp_path):
    (tmp_path / "a.png").write_bytes(saved(RGB, "png"))
    with pytest.raises(FileError, match="at most 100 pixels, `max_pixels`"):
        read_image(tmp_path / "a.png", max_pixels=100)
    assert read_image(tmp_path / "a.png", max_pixels=12 * 16).pixels.shape == (12, 16, 3)
