"""Laws of benchmarks/faults.py, a share of it, and of what it has found: nothing is lost, whatever goes wrong."""

import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from bad_files import BAD, GREY, PLAIN, saved, tiff_directory
from commands import start_cli
from faults import page, zoo
from faults.attempts import GOOD, OUTCOMES, QUICK, Ended, snapshot, wait_until
from faults.case import Case
from mashpix import FileError, InputError, denoise, devices
from mashpix.cli import app
from mashpix.cli.folders import FolderOptions, is_batch
from mashpix.cli.targets import find_targets
from mashpix.files import ImageFile, formats, open_file, read_image, write_image
from mashpix.jobs.lock import LOCK
from mashpix.jobs.memory import one_line_for_memory
from measured_page import read_part

COMMAND = Path(__file__).parents[1] / "benchmarks" / "faults.py"
CSV = COMMAND.with_suffix(".csv")
PARTS = ("zoo", "cut", "mutations", "writes", "disk", "two", "torn", "kills", "blocks")


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """What a quick run of all parts counts."""
    if sys.platform != "linux":
        pytest.skip("limited children are made on Linux only")
    table = tmp_path_factory.mktemp("faults") / "counts.csv"
    command = [sys.executable, COMMAND, "--quick", "--csv", table]
    done = subprocess.run(command, capture_output=True, text=True)
    with table.open(newline="") as file:
        return {row["part"]: row for row in csv.DictReader(file)}, done.stdout + done.stderr


@pytest.mark.parametrize("part", PARTS)
def test_a_share_of_all_faults_is_survived_or_refused(part, counts):
    rows, said = counts
    assert int(rows[part]["tried"]) > 0
    assert {name: rows[part][name] for name in OUTCOMES if name not in GOOD and rows[part][name] != "0"} == {}, said


def test_the_page_says_what_every_input_gets_and_that_nothing_was_lost():
    assert read_part("inputs", page.PAGE) == page.input_table(), "run benchmarks/faults.py --page"
    assert read_part("counts", page.PAGE) == page.count_table(CSV), "run benchmarks/faults.py --page"
    with CSV.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows] == list(PARTS)
    assert all(row[name] == "0" for row in rows for name in OUTCOMES if name not in GOOD)
    assert int(rows[0]["tried"]) >= 120


