"""Laws of resumed batches: what an earlier run has done is not done again, and what others wrote is not replaced."""

import json
import multiprocessing
import os
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from batches import batch_of, fill, numbers, of_kind, other, run, run_in_child
from commands import names
from mashpix import Settings
from mashpix.errors import FileError
from mashpix.jobs.batch import FileDone, FileFailed, find_sources, plan_items, provenance_of
from mashpix.jobs.batch import manifest as manifests
from mashpix.jobs.batch.manifest import MANIFEST
from mashpix.jobs.lock import LOCK
from mashpix.jobs.model_reference import ModelReference
from mashpix.jobs.request import DenoiseRequest

HASH = "666d99d3730047b994fa17f022104d271b33ad673b0af70b89b182d3e127688a"
"""Of the default settings and options, as they are now: if it changes, `--resume` no longer knows earlier outputs."""


@pytest.fixture
def done(tmp_path):
    """A batch that has run, and is to be resumed."""
    fill(tmp_path / "in", a=b"one", b=b"two", c=b"three", d=b"four", e=b"bad")
    assert numbers(run(batch_of(tmp_path))[0]) == (4, 0, 1)
    return batch_of(tmp_path, resume=True)


def test_resume_tries_again_what_has_failed(done):
    assert numbers(run(done)[0]) == (0, 4, 1)
    fill(done.inputs[0], e=b"good")
    assert numbers(run(done)[0]) == (1, 4, 0)


def test_resume_does_again_what_has_changed(done):
    fill(done.inputs[0], a=b"ONE")
    (done.out / "c_denoised.png").write_bytes(b"damaged")
    (done.out / "d_denoised.png.json").unlink()
    _, events = run(done)
    assert {event.item.source.stem for event in of_kind(events, FileDone)} == {"a", "c", "d"}
    assert (done.out / "a_denoised.png").read_bytes() == b"ENO"
    assert (done.out / "c_denoised.png").read_bytes() == b"eerht"


def test_resume_compares_the_content_of_a_file_with_another_time(done):
    os.utime(done.inputs[0] / "b.png", (1, 1))
    assert numbers(run(done)[0]) == (0, 4, 1)


def test_resume_does_all_again_that_was_made_in_another_way(done, monkeypatch):
    assert numbers(run(other(done, seed=1))[0]) == (4, 0, 1)
    assert numbers(run(other(done, settings=Settings(steps=7)))[0]) == (4, 0, 1)
    monkeypatch.setattr(manifests, "__version__", "2")
    assert numbers(run(other(done, settings=Settings(steps=7)))[0]) == (4, 0, 1)


def test_networks_of_their_own_are_not_what_a_shared_network_does(done):
    shared = replace(done, share_network=True)
    items, skipped = plan_items(shared, find_sources(shared.inputs, shared.out))
    assert (len(items), skipped) == (5, 0)


def test_a_line_of_the_manifest_keeps_its_form(done):
    line = json.loads((done.out / MANIFEST).read_text().splitlines()[0])
    keys = "input status settings seed version size mtime_ns input_sha256 output output_sha256 beside seconds error"
    assert list(line) == [*keys.split(), "verdict"]
    assert line["settings"] == HASH


UNCOUNTED = {"source", "target", "device", "save", "compare", "overwrite", "in_place"}
UNCOUNTED |= {"strict", "sparse", "max_pixels", "command", "preview_every"}
CHANGES = {
    "settings": Settings(steps=7),
    "seed": 1,
    "data_range": 255.0,
    "strength": 0.5,
    "detail": 0.5,
    "axes": "YX",
    "networks": "each",
    "channels": "joint",
    "model": ModelReference(Path("m"), "hash"),
    "nodata": "-9999",
    "mask": Path(__file__),
    "dtype": "float32",
    "by_blocks": 64,
}


def test_the_provenance_follows_every_option_that_changes_the_bytes():
    request = DenoiseRequest(source=Path("a"), target=Path("b"))
    found = [provenance_of(replace(request, **{name: value})) for name, value in CHANGES.items()]
    assert len({provenance_of(request), *found}) == 1 + len(CHANGES)
    assert {item.name for item in fields(DenoiseRequest)} == CHANGES.keys() | UNCOUNTED


def test_outputs_of_others_are_refused_before_the_start(tmp_path):
    fill(tmp_path / "in", a=b"one", b=b"two")
    fill(tmp_path / "out", a_denoised=b"mine")
    with pytest.raises(FileError, match=r"1 outputs exist \(the first is .*a_denoised.png'; `resume`"):
        run(batch_of(tmp_path))
    assert names(tmp_path / "out") == ["a_denoised.png"]


def test_resume_never_replaces_outputs_of_others_but_with_overwrite(tmp_path):
    fill(tmp_path / "in", a=b"one", b=b"two")
    fill(tmp_path / "out", a_denoised=b"mine")
    batch = batch_of(tmp_path, resume=True)
    counts, events = run(batch)
    assert numbers(counts) == (1, 0, 1)
    assert "the output exists" in of_kind(events, FileFailed)[0].error
    assert (tmp_path / "out" / "a_denoised.png").read_bytes() == b"mine"
    assert numbers(run(batch)[0]) == (0, 1, 1)
    assert numbers(run(other(batch, overwrite=True))[0]) == (1, 1, 0)


def test_after_a_kill_resume_finishes_and_knows_its_half_done_outputs(tmp_path):
    fill(tmp_path / "in", a=b"one", b=b"slow", c=b"two")
    out = tmp_path / "out"
    child = multiprocessing.get_context("spawn").Process(target=run_in_child, args=(tmp_path,))
    child.start()
    while child.is_alive() and not (out / "b_denoised.png").exists():
        time.sleep(0.05)
    with pytest.raises(FileError, match="another run is writing there"):
        run(batch_of(tmp_path, resume=True))
    child.kill()
    child.join()
    assert (out / LOCK).exists()
    with (out / MANIFEST).open("ab") as file:
        file.write(b'{"input": "to')  # a line that was torn
    fill(tmp_path / "in", b=b"fast")
    assert numbers(run(batch_of(tmp_path, resume=True))[0]) == (2, 1, 0)
    assert (out / "b_denoised.png").read_bytes() == b"tsaf"
    assert [json.loads(line)["input"] for line in (out / MANIFEST).read_text().splitlines()] == [
        "a.png",
        "b.png",
        "c.png",
    ]
    assert not (out / LOCK).exists()
