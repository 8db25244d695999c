"""Laws of writing: whole or not at all, never over what must stay."""

import os
import time

import pytest

from mashpix import FileError
from mashpix.files import atomic, atomic_write, check_output


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path):
    target = tmp_path / "a.bin"
    atomic_write(target, b"one")
    with pytest.raises(FileError, match="exists"):
        atomic_write(target, b"two")
    assert target.read_bytes() == b"one"
    target.chmod(0o640)
    atomic_write(target, b"two", overwrite=True)
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("step", ["fsync", "replace", "fdopen", "fchmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_the_old_file_survives_a_failure_at_any_step(step, error, tmp_path, monkeypatch):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(atomic.os, step, fail)
    with pytest.raises((FileError, KeyboardInterrupt)) as caught:
        atomic_write(target, b"new", overwrite=True)
    monkeypatch.undo()
    if isinstance(caught.value, FileError):
        assert "No space left" in str(caught.value)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    target = tmp_path / "a.bin"
    real = os.link
    monkeypatch.setattr(atomic.os, "link", lambda *names: (target.write_bytes(b"other"), real(*names)))
    with pytest.raises(FileError, match="exists"):
        atomic_write(target, b"mine")
    assert target.read_bytes() == b"other"
    assert names(tmp_path) == ["a.bin"]


def test_a_file_system_without_hard_links_will_do(tmp_path, monkeypatch):
    def refuse(*names):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(atomic.os, "link", refuse)
    atomic_write(tmp_path / "a.bin", b"one")
    with pytest.raises(FileError, match="exists"):
        atomic_write(tmp_path / "a.bin", b"two")
    assert (tmp_path / "a.bin").read_bytes() == b"one"
    assert names(tmp_path) == ["a.bin"]


def test_cleaning_up_after_others_never_stops_a_write(tmp_path, monkeypatch):
    def refuse(*names):
        raise PermissionError(13, "Permission denied")

    handle, stale = atomic.create_temporary(tmp_path / "a.bin")
    os.close(handle)
    os.utime(stale, (0, 0))
    entries = list(os.scandir(tmp_path))
    stale.unlink()  # as another run may do at any moment
    monkeypatch.setattr(atomic.os, "scandir", lambda folder: entries)
    atomic_write(tmp_path / "a.bin", b"one", overwrite=True)
    monkeypatch.setattr(atomic.os, "scandir", refuse)
    atomic_write(tmp_path / "a.bin", b"two", overwrite=True)
    assert (tmp_path / "a.bin").read_bytes() == b"two"


def test_what_is_no_file_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "loop", "."):
        for write in (
            lambda path: check_output(None, path, overwrite=True),
            lambda path: atomic_write(path, b"", overwrite=True),
        ):
            with pytest.raises(FileError, match="name a file"):
                write(tmp_path / name)
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["loop", "pipe"]


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.bin").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "a.bin")
    atomic_write(tmp_path / "link", b"new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "a.bin").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["a b", "-dash", "new\nline", "\N{SNOWMAN}\N{GRINNING FACE}", "x" * 255, "é" * 127])
def test_any_name_works(name, tmp_path):
    check_output(None, tmp_path / name, overwrite=False)
    atomic_write(tmp_path / name, b"data")
    atomic_write(tmp_path / name, b"more", overwrite=True)
    assert names(tmp_path) == [name]


def test_temporary_files_of_killed_runs_are_removed(tmp_path):
    handle, stale = atomic.create_temporary(tmp_path / "a.bin")
    os.close(handle)
    old = time.time() - 2 * atomic.STALE_AFTER
    os.utime(stale, (old, old))
    handle, fresh = atomic.create_temporary(tmp_path / "a.bin")
    os.close(handle)
    atomic_write(tmp_path / "a.bin", b"data")
    assert names(tmp_path) == sorted([fresh.name, "a.bin"])


def test_outputs_that_cannot_be_are_refused_before_any_work(tmp_path):
    source = tmp_path / "in.png"
    source.write_bytes(b"picture")
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "soft").symlink_to(source)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "x")
    (tmp_path / "file").write_bytes(b"")
    for same in (source, tmp_path / "hard", tmp_path / "soft", tmp_path / "." / "in.png"):
        with pytest.raises(FileError, match="the input itself"):
            check_output(source, same, overwrite=True)
        check_output(source, same, overwrite=False, in_place=True)
    for target, message in {
        tmp_path: "is a folder",
        tmp_path / "missing" / "a.png": "No such file",
        tmp_path / "file" / "a.png": "Not a directory",
        tmp_path / "file": "exists",
        tmp_path / "dangling": "exists",
        tmp_path / ("x" * 256): "cannot write there",
    }.items():
        with pytest.raises(FileError, match=message):
            check_output(source, target, overwrite=False)
    check_output(source, tmp_path / "file", overwrite=True)
    assert source.read_bytes() == b"picture"
    assert names(tmp_path) == ["dangling", "file", "hard", "in.png", "soft"]


def test_a_read_only_folder_is_found_before_any_work(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic.os, "open", refuse)
    with pytest.raises(FileError, match="Permission denied"):
        check_output(None, tmp_path / "a.png", overwrite=False)
