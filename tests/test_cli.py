"""Laws of the command line: what it writes, what it refuses and how it ends."""

import json
import os
import pty
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import mashpix
from commands import QUICK, names, pixels, run_cli, run_here, start_cli
from mashpix import Settings
from mashpix.cli.targets import find_targets
from mashpix.errors import UsageError


@pytest.fixture
def folder(tmp_path, rng):
    Image.fromarray(rng.integers(0, 256, (40, 33, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    Image.open(tmp_path / "a.png").quantize(8).save(tmp_path / "palette.png")
    tifffile.imwrite(tmp_path / "b.tif", rng.integers(0, 4096, (40, 33)).astype(np.uint16), metadata=None)
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    return tmp_path


def cpu_seconds(*arguments, cwd):
    """Processor time of a command in a process of its own."""
    before = os.times()
    assert run_cli(*arguments, cwd=cwd).returncode == 0
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("denoise", "--help")])
def test_it_starts_in_half_a_second(arguments, tmp_path):
    """An idle machine needs 0.5 s; torch would add 2 s. Busy neighbours slow a start down: one of five counts."""
    assert any(cpu_seconds(*arguments, cwd=tmp_path) < 2.0 for _ in range(5))


def test_a_module_is_started_as_well(tmp_path):
    assert run_cli("--version", cwd=tmp_path).stdout == f"mashpix {mashpix.__version__}\n"  # python -m mashpix


def test_every_setting_is_a_flag(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = run_here("denoise", "--help").stdout
    assert all(f"--{item.name.replace('_', '-')}" in text for item in fields(Settings))


def test_output_recipe_and_extras_are_written_and_reproduced(folder):
    before = (folder / "b.tif").read_bytes()
    done = run_here("denoise", "b.tif", *QUICK, "--seed", 7, "--save", "spread,residual,report", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "'b_denoised.tif': masking ratio 0.5" in done.stdout
    assert (folder / "b.tif").read_bytes() == before
    denoised = tifffile.imread(folder / "b_denoised.tif")
    assert denoised.dtype == np.uint16
    assert tifffile.imread(folder / "b_denoised_spread.tif").dtype == np.float32
    residual = tifffile.imread(folder / "b_denoised_residual.tif")
    np.testing.assert_array_equal(residual, tifffile.imread(folder / "b.tif").astype(np.float32) - denoised)
    assert json.loads((folder / "b_denoised_report.json").read_text())["masking_ratio"] == 0.5
    again = run_here("denoise", "b.tif", "--recipe", "b_denoised.tif.json", "-o", "again.tif", cwd=folder)
    assert again.returncode == 0
    assert (folder / "again.tif").read_bytes() == (folder / "b_denoised.tif").read_bytes()


def test_a_bad_file_does_not_stop_the_others(folder):
    done = run_here("denoise", "bad.png", "a.png", "b.tif", *QUICK, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("mashpix: 'bad.png': no known image format")
    assert done.stderr.count("\n") == 1
    outputs = ["a_denoised.png", "a_denoised.png.json", "b_denoised.tif", "b_denoised.tif.json"]
    assert names(folder) == sorted(["a.png", "b.tif", "bad.png", "palette.png", *outputs])


def test_strength_0_gives_the_picture_back_and_1_does_not(folder):
    for strength in (0, 1):
        options = ("--strength", strength, "-o", f"{strength}.png")
        assert run_here("denoise", "a.png", *QUICK, *options, cwd=folder).returncode == 0
    noisy, kept, denoised = (pixels(folder / name) for name in ("a.png", "0.png", "1.png"))
    np.testing.assert_array_equal(kept, noisy)
    assert (denoised != noisy).any()


def test_in_place_replaces_the_input_and_nothing_else(folder):
    before = (folder / "a.png").read_bytes()
    assert run_here("denoise", "a.png", *QUICK, "--in-place", cwd=folder).returncode == 0
    assert (folder / "a.png").read_bytes() != before
    with Image.open(folder / "a.png") as image:
        assert image.size == (33, 40)
    (folder / "b.tif.json").write_text("mine")
    done = run_here("denoise", "b.tif", *QUICK, "--in-place", cwd=folder)
    assert done.returncode == 1
    assert "the output exists ('b.tif.json'" in done.stderr
    assert (folder / "b.tif.json").read_text() == "mine"


def test_what_cannot_be_kept_is_one_line_of_warning(folder):
    done = run_here("denoise", "palette.png", *QUICK, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "mashpix: 'palette.png': the palette is expanded to colours\n")
    assert pixels(folder / "palette_denoised.png").shape == (40, 33, 3)


REFUSED = [
    (("a.png", "-o", "a.png"), 1, "the output is the input itself"),
    (("a.png", "-o", "b.tif"), 1, "the output exists"),
    (("a.png", "-o", "none/x.png"), 1, "cannot write there"),
    (("a.png", "-o", "none/"), 1, "no such folder ('none/'; make it first)"),
    (("a.png", "b.tif", "-o", "a.png"), 1, "the output is a file"),
    (("none.png",), 1, "cannot be read (No such file"),
    (("bad.png",), 1, "no known image format"),
    (("b.tif", "-o", "x.jpg"), 1, "JPEG holds 8 bits"),
    (("a.png", "--max-pixels", "100"), 1, "too large (33 x 40; at most 100"),
    (("palette.png", "--strict"), 1, "not all of it can be kept (the palette is expanded to colours;"),
    (("a.png", "-o", "x.webp", "--strict"), 1, "written as WEBP: profile, EXIF"),
    (("a.png", "--preset", "magic"), 2, "unknown preset"),
    (("a.png", "--steps", "0"), 2, "steps: outside its limits"),
    (("a.png", "--masking-ratio", "most"), 2, "neither a number nor auto"),
    (("a.png", "--loss", "huber"), 2, "loss: unknown choice"),
    (("a.png", "--save", "soul"), 2, "--save: unknown (soul"),
    (("a.png", "--in-place", "-o", "x.png"), 2, "--in-place and --output"),
    (("a.png", "--preset", "paper", "--recipe", "r.json"), 2, "--preset and --recipe"),
    (("a.png", "--recipe", "bad.png"), 1, "not a readable recipe"),
    (("a.png", "--device", "gpu"), 2, "unknown device"),
    (("a.png", "--device", "cuda:99"), 3, "no such device"),
    (("a.png", "--nonsense"), 2, "No such option"),
    ((), 2, "Missing argument"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line_and_nothing_is_written(arguments, code, message, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = run_here("denoise", *arguments, cwd=folder)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert code == 2 or done.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_targets_lie_beside_the_inputs_or_in_a_folder(tmp_path):
    a, b = tmp_path / "a.png", tmp_path / "b.tif"
    assert find_targets([a, b], None, in_place=False) == [tmp_path / "a_denoised.png", tmp_path / "b_denoised.tif"]
    assert find_targets([a], str(tmp_path / "x.png"), in_place=False) == [tmp_path / "x.png"]
    assert find_targets([a], str(tmp_path), in_place=False) == [tmp_path / "a_denoised.png"]
    assert find_targets([a, b], None, in_place=True) == [a, b]
    with pytest.raises(UsageError, match="two inputs have one output"):
        find_targets([Path("x/a.png"), Path("y/a.png")], str(tmp_path), in_place=False)
    with pytest.raises(UsageError, match="is the output of another"):
        find_targets([a, tmp_path / "a_denoised.png"], None, in_place=False)


def test_a_terminal_sees_progress_with_the_time_left(folder):
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    child = start_cli("denoise", "a.png", *QUICK, "--steps", 100, cwd=folder, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the terminal closes with the child
            break
        if not part:
            break
        seen += part
    os.close(ours)
    assert child.wait(timeout=30) == 0
    assert b"%" in seen
    assert b"0:00:" in seen


@pytest.mark.parametrize("model", ["correlated", "gaussian", "poisson-gaussian", "camera"])
def test_noise_is_added_to_a_clean_picture(model, tmp_path):
    Image.fromarray(np.full((64, 64, 3), 120, np.uint8)).save(tmp_path / "clean.png")
    options = ("--model", model, "--sigma", "10", "--seed", "3", "-o", "noisy.png")
    assert run_here("add-noise", "clean.png", *options, cwd=tmp_path).returncode == 0
    noisy = pixels(tmp_path / "noisy.png").astype(float)
    assert noisy.shape == (64, 64, 3)
    assert noisy.mean() == pytest.approx(120, abs=3)
    expected = {"poisson-gaussian": (120 + 100) ** 0.5, "camera": noisy.std()}.get(model, 10)
    assert noisy.std() == pytest.approx(expected, rel=0.1)
    again = run_here("add-noise", "clean.png", *options, cwd=tmp_path)
    assert again.returncode == 1
    assert "the output exists" in again.stderr


def test_doctor_names_versions_and_the_device_that_auto_takes(tmp_path):
    done = run_here("doctor", cwd=tmp_path)
    assert done.returncode == 0
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert rows["torch"]
    assert rows["auto"].split()[0] in ("cpu", "cuda", "mps")
