"""Laws of batches: one bad file never ends them, and what an earlier run has done is not done again."""

import multiprocessing
import os
import time
from contextlib import closing
from itertools import islice

import pytest

from batches import batch_of, fill, numbers, of_kind, reverse, run, start
from commands import names
from mashpix.errors import FileError, UsageError
from mashpix.files.atomic import MARK
from mashpix.jobs.batch import (
    BatchProgress,
    FileDone,
    FileFailed,
    FileNote,
    provenance_of,
    run_batch,
    run_in_process,
)
from mashpix.jobs.batch.manifest import MANIFEST, read_manifest
from mashpix.jobs.lock import LOCK
from mashpix.jobs.recipe import sha256


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A batch with good and bad files, one that kills its worker and one that does so once: folder, counts, events."""
    folder = tmp_path_factory.mktemp("batch")
    fill(folder / "in", a=b"one", b=b"bad", c=b"poison", d=b"bug", f=b"frail", sub__deep__e=b"two")
    (folder / "in" / "notes.txt").write_text("not an image")
    return folder / "out", *run(batch_of(folder), jobs=2)


def test_bad_files_and_dead_workers_cost_themselves_only(ended):
    _, counts, _ = ended
    assert numbers(counts) == (3, 0, 3)
    assert (counts.total, counts.not_images) == (6, 1)


def test_the_tree_is_mirrored_and_nothing_else_is_left(ended):
    out, _, _ = ended
    outputs = [f"{name}_denoised.png{ending}" for name in ("a", "f", "sub/deep/e") for ending in ("", ".json")]
    assert names(out) == sorted([*outputs, MANIFEST])
    assert (out / "sub" / "deep" / "e_denoised.png").read_bytes() == b"owt"


def test_a_worker_that_dies_once_is_replaced(ended):
    out, _, _ = ended
    assert (out / "f_denoised.png").read_bytes() == b"deruc"


def test_each_failure_has_its_reason(ended):
    _, _, events = ended
    assert {event.path.stem: event.error for event in of_kind(events, FileFailed)} == {
        "b": "no known image format",
        "c": "its process died (exit code 9; tried 2 times)",
        "d": "ZeroDivisionError: division by zero",
    }


def test_notes_and_outcomes_of_jobs_arrive(ended):
    _, _, events = ended
    done, notes = of_kind(events, FileDone), of_kind(events, FileNote)
    assert sorted(event.outcome.target.stem for event in done) == ["a_denoised", "e_denoised", "f_denoised"]
    assert sorted((note.path.stem, note.note.text) for note in notes) == [(c, f"reads {c}") for c in "aef"]


def test_each_file_has_a_line_in_the_manifest(ended):
    out, _, events = ended
    entries = {entry.input: entry for entry in read_manifest(out / MANIFEST)}
    assert len(entries) == 6
    assert [event.entry for event in events if isinstance(event, FileDone | FileFailed)] == list(entries.values())


def test_the_line_of_a_file_that_is_done_says_what_was_made_of_what(ended):
    out, _, _ = ended
    (done,) = (entry for entry in read_manifest(out / MANIFEST) if entry.input == "sub/deep/e.png")
    assert (done.status, done.size, done.input_sha256) == ("done", 3, sha256(b"two"))
    assert (done.output, done.output_sha256, done.verdict) == ("sub/deep/e_denoised.png", sha256(b"owt"), "fine")
    assert done.sidecars == {"sub/deep/e_denoised.png.json": sha256((out / f"{done.output}.json").read_bytes())}
    assert done.provenance == provenance_of(batch_of(out).request)


def test_the_line_of_a_file_that_failed_names_no_output(ended):
    out, _, _ = ended
    (failed,) = (entry for entry in read_manifest(out / MANIFEST) if entry.input == "b.png")
    assert (failed.status, failed.output, failed.error) == ("failed", None, "no known image format")


def test_progress_goes_to_one_and_no_process_stays(ended):
    _, _, events = ended
    fractions = [event.fraction for event in of_kind(events, BatchProgress)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert not multiprocessing.active_children()


def test_any_executor_will_do(tmp_path):
    fill(tmp_path / "in", a=b"one", b=b"bad")
    events = list(run_batch(batch_of(tmp_path), execute=run_in_process, job=reverse))
    assert [event.outcome.target.name for event in of_kind(events, FileDone)] == ["a_denoised.png"]
    assert [event.error for event in of_kind(events, FileFailed)] == ["no known image format"]


def test_leaving_a_batch_closes_the_job_that_runs_in_this_process(tmp_path):
    fill(tmp_path / "in", a=b"one")
    closed = []

    def job(request):
        try:
            yield from reverse(request)
        finally:
            closed.append(request.source.name)

    with closing(run_batch(batch_of(tmp_path), execute=run_in_process, job=job)) as events:
        while not isinstance(next(events), FileNote):
            pass
    assert closed == ["a.png"]
    assert names(tmp_path / "out") == [LOCK]


def test_a_batch_that_is_left_at_any_event_leaves_nothing_half_written_and_is_resumed(tmp_path):
    fill(tmp_path / "in", a=b"one", b=b"two", c=b"bad")
    whole = numbers(run(batch_of(tmp_path, out=tmp_path / "whole"))[0])
    for stop in range(1, 12):
        batch = batch_of(tmp_path, out=tmp_path / f"out{stop}", resume=True)
        with closing(start(batch)) as events:
            list(islice(events, stop))
        assert not list(batch.out.glob(f".*{MARK}"))
        done, skipped, failed = numbers(run(batch)[0])
        assert (done + skipped, failed) == (whole[0], whole[2])
        assert len(list(batch.out.glob("*_denoised.png"))) == 2


@pytest.mark.parametrize(
    ("inputs", "options", "error", "message"),
    [
        (["in/a.png", "in/sub/a.png"], {}, UsageError, "two inputs have one output"),
        (["in", "in/sub"], {}, UsageError, "two inputs have one output"),
        (["empty"], {}, FileError, "no images there"),
        (["in/*.tif"], {}, FileError, "nothing matches"),
        (["in/**.png"], {}, UsageError, "not a pattern"),
        (["in"], {"out": "file"}, FileError, "the output is a file"),
        (["in"], {"out": "file/out"}, FileError, "Not a directory"),
        (["in/a.png"], {"watch_every": 1.0}, UsageError, "`watch` looks into folders"),
    ],
)
def test_what_is_impossible_is_refused_before_the_start(inputs, options, error, message, tmp_path):
    fill(tmp_path / "in", a=b"one", sub__a=b"two")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    if "out" in options:
        options = {"out": tmp_path / options["out"]}
    with pytest.raises(error, match=message):
        run(batch_of(tmp_path, inputs=[tmp_path / name for name in inputs], **options))
    assert not (tmp_path / "out").exists()


def test_an_input_is_never_the_output_of_another(tmp_path):
    fill(tmp_path / "in", a=b"one", a_denoised=b"mine")
    inputs = [tmp_path / "in" / "a.png", tmp_path / "in" / "a_denoised.png"]
    with pytest.raises(UsageError, match="an input is the output of another"):
        run(batch_of(tmp_path, inputs=inputs, out=tmp_path / "in"))


def test_any_name_works(tmp_path):
    odd = [b"a b", b"-dash", b"new\nline", "\N{SNOWMAN}".encode(), b"\xff\xfe", b"[1]", b"x" * 200]
    (tmp_path / "in").mkdir()
    for name in odd:
        (tmp_path / "in" / os.fsdecode(name + b".png")).write_bytes(b"data")
    assert numbers(run(batch_of(tmp_path))[0]) == (7, 0, 0)
    assert numbers(run(batch_of(tmp_path, resume=True))[0]) == (0, 7, 0)


def test_a_file_that_changes_or_vanishes_in_mid_batch_fails_and_leaves_nothing(tmp_path):
    fill(tmp_path / "in", a=b"changes", b=b"one", c=b"gone")
    with closing(start(batch_of(tmp_path))) as events:
        next(events)
        (tmp_path / "in" / "c.png").unlink()
        reasons = {event.path.stem: event.error for event in of_kind(events, FileFailed)}
    assert "it changed while it was denoised" in reasons["a"]
    assert "cannot be read (No such file" in reasons["c"]
    assert names(tmp_path / "out") == ["b_denoised.png", "b_denoised.png.json", MANIFEST]


def test_leaving_a_batch_ends_its_workers_at_once_and_leaves_nothing_half_written(tmp_path):
    fill(tmp_path / "in", a=b"slow", b=b"slow")
    with closing(start(batch_of(tmp_path), jobs=2)) as events:
        while not (isinstance(event := next(events), BatchProgress) and event.fraction >= 0.5):
            pass
        assert len(multiprocessing.active_children()) == 2
        assert list((tmp_path / "out").glob(f".*{MARK}"))
        started = time.perf_counter()
    assert time.perf_counter() - started < 3  # such a job never ends by itself
    assert not multiprocessing.active_children()
    assert not list((tmp_path / "out").glob(f".*{MARK}"))


def test_watching_goes_on_until_it_is_left(tmp_path):
    fill(tmp_path / "in", a=b"one")
    seen = []
    with closing(start(batch_of(tmp_path, watch_every=0.1))) as events:
        for event in events:
            if isinstance(event, BatchProgress):
                counts = event.counts
                continue
            seen += [event.entry.input] if isinstance(event, FileDone | FileFailed) else []
            if seen == ["a.png"] and not (tmp_path / "in" / "b.png").exists():
                fill(tmp_path / "in", b=b"two", c=b"bad")
            if len(seen) == 3:
                break
    assert sorted(seen) == ["a.png", "b.png", "c.png"]
    assert numbers(counts) == (2, 0, 1)
