"""Laws of a series: one network serves all pictures that are alike, and a resumed run goes on with that network."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from mashpix.cli.one_file import Run, list_beside
from mashpix.cli.series import MODEL, MOST_LOOKED_AT, choose_like, find_model, spread
from typer.testing import CliRunner

from commands import QUICK, names, run_cli
from mashpix import FileError, Settings, UsageError
from mashpix.cli import app
from mashpix.cli.model import Fit, origin_of
from mashpix.files.safetensors import encode_tensors
from mashpix.jobs.batch import Batch, Origin
from mashpix.jobs.batch.items import make_item
from mashpix.jobs.batch.manifest import MANIFEST, read_manifest
from mashpix.jobs.model_header import FORMAT
from mashpix.jobs.recipe import hash_file

ONCE = ("in", "-o", "out", "--fit", "once", *QUICK)


@pytest.fixture
def folder(tmp_path, rng):
    """Three pictures of one kind, and four files that are not like them."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        noisy = rng.normal(1000, 100, (24 + 8 * (name == "c"), 32)).astype(np.uint16)
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", noisy, metadata=None)
    np.save(tmp_path / "in" / "other.npy", rng.normal(size=(24, 32)))
    colours = rng.integers(0, 256, (24, 32, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in" / "rgb.tif", colours, photometric="rgb")
    tifffile.imwrite(tmp_path / "in" / "stack.tif", np.stack([noisy, noisy]), metadata={"axes": "ZYX"})
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    return tmp_path


def test_one_network_serves_a_folder_and_goes_on_after_an_interruption(folder, monkeypatch):
    monkeypatch.chdir(folder)
    planned = CliRunner().invoke(app, ["denoise", *ONCE, "--dry-run"])
    assert planned.exit_code == 1
    assert "one network for YX, uint16: about" in planned.stdout
    assert "3 files, about" in planned.stdout
    assert "0 skipped, 1 cannot be read, 3 unlike the series, 0 left out; nothing is written" in planned.stdout
    assert not (folder / "out").exists()
    done = run_cli("denoise", *ONCE, cwd=folder)
    code, stdout, stderr = done.returncode, done.stdout, done.stderr
    first, *refused = stderr.splitlines()
    assert first == f"mashpix: 'out/{MODEL}': one network is fitted first"
    assert (code, sorted(refused)) == (1, sorted(planned.stderr.splitlines()))
    assert "'in/rgb.tif': not like the series (YXS, S 3, uint16; YX, uint16 needed; denoise it by itself)" in stderr
    assert "'in/other.npy': not like the series (YX, float64; YX, uint16 needed" in stderr
    assert "'in/stack.tif': not like the series (ZYX, uint16; YX, uint16 needed" in stderr
    assert "'in/bad.png': no known picture format" in stderr
    assert "fitted to 3 of 3 planes" in stdout
    out = folder / "out"
    made = [f"{name}_denoised.tif{end}" for name in "abc" for end in ("", ".json")]
    assert names(out) == sorted([*made, MANIFEST, MODEL])
    recipe = json.loads((out / "a_denoised.tif.json").read_text())
    assert recipe["model"] == {"name": MODEL, "sha256": hash_file(out / MODEL)}
    bytes_of = {name: (out / f"{name}_denoised.tif").read_bytes() for name in "abc"}
    model = (out / MODEL).read_bytes()

    (out / "b_denoised.tif").unlink()  # as if the run had been killed, and a picture had come meanwhile
    (folder / "in" / "d.tif").write_bytes((folder / "in" / "a.tif").read_bytes())
    stdout = run_cli("denoise", *ONCE, "--resume", cwd=folder).stdout
    assert "fitted" not in stdout
    assert "done              2\nskipped           2" in stdout
    assert (out / MODEL).read_bytes() == model
    assert {name: (out / f"{name}_denoised.tif").read_bytes() for name in "abc"} == bytes_of
    assert (out / "d_denoised.tif").read_bytes() == bytes_of["a"]
    assert len({entry.settings for entry in read_manifest(out / MANIFEST) if entry.status == "done"}) == 1

    arguments = ["apply", f"out/{MODEL}", "in/a.tif", "-o", "again.tif", "--recipe", "out/a_denoised.tif.json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert (folder / "again.tif").read_bytes() == bytes_of["a"]


def run_of(**options):
    given = {"settings": Settings(), "seed": 0, "strength": 1.0, "detail": 0.0, "data_range": None, "device": "cpu",
             "save": (), "compare": None, "overwrite": False, "in_place": False, "strict": False, "max_pixels": 2**20,
             "axes": None, "fit": "once", "joint": False}  # fmt: skip
    return Run(**given | options)


def test_a_model_is_taken_over_only_by_a_run_that_would_fit_the_same(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode())
    items = [make_item(tmp_path / name, Path(name), tmp_path, lambda target: []) for name in "ab"]
    batch = Batch([tmp_path], tmp_path, print, list_beside, Origin("", 0, ""), resume=True)
    how = Fit(Settings(), None, None, False, 0, "cpu", 2**20)
    origin = origin_of(how) | {"kinds": ["YX, uint8"], "inputs": {"a": hash_file(tmp_path / "a")}}

    def write(origin):
        header = {"format": FORMAT, "model": "{}", "origin": json.dumps(origin)}
        (tmp_path / MODEL).write_bytes(encode_tensors({}, header))

    assert find_model(batch, items, run=run_of()) is None
    (tmp_path / MODEL).write_bytes(b"none")
    with pytest.raises(FileError, match=r"not a readable .*; move it away"):
        find_model(batch, items, run=run_of())
    write(origin)
    found = find_model(batch, items, run=run_of())
    assert (found.sha256, found.kind) == (hash_file(tmp_path / MODEL), "YX, uint8")
    for other in ({"seed": 1}, {"settings": Settings(steps=7)}, {"joint": True}, {"axes": "YX"}, {"data_range": 9.0}):
        assert find_model(batch, items, run=run_of(**other)) is None
    assert find_model(batch, items[1:], run=run_of()) is None  # what it was fitted to is no longer among them
    write(origin | {"version": "0"})
    assert find_model(batch, items, run=run_of()) is None
    write(origin)
    (tmp_path / "a").write_bytes(b"changed")
    assert find_model(batch, items, run=run_of()) is None


def test_most_decide_what_a_series_is_like():
    assert choose_like(["x", None, "y", "y"]) == "y"
    assert choose_like([None, None]) is None
    looked_at = spread(range(1000))
    assert len(looked_at) == MOST_LOOKED_AT
    assert (looked_at[0], looked_at[-1]) == (15, 984)
    assert spread(range(3)) == [0, 1, 2]


def test_a_series_that_is_not_there_yet_is_refused(folder):
    result = CliRunner().invoke(
        app, ["denoise", str(folder / "in"), "-o", str(folder / "out"), "--fit", "once", "--watch"]
    )
    assert isinstance(result.exception, UsageError)
    assert "--watch and --fit once" in str(result.exception)
    assert not (folder / "out").exists()
