"""Laws of writing a folder, an OME-Zarr: whole or not at all, never over what must stay."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from mashpix import FileError
from mashpix.files import atomic_folder, check_output, check_same_format, open_file
from zarr_kinds import contents, invert, negative, planes_of, read_array, write_ome

pytest.importorskip("zarr", reason="the extra `zarr` is not installed")
SYNC = atomic_folder._sync
pytestmark = pytest.mark.usefixtures("no_sync")


def test_an_error_on_the_way_leaves_the_old_folder_and_nothing_else(stack, tmp_path):
    source = write_ome(tmp_path / "a.zarr", [stack])
    write_ome(tmp_path / "b.zarr", [stack[:1]])
    old = contents(tmp_path / "b.zarr")
    opened = open_file(source)
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
    monkeypatch.setattr(atomic_folder, "_sync", SYNC)
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
        tmp_path / "pictures": "is not a Zarr",
        tmp_path / "file": "is not a Zarr",
        source / "b.zarr": "lies inside the other",
        tmp_path / "nowhere" / "b.zarr": "No such file",
    }.items():
        with pytest.raises(FileError, match=message):
            check_output(source, target, overwrite=True, is_folder=True)
    check_output(source, source, overwrite=False, in_place=True, is_folder=True)
    write_ome(tmp_path / "b.zarr", [stack])
    with pytest.raises(FileError, match="the output exists"):
        check_output(source, tmp_path / "b.zarr", overwrite=False, is_folder=True)
    check_output(source, tmp_path / "b.zarr", overwrite=True, is_folder=True)
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
from mashpix.files import atomic_folder, open_file
atomic_folder._sync = lambda folder: None  # a killed process loses nothing that was written
source, target = map(Path, sys.argv[1:])
print("ready", flush=True)
while True:
    stack = open_file(source)
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
