"""Laws of the parts of a batch: which files it takes, lines on the disk, the lock, watching, worker processes."""

import _thread
import os
import pickle
import signal
import subprocess
import sys
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
import pytest

from batches import fill
from commands import names
from mashpix.errors import FileError
from mashpix.files import ImageFile, write_image
from mashpix.jobs.batch import NOWHERE, ProcessExecutor, find_sources
from mashpix.jobs.batch.items import make_item
from mashpix.jobs.batch.manifest import append_line, read_lines, read_manifest
from mashpix.jobs.batch.watching import watch
from mashpix.jobs.denoise_file import denoise_file
from mashpix.jobs.lock import LOCK, lock_folder
from mashpix.jobs.request import DenoiseRequest
from mashpix.steps import drain


@pytest.fixture
def tree(tmp_path):
    """Images, hidden ones, an output of an earlier run, and links in circles."""
    folder = tmp_path / "in"
    fill(folder, b=b"", a=b"", _hidden__x=b"", sub__c=b"", out__a_denoised=b"", out__other=b"")
    (folder / "_hidden").rename(folder / ".hidden")
    (folder / ".a.png").write_bytes(b"")
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    return folder


def relatives(found):
    return [relative.as_posix() for relative in found.sources.values()]


def test_a_folder_is_walked_once_without_the_output_folder_in_it(tree):
    assert relatives(find_sources([tree], tree / "out")) == ["a.png", "b.png", "sub/c.png"]


def test_own_outputs_among_the_inputs_are_left_out_by_their_names(tree):
    found = find_sources([tree], tree)
    assert relatives(found) == ["a.png", "b.png", "out/other.png", "sub/c.png"]
    assert (found.own_outputs, found.not_images) == (1, 1)


def test_a_pattern_finds_files_and_folders(tree, tmp_path):
    elsewhere = find_sources([tree / "**" / "*.png"], tmp_path / "elsewhere")
    assert relatives(elsewhere) == ["a.png", "b.png", "out/a_denoised.png", "out/other.png", "sub/c.png"]
    assert relatives(find_sources([tree / "o*"], tmp_path)) == ["out/other.png"]


def test_a_torn_line_is_cut_off(tmp_path):
    path = tmp_path / "lines"
    assert read_lines(path) == []
    append_line(path, {"a": 1})
    path.write_bytes(path.read_bytes() + b'{"b"')
    assert read_lines(path) == [{"a": 1}]
    append_line(path, [2])
    assert path.read_bytes() == b'{"a": 1}\n[2]\n'


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "lines"
    append_line(path, [1])

    def fail(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(FileError, match="No space left"):
            append_line(path, [2])
    assert read_lines(path) == [[1]]


def test_a_line_that_was_written_in_part_does_not_come_later(tmp_path):
    """The disk is full in the middle of a line; there is room again as soon as the line is cut off."""
    resource = pytest.importorskip("resource")
    path, limits = tmp_path / "lines", resource.getrlimit(resource.RLIMIT_FSIZE)
    append_line(path, "first")
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 60, limits[1]))
    try:
        with pytest.raises(FileError, match="cannot be written"):
            append_line(path, "x" * 90)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    append_line(path, "last")
    assert read_lines(path) == ["first", "last"]


@pytest.mark.parametrize(
    ("text", "message"),
    [(b'{"a": 1}\n[2]\n', "not the manifest of this version"), (b'{"a": 1}\nnonsense\n[2]\n', "line 2")],
)
def test_a_damaged_manifest_is_refused(text, message, tmp_path):
    (tmp_path / "lines").write_bytes(text)
    with pytest.raises(FileError, match=message):
        read_manifest(tmp_path / "lines")


def test_a_folder_is_locked_once_and_free_afterwards(tmp_path):
    with lock_folder(tmp_path), pytest.raises(FileError, match="another run"), lock_folder(tmp_path):
        pass
    (tmp_path / LOCK).write_text("[]\n")  # as a killed run leaves it
    with lock_folder(tmp_path):
        pass
    assert names(tmp_path) == []


def item_of(path):
    return make_item(path, Path(path.name), path.parent, DenoiseRequest(source=NOWHERE, target=NOWHERE))


@pytest.fixture
def watched(tmp_path):
    """A file that has been taken after it had grown; names of failed files; and further looks."""
    path, failed = tmp_path / "a.png", set()
    item = item_of(path)
    looks = watch(lambda: [item], every=0.0, failed=failed)
    assert next(looks) is None  # not there
    for data in (b"x", b"xx"):  # it grows
        path.write_bytes(data)
        assert next(looks) is None
    assert next(looks) is item
    return item, failed, looks


def test_a_watched_file_is_taken_once(watched):
    item, _, looks = watched
    item.source.write_bytes(b"more")
    assert [next(looks) for _ in range(4)] == [None] * 4


def test_a_watched_file_that_has_failed_comes_again_when_it_has_changed(watched):
    item, failed, looks = watched
    failed.add("a.png")
    assert [next(looks) for _ in range(4)] == [None] * 4
    item.source.write_bytes(b"more")
    assert [next(looks) for _ in range(4)] == [None, item, None, None]


def run_nothing(task, attempt):
    """A task that must not be run."""
    raise AssertionError(task)
    yield


def test_no_tasks_no_processes():
    assert list(ProcessExecutor(2)(run_nothing, iter([]))) == []


@pytest.mark.parametrize(("jobs", "at_once", "each"), [(1, None, 8), (4, None, 2), (4, 1, 8), (16, None, 1)])
def test_processes_share_the_threads(jobs, at_once, each):
    assert ProcessExecutor(jobs, 8).threads_each(min(jobs, at_once or jobs)) == each


def test_ctrl_c_while_a_worker_starts_is_heard_when_it_has_started(tmp_path, monkeypatch):
    started = []

    def start(process):
        _thread.interrupt_main()  # as a signal that another thread takes: it is not blocked
        time.sleep(0.01)
        started.append(process)

    monkeypatch.setattr(SpawnProcess, "start", start)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background is deaf to it
    try:
        with pytest.raises(KeyboardInterrupt):
            list(ProcessExecutor()(run_nothing, iter([tmp_path])))
    finally:
        signal.signal(signal.SIGINT, before)
    assert started


def test_an_outcome_is_read_without_torch(tmp_path, quick):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32)).astype(np.uint8)
    write_image(tmp_path / "a.png", ImageFile(pixels, "png"))
    request = DenoiseRequest(source=tmp_path / "a.png", target=tmp_path / "b.png", settings=quick)
    (tmp_path / "outcome").write_bytes(pickle.dumps(drain(denoise_file(request))))
    code = "import pickle, sys\npickle.load(open('outcome', 'rb'))\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "False\n"