@pytest.mark.parametrize(
    ("change", "ended", "outcome"),
    [
        (lambda folder: None, Ended(1, "", "mashpix: 'a.png': an empty file (0 bytes)\n"), "refused"),
        (lambda folder: None, Ended(1, "", "mashpix: 'a.png': something else\n"), "wrong"),
        (lambda folder: None, Ended(1, "", "mashpix: 'a.png': an empty file\nmashpix: and more\n"), "wrong"),
        (lambda folder: None, Ended(1, "", "an empty file\n"), "wrong"),
        (lambda folder: None, Ended(2, "", "mashpix: 'a.png': an empty file\n"), "wrong"),
        (lambda folder: None, Ended(0, "", ""), "wrong"),
        (lambda folder: None, Ended(1, "", "Traceback (most recent call last):\nan empty file\n"), "crashed"),
        (lambda folder: None, Ended(-11, "", ""), "crashed"),
        (lambda folder: None, Ended(None, "", ""), "hung"),
        (lambda folder: (folder / "a.png").write_bytes(b"x"), Ended(1, "", "mashpix: an empty file\n"), "lost"),
        (lambda folder: (folder / "a.png").unlink(), Ended(1, "", "mashpix: an empty file\n"), "lost"),
        (lambda folder: (folder / "out.png").write_bytes(b""), Ended(1, "", "mashpix: an empty file\n"), "wrong"),
    ],
)
def test_every_way_to_go_wrong_is_seen(change, ended, outcome, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    before = snapshot(tmp_path)
    change(tmp_path)
    case = Case(row="", name="", build=b"", message="an empty file")
    assert zoo.judge(case, tmp_path, ended, before)[0] == outcome


def test_a_result_that_is_not_what_went_in_is_seen(tmp_path):
    old = np.arange(100, dtype=np.float32).reshape(10, 10)
    old[3, 4] = np.nan
    np.save(tmp_path / "a.npy", old)
    for new, complaint in (
        (old, ""),
        (old.astype(np.float64), "float64 (10, 10) of float32 (10, 10)"),
        (old[:9], "float32 (9, 10) of float32 (10, 10)"),
        (np.nan_to_num(old), "holes at other places"),
        (np.where(old == 7, np.nan, old).astype(np.float32), "holes at other places"),
        (old * 2, "values out of range"),
        (old[::-1, :].copy()[::-1] * np.float32(0.5) + 10, "other pixels"),
    ):
        np.save(tmp_path / "b.npy", new)
        assert zoo.compare(tmp_path / "a.npy", tmp_path / "b.npy", is_same=True) == complaint


def test_a_child_that_dies_or_hangs_costs_one_input(tmp_path):
    code = """
import os, time
from faults.many import try_many
def work(number):
    if number == 1:
        os.abort()
    if number == 3:
        time.sleep(60)
    if number == 4:
        raise KeyError("what")
    return "survived", ""
print([answer[:2] for answer in try_many(range(6), work, seconds=1)])
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    outcomes = ["survived", "crashed", "survived", "hung", "crashed", "survived"]
    assert done.stdout == f"{list(enumerate(outcomes))}\n", done.stderr


def test_no_bad_file_is_more_than_an_error_when_it_is_opened(tmp_path):
    for name, (data, _) in BAD.items():
        (tmp_path / "a").write_bytes(data)
        with suppress(FileError), open_file(tmp_path / "a") as opened:
            assert min(opened.shape) > 0, name


def test_too_little_memory_for_a_file_is_not_called_damage(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(saved(GREY, "png"))

    def run_out(*_, **__):
        raise MemoryError("Unable to allocate 381. MiB")

    monkeypatch.setitem(formats.WRITABLE, "png", replace(formats.PNG, read=run_out))
    with pytest.raises(FileError, match="too large for the memory of this computer"):
        read_image(tmp_path / "a.png")


def test_memory_that_runs_out_on_the_way_is_one_error_and_nothing_else_is():
    of_onednn = [RuntimeError(f"could not create a {what}") for what in ("primitive", "memory object")]
    for error in (MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), *of_onednn):
        with pytest.raises(InputError, match="not enough memory"), one_line_for_memory():
            raise error
    with pytest.raises(RuntimeError, match="other"), one_line_for_memory():
        raise RuntimeError("other")


def test_the_limit_of_the_process_counts_as_its_memory(monkeypatch):
    resource = pytest.importorskip("resource")
    free = devices.available_memory()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**20, 2**20))
    assert free is None or free > 2**20
    assert devices.available_memory() == 0


def test_a_tiff_without_the_tag_of_its_compression_is_uncompressed(tmp_path):
    strips = [(277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64)]
    (tmp_path / "a.tif").write_bytes(tiff_directory(*PLAIN[:5], *strips) + bytes(range(150)))
    image = read_image(tmp_path / "a.tif")
    assert write_image(tmp_path / "b.tif", ImageFile(image.pixels[::-1], "tiff", template=image.template)) == []
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels, image.pixels[::-1])


def test_planes_of_different_sizes_are_no_stack(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY] * 3), imagej=True, byteorder="<")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        data[file.pages[0].tags["ImageLength"].valueoffset] = 5
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(FileError, match="its planes differ in size or dtype"):
        open_file(tmp_path / "a.tif")


def test_a_tag_whose_value_is_cut_off_is_a_truncated_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, description="x" * 50, metadata=None)
    data = (tmp_path / "a.tif").read_bytes()
    place = data.index(b"x" * 50)
    (tmp_path / "a.tif").write_bytes(data[:place] + b"y" + data[place + 1 :])
    read_image(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        entry = file.pages.first.tags["ImageDescription"].offset
    changed = bytearray(data)
    changed[entry + 8 : entry + 12] = (len(data) - 10).to_bytes(4, "little" if data[:2] == b"II" else "big")
    (tmp_path / "a.tif").write_bytes(changed)
    with pytest.raises(FileError, match="the value of tag 270 ends beyond"):
        read_image(tmp_path / "a.tif")


def test_names_that_the_system_refuses_are_names_of_nothing(tmp_path):
    assert not is_batch([tmp_path / ("x" * 300)], None, FolderOptions(), in_place=False)
    assert find_targets([tmp_path / "a.png"], "x" * 300, in_place=False) == [Path("x" * 300)]


def test_infinite_pixels_cause_no_warnings(tmp_path, rng):
    picture = rng.normal(100, 10, (24, 32)).astype(np.float32)
    picture[3, 4], picture[5, 6] = np.inf, -np.inf
    np.save(tmp_path / "a.npy", picture)
    done = CliRunner().invoke(app, ["denoise", str(tmp_path / "a.npy"), "--save", "residual", "--no-refine", *QUICK])
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        f"mashpix: {str(tmp_path / 'a.npy')!r}: 2 of 768 values hold no data: left out and kept"
    ]


def test_values_of_any_scale_are_denoised_or_refused(quick, rng):
    noise = rng.normal(100, 10, (24, 32, 3))
    ones = denoise(noise, channel_axis=-1, settings=quick, device="cpu")
    for scale in (2.0**-1000, 2.0**100):
        scaled = denoise(noise * scale, channel_axis=-1, settings=quick, device="cpu")
        np.testing.assert_allclose(scaled / scale, ones, rtol=1e-6)
    for picture in (noise * 1e300, np.where(noise > 115, 1.7e308, -1.7e308)):
        with pytest.raises(InputError, match="values too far apart"):
            denoise(picture, channel_axis=-1, settings=quick, device="cpu")


def test_a_watched_folder_is_denoised_as_its_files_are_complete(tmp_path, rng):
    """An instrument writes slowly, into folders too; one file is bad; Ctrl-C ends it with all that came done."""
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    write_image(tmp_path / "whole.png", ImageFile(rng.integers(0, 256, (24, 32)).astype(np.uint8), "png"))
    data = (tmp_path / "whole.png").read_bytes()
    command = ("denoise", folder, "-o", out, "--watch", "--interval", "0.4", *QUICK)
    with start_cli(*command, cwd=tmp_path, stdout=subprocess.PIPE) as child:
        try:
            assert wait_until((out / LOCK).exists, seconds=60)
            (folder / "a.png").write_bytes(data)
            (folder / "bad.png").write_bytes(b"no picture")
            with (folder / "sub" / "slow.png").open("wb") as file:
                for part in (data[:100], data[100:200], data[200:]):  # never the same in two looks
                    file.write(part)
                    file.flush()
                    assert not (out / "sub" / "slow_denoised.png").exists()
                    time.sleep(0.3)
            for name in ("a_denoised.png.json", "sub/slow_denoised.png.json"):
                assert wait_until((out / name).exists, seconds=60)
            time.sleep(0.5)
            child.send_signal(signal.SIGINT)
            stdout, stderr = child.communicate(timeout=30)
        finally:
            child.kill()
    assert child.returncode == 130
    assert stderr.startswith("mashpix: watching, a look every 0.4 s; Ctrl-C ends it\n")
    assert stderr.count("no known image format") == stderr.count("bad.png") == 1
    assert "done              2\nfailed            1\n" in stdout
    assert (out / "a_denoised.png").read_bytes() == (out / "sub" / "slow_denoised.png").read_bytes()
    statuses = [line.split('"status": "')[1][:4] for line in (out / "mashpix.jsonl").read_text().splitlines()]
    assert sorted(statuses) == ["done", "done", "fail"]
    assert not list(out.rglob(".*mashpix-tmp"))
