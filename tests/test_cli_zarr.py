"""Laws of the command line on OME-Zarr: a folder of chunks is one picture, alone and among others."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commands import QUICK, run_here
from mashpix.cli.targets import find_targets
from mashpix.jobs.batch import NOWHERE, find_sources
from mashpix.jobs.batch.batch import read_earlier_runs
from mashpix.jobs.batch.items import make_item, stamp_of
from mashpix.jobs.batch.manifest import MANIFEST, read_manifest
from mashpix.jobs.request import DenoiseRequest
from zarr_kinds import contents, read_array, write_ome

pytest.importorskip("zarr", reason="the extra `zarr` is not installed")
pytestmark = pytest.mark.usefixtures("no_sync")


def run(*arguments):
    return run_here("denoise", *arguments, *QUICK)


@pytest.fixture
def store(tmp_path, rng):
    """A picture of two channels and three planes of 24 x 32 in two sizes, OME-Zarr 0.5."""
    stack = (1000 + 100 * rng.normal(size=(2, 3, 24, 32))).astype(np.uint16)
    return write_ome(tmp_path / "a.zarr", [stack, stack[..., ::2, ::2]], axes="czyx", zarr_format=3, codec="zstd")


def test_a_picture_comes_out_as_it_went_in(store):
    before = contents(store)
    done = run(store, "--save", "report")
    assert done.returncode == 0, done.stderr
    assert "CZYX 2 x 3 x 24 x 32, networks shared" in done.stdout
    assert "the 1 smaller sizes of its pyramid are made from the result" in done.stderr
    target = store.with_name("a_denoised.zarr")
    assert contents(store) == before
    assert (target / "zarr.json").read_bytes() == before["zarr.json"]
    new = read_array(target / "0")
    assert new.std() < 0.8 * read_array(store / "0").std()
    means = new.reshape(2, 3, 12, 2, 16, 2).mean(axis=(3, 5))
    np.testing.assert_array_equal(read_array(target / "1"), np.rint(means).astype(np.uint16))
    assert json.loads(store.with_name("a_denoised_report.json").read_text())["shape"] == [2, 3, 24, 32]
    recipe = store.with_name("a_denoised.zarr.json")
    again = store.with_name("b.zarr")
    assert run_here("denoise", store, "--recipe", recipe, "-o", again).returncode == 0
    assert contents(again) == contents(target)
    assert json.loads(recipe.read_text())["input_sha256"] != json.loads(recipe.read_text())["output_sha256"]


def test_a_model_is_fitted_and_applied(store, tmp_path):
    model, target = tmp_path / "m.safetensors", tmp_path / "b.zarr"
    assert run_here("fit", store, "--channels", "joint", "-o", model, *QUICK).returncode == 0
    arguments = ("apply", model, store, "--channels", "joint", "--threads", 1, "-o", target)
    done = run_here(*arguments)
    assert done.returncode == 0, done.stderr
    assert read_array(target / "0").std() < 0.9 * read_array(store / "0").std()
    assert run_here(*arguments).returncode == 1
    assert run_here(*arguments, "--overwrite").returncode == 0


def test_a_picture_is_replaced_in_place_and_over_an_old_one(store, tmp_path):
    names, before = sorted(contents(store)), read_array(store / "0")
    assert run(store, "--in-place", "--strength", "0").returncode == 0
    np.testing.assert_array_equal(read_array(store / "0"), before)
    assert sorted(contents(store)) == names
    write_ome(tmp_path / "b.zarr", [np.zeros((24, 32), np.uint8)], axes="yx")
    done = run(store, "-o", tmp_path / "b.zarr")
    assert done.returncode == 1
    assert "the output exists" in done.stderr
    assert run(store, "-o", tmp_path / "b.zarr", "--overwrite").returncode == 0
    assert read_array(tmp_path / "b.zarr" / "0").shape == (2, 3, 24, 32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "b.tif"), "a stack keeps its format"),
        (("-o", "a.zarr/b.zarr"), "lies inside the other"),
        (("--axes", "ZYX"), "axes: 4 letters needed"),
    ],
)
def test_what_makes_no_sense_is_said_before_work_starts(arguments, message, store):
    before = contents(store.parent)
    done = run_here("denoise", "a.zarr", *arguments, *QUICK, cwd=store.parent)
    assert done.returncode != 0
    assert message in done.stderr
    assert contents(store.parent) == before


def test_missing_chunks_are_refused_or_left_missing(store):
    (store / "0" / "c" / "0" / "0" / "0" / "0").unlink()
    done = run(store)
    assert done.returncode == 1
    assert "a chunk is missing ('0/c/0/0/0/0'; --sparse reads" in done.stderr
    done = run(store, "--sparse")
    assert done.returncode == 0, done.stderr
    assert not (store.with_name("a_denoised.zarr") / "0" / "c" / "0" / "0" / "0" / "0").exists()


def test_a_damaged_chunk_leaves_no_output(store):
    chunk = store / "0" / "c" / "1" / "2" / "1" / "1"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    done = run(store)
    assert done.returncode == 1
    assert "damaged chunk '0/c/1/2/1/1'" in done.stderr
    assert [path.name for path in store.parent.iterdir()] == ["a.zarr"]


@pytest.mark.usefixtures("no_workers")
def test_a_folder_of_pictures_holds_a_zarr_as_one_of_them(tmp_path, rng):
    pictures, out = tmp_path / "in", tmp_path / "out"
    pictures.mkdir()
    plane = (1000 + 100 * rng.normal(size=(24, 32))).astype(np.uint16)
    write_ome(pictures / "sub" / "a.zarr", [plane], axes="yx")
    write_ome(pictures / "b", [plane], axes="yx")
    np.save(pictures / "c.npy", plane)
    names = ["b", "c.npy", "sub/a.zarr"]
    for inputs in (pictures, pictures / "**"):
        assert [relative.as_posix() for relative in find_sources([inputs], out).sources.values()] == names
    done = run(pictures, "-o", out)
    assert done.returncode == 0, done.stderr
    made = ["b_denoised", "b_denoised.json", "c_denoised.npy", "c_denoised.npy.json"]
    assert sorted(path.name for path in out.iterdir()) == [*made, "mashpix.jsonl", "sub"]
    assert read_array(out / "sub" / "a_denoised.zarr" / "0").std() < 0.9 * plane.std()
    again = run(pictures, "-o", out, "--resume")
    assert "skipped           3" in again.stdout
    (out / "b_denoised" / "0" / "0" / "0").write_bytes(b"")
    (entry,) = (entry for entry in read_manifest(out / MANIFEST) if entry.input == "b")
    item = make_item(pictures / "b", Path("b"), out, DenoiseRequest(source=NOWHERE, target=NOWHERE))
    assert entry.status == "done"
    assert not read_earlier_runs(out).have_done(item)


def test_a_zarr_has_changed_when_any_of_its_files_has(store):
    before = stamp_of(store)
    assert stamp_of(store) == before
    (store / "0" / "c" / "0" / "0" / "0" / "0").write_bytes(b"other")
    assert stamp_of(store) != before


def test_a_zarr_that_is_named_as_the_output_is_no_folder_to_put_it_in(store, tmp_path):
    assert find_targets([tmp_path / "b.zarr"], str(store), in_place=False) == [store]
    (tmp_path / "out").mkdir()
    targets = find_targets([store], str(tmp_path / "out"), in_place=False)
    assert targets == [tmp_path / "out" / "a_denoised.zarr"]


def test_the_library_is_imported_for_zarr_only(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 24, 32)))
    code = (
        "import sys\nfrom pathlib import Path\nfrom mashpix.files import open_file\n"
        f"open_file(Path({str(tmp_path / 'a.npy')!r}))\nprint('zarr' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
