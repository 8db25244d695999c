"""Laws of a series: one network serves all files that are alike, and a resumed run goes on with that network."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import tifffile

from commands import QUICK, names, run_here
from mashpix import FileError, Settings
from mashpix.files.safetensors import encode_tensors
from mashpix.jobs.batch import NOWHERE, Batch, run_batch, run_in_process
from mashpix.jobs.batch.items import make_item
from mashpix.jobs.batch.manifest import MANIFEST, read_manifest
from mashpix.jobs.fit_model import origin_of
from mashpix.jobs.model_reference import FORMAT
from mashpix.jobs.recipe import hash_file
from mashpix.jobs.request import DenoiseRequest
from mashpix.jobs.series import MAX_SAMPLED, MODEL, find_model, fit_request_of, most_common_kind, sample

SHARED = ("in", "-o", "out", "--networks", "shared", *QUICK)
REFUSED = [
    "mashpix: 'in/bad.png': no known image format",
    "mashpix: 'in/other.npy': not like the series (YX, float64; YX, uint16 needed; denoise it by itself)",
    "mashpix: 'in/rgb.tif': not like the series (YXS, S 3, uint16; YX, uint16 needed; denoise it by itself)",
    "mashpix: 'in/stack.tif': not like the series (ZYX, uint16; YX, uint16 needed; denoise it by itself)",
]


def fill(folder):
    """Three images of one kind, and four files that are not like them."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for name in "abc":
        noisy = rng.normal(1000, 100, (24 + 8 * (name == "c"), 32)).astype(np.uint16)
        tifffile.imwrite(folder / f"{name}.tif", noisy, metadata=None)
    np.save(folder / "other.npy", rng.normal(size=(24, 32)))
    colours = rng.integers(0, 256, (24, 32, 3)).astype(np.uint16)
    tifffile.imwrite(folder / "rgb.tif", colours, photometric="rgb")
    tifffile.imwrite(folder / "stack.tif", np.stack([noisy, noisy]), metadata={"axes": "ZYX"})
    (folder / "bad.png").write_bytes(b"not an image")


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A folder that was denoised by one network, and what the command line printed."""
    folder = tmp_path_factory.mktemp("series")
    fill(folder / "in")
    return folder, run_here("denoise", *SHARED, cwd=folder)


@pytest.fixture
def folder(ended, tmp_path):
    """A copy of that folder to change."""
    return copytree(ended[0], tmp_path / "copy")


def bytes_of(out):
    """The denoised images by their names."""
    return {path.name: path.read_bytes() for path in out.glob("*_denoised.tif")}


def test_a_network_is_fitted_first_to_the_files_that_are_alike(ended):
    _, done = ended
    assert done.stderr.splitlines()[0] == f"mashpix: 'out/{MODEL}': one network is fitted first"
    assert done.stdout.startswith(f"'out/{MODEL}': fitted to 3 of 3 planes, masking ratio 0.5")
    assert done.stdout.splitlines()[0].endswith("; for YX, uint16")


def refused_in(stderr):
    """The lines that refuse a file: progress and what is fitted left out."""
    return sorted(line for line in stderr.splitlines() if line.startswith("mashpix: 'in/"))


def test_files_unlike_the_series_are_refused(ended):
    _, done = ended
    refused = refused_in(done.stderr)
    assert done.returncode == 1
    assert [line[: len(start)] for line, start in zip(refused, REFUSED, strict=True)] == REFUSED


def test_the_model_is_kept_beside_the_outputs(ended):
    made = [f"{name}_denoised.tif{end}" for name in "abc" for end in ("", ".json")]
    assert names(ended[0] / "out") == sorted([*made, MANIFEST, MODEL])


def test_recipes_name_the_model(ended):
    out = ended[0] / "out"
    recipe = json.loads((out / "a_denoised.tif.json").read_text())
    assert recipe["model"] == {"name": MODEL, "sha256": hash_file(out / MODEL)}


def test_the_plan_names_the_network_and_the_files_that_it_cannot_serve(tmp_path, ended):
    fill(tmp_path / "in")
    planned = run_here("denoise", *SHARED, "--dry-run", cwd=tmp_path)
    assert planned.returncode == 1
    assert planned.stdout.startswith("one network for YX, uint16: about")
    assert "3 files, about" in planned.stdout
    assert "0 skipped, 1 cannot be read, 3 unlike the series, 0 left out; nothing is written" in planned.stdout
    assert refused_in(planned.stderr) == refused_in(ended[1].stderr)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_workers")
def test_a_resumed_run_goes_on_with_its_network(folder):
    out = folder / "out"
    before, model = bytes_of(out), (out / MODEL).read_bytes()
    (out / "b_denoised.tif").unlink()  # as if the run had been killed, and an image had come meanwhile
    (folder / "in" / "d.tif").write_bytes((folder / "in" / "a.tif").read_bytes())
    done = run_here("denoise", *SHARED, "--resume", cwd=folder)
    assert "fitted" not in done.stdout
    assert "done              2\nskipped           2" in done.stdout
    assert (out / MODEL).read_bytes() == model
    assert bytes_of(out) == before | {"d_denoised.tif": before["a_denoised.tif"]}
    assert len({entry.settings for entry in read_manifest(out / MANIFEST) if entry.status == "done"}) == 1


def test_the_network_can_be_applied_by_itself(folder):
    options = ("-o", "again.tif", "--recipe", "out/a_denoised.tif.json")
    done = run_here("apply", f"out/{MODEL}", "in/a.tif", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "again.tif").read_bytes() == (folder / "out" / "a_denoised.tif").read_bytes()


def batch_of(folder, **options):
    request = DenoiseRequest(source=NOWHERE, target=NOWHERE, **options)
    return Batch(inputs=[folder], out=folder, request=request, share_network=True, resume=True)


@pytest.fixture
def series(tmp_path):
    """Two files, and what fits a network to them; a function that writes a model with these provenances."""
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode())
    batch = batch_of(tmp_path)
    items = [make_item(tmp_path / name, Path(name), tmp_path, batch.request) for name in "ab"]
    origin = origin_of(fit_request_of(batch, items)) | {
        "kinds": ["YX, uint8"],
        "inputs": {"a": hash_file(tmp_path / "a")},
    }

    def write(**changes):
        header = {"format": FORMAT, "model": "{}", "origin": json.dumps(origin | changes)}
        (tmp_path / MODEL).write_bytes(encode_tensors({}, header))

    return batch, items, write


def test_a_model_of_the_same_fit_is_taken_over(series):
    batch, items, write = series
    assert find_model(batch, items) is None
    write()
    found = find_model(batch, items)
    assert (found.sha256, found.kind) == (hash_file(batch.out / MODEL), "YX, uint8")
    assert find_model(replace(batch, resume=False), items) is None


@pytest.mark.parametrize(
    "option",
    [
        {"seed": 1},
        {"settings": Settings(steps=7)},
        {"channels": "joint"},
        {"channels": "rgb"},
        {"axes": "YX"},
        {"data_range": 9.0},
    ],
)
def test_a_model_of_another_fit_is_not(option, series):
    batch, items, write = series
    write()
    assert find_model(batch_of(batch.out, **option), items) is None


def test_a_model_of_another_version_is_not(series):
    batch, items, write = series
    write(version="0")
    assert find_model(batch, items) is None


def test_a_model_is_not_taken_over_when_its_files_have_gone_or_changed(series):
    batch, items, write = series
    write()
    assert find_model(batch, items[1:]) is None
    items[0].source.write_bytes(b"changed")
    assert find_model(batch, items) is None


def test_a_file_in_the_place_of_the_model_is_refused(series):
    batch, items, _ = series
    (batch.out / MODEL).write_bytes(b"none")
    with pytest.raises(FileError, match=r"not a readable .*; move it away"):
        find_model(batch, items)


def test_the_most_common_kind_wins():
    assert most_common_kind(["x", None, "y", "y"]) == "y"
    assert most_common_kind([None, None]) is None


def test_a_sample_is_evenly_spaced():
    sampled = sample(range(1000))
    assert len(sampled) == MAX_SAMPLED
    assert (sampled[0], sampled[-1]) == (15, 984)
    assert sample(range(3)) == [0, 1, 2]


@pytest.mark.usefixtures("no_workers")
def test_a_series_without_a_file_that_can_be_read_is_refused_before_the_summary(tmp_path, monkeypatch):
    monkeypatch.setattr("mashpix.cli.folders.summarise", lambda *_, **__: f"after {sys.stderr.getvalue()}")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.png").write_bytes(b"not an image")
    done = run_here("denoise", *SHARED, cwd=tmp_path)
    assert done.returncode == 1
    reason = "mashpix: no network for all files can be fitted (no known image format"
    assert done.stderr.splitlines()[-1].startswith(reason)
    assert done.stdout == f"after {done.stderr}\n"
    assert not any(name.endswith("safetensors") for name in names(tmp_path))


def test_a_bug_is_no_reason_to_do_without_a_network(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", np.ones((24, 32)))
    monkeypatch.setattr("mashpix.jobs.series.fit_model", lambda request: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(run_batch(replace(batch_of(tmp_path / "out"), inputs=[tmp_path / "in"]), execute=run_in_process))


def test_a_series_that_is_not_there_yet_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    done = run_here("denoise", *SHARED, "--watch", cwd=tmp_path)
    assert done.returncode == 2
    assert "--watch cannot be combined with shared --networks" in done.stderr
    assert not (tmp_path / "out").exists()
