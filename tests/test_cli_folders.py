"""Laws of `mashpix denoise` on folders: what is planned, printed, refused and left to be resumed."""

import signal
import time
from subprocess import PIPE

import pytest

from commands import QUICK, names, run_here, start_cli
from mashpix.cli.folders import FolderOptions, is_batch
from mashpix.files import ImageFile, write_image
from mashpix.jobs.lock import LOCK


@pytest.fixture
def folder(tmp_path, rng):
    for name in ("in/a.png", "in/sub/b.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 33)).astype("uint8")
        write_image(tmp_path / name, ImageFile(pixels, "png" if name.endswith("png") else "tiff"))
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    return tmp_path


def test_a_dry_run_lists_files_and_writes_nothing(folder):
    done = run_here("denoise", "in", "-o", "out", *QUICK, "--dry-run", cwd=folder)
    assert not (folder / "out").exists()
    first, second, last = done.stdout.splitlines()
    assert first.startswith("'in/a.png' -> 'out/a_denoised.png': 40 x 33, about")
    assert second.startswith("'in/sub/b.tif' -> 'out/sub/b_denoised.tif': 40 x 33, about")
    assert last.startswith("2 files, about")
    assert last.endswith("0 skipped, 1 cannot be read, 0 left out; nothing is written")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_folder_is_denoised_and_summed_up(folder):
    done = run_here("denoise", "in", "-o", "out", *QUICK, "--jobs", 2, cwd=folder)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("mashpix: 'in/bad.png': no known image format (10 bytes")
    assert "'out/a_denoised.png': masking ratio 0.5" in done.stdout
    assert done.stdout.count("verdict: ") == 2
    assert "done              2\nfailed            1\nfailed: 'in/bad.png': no known" in done.stdout
    assert run_here("denoise", "in/a.png", "-o", "alone.png", *QUICK, cwd=folder).returncode == 0
    assert (folder / "alone.png").read_bytes() == (folder / "out" / "a_denoised.png").read_bytes()


def test_ctrl_c_ends_a_batch_at_once_and_says_what_is_left(folder):
    long = (*QUICK[:2], "--steps", "100000", "--threads", "1")
    with start_cli("denoise", "in", "-o", "out", *long, cwd=folder, stdout=PIPE, stderr=PIPE, text=True) as child:
        lock = folder / "out" / LOCK
        while child.poll() is None and not (lock.is_file() and lock.stat().st_size):  # the first file is begun
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        started = time.perf_counter()
        stdout, stderr = child.communicate(timeout=30)
    assert time.perf_counter() - started < 2
    assert (child.returncode, stderr) == (130, "mashpix: interrupted; nothing is half-written\n")
    assert "not reached       3  --resume goes on with them" in stdout
    assert not list((folder / "out").rglob("*_denoised*"))


def test_folders_patterns_and_several_files_into_one_folder_are_a_batch(tmp_path):
    a, b, none = tmp_path / "a.png", tmp_path / "b.png", FolderOptions()
    for inputs, output in (([tmp_path], None), ([tmp_path / "*"], None), ([a, b], "out")):
        assert is_batch(inputs, output, none, in_place=False)
    assert is_batch([a], None, FolderOptions(resume=True), in_place=False)
    for inputs, output, in_place in (([a, b], None, False), ([a], "out", False), ([a, b], "out", True)):
        assert not is_batch(inputs, output, none, in_place=in_place)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("in",), 2, "a folder of images needs an output folder"),
        (("in", "-o", "out", "--in-place"), 2, "a folder of images needs an output folder"),
        (("in/a.png", "--in-place", "--dry-run"), 2, "--dry-run needs an output folder (name it with -o, and leave"),
        (("in/a.png", "--jobs", "2"), 2, "--jobs needs an output folder"),
        (("in/*.tif", "-o", "out"), 1, "nothing matches"),
        (("in/a.png", "-o", "out", "--watch"), 2, "--watch looks into folders"),
        (("in", "-o", "in/a.png"), 1, "the output is a file"),
        (("in", "-o", "out", "--device", "cuda:99"), 3, "no such device"),
        (("in", "-o", "out", "--dry-run", "--watch"), 2, "--dry-run cannot be combined with --watch"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(arguments, code, message, folder):
    before = names(folder)
    done = run_here("denoise", *arguments, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert message in done.stderr
    assert names(folder) == before
