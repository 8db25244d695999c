"""Laws of batches: one bad file never ends them, and what an earlier run has done is not done again."""

import _thread
import json
import multiprocessing
import os
import signal
import time
from contextlib import closing
from dataclasses import replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from subprocess import PIPE

import pytest

from commands import QUICK, names, run_cli, start_cli
from mashpix import Settings
from mashpix.errors import FileError, UsageError
from mashpix.files import ImageFile, atomic_write, write_image
from mashpix.jobs.batch import Batch, Origin, Tally, find_sources, hash_settings, run_batch
from mashpix.jobs.batch.items import make_item
from mashpix.jobs.batch.lock import LOCK, lock_folder
from mashpix.jobs.batch.manifest import MANIFEST, append_line, read_lines, read_manifest
from mashpix.jobs.batch.watching import watch
from mashpix.jobs.batch.workers import run_workers
from mashpix.jobs.recipe import Recipe, hash_file, recipe_path, sha256
from mashpix.report import Step

ORIGIN = Origin("settings", 0, "1.0")


def reverse(source, target, *, replace_outputs, show):
    """Stands in for denoising, without torch: the content of a file says what becomes of it."""
    data = source.read_bytes()
    if data == b"bad":
        raise FileError("no known picture format")
    if data == b"bug":
        raise ZeroDivisionError("division by zero")
    if data == b"poison":
        os._exit(9)
    if data == b"frail":
        source.write_bytes(b"cured")
        atomic_write(target, b"half", overwrite=replace_outputs)
        os._exit(9)
    if data == b"changes":
        source.write_bytes(b"changed")
    atomic_write(target, data[::-1], overwrite=replace_outputs)
    while data == b"slow":
        time.sleep(0.05)
        show(Step("fit", 1, 2, 0.5))
    numbers = {"version": "1.0", "torch_version": "", "settings": Settings(), "seed": 0, "strength": 1.0}
    where = {"data_range": None, "device": "cpu", "threads": 1, "command": "", "report": {"verdict": "fine"}}
    hashes = {"input_sha256": sha256(data), "output_sha256": hash_file(target)}
    atomic_write(recipe_path(target), Recipe(**numbers, **where, **hashes).to_json(), overwrite=replace_outputs)
    print(f"did {source.name}")


def recipe_of(target):
    return [recipe_path(target)]


def batch_of(tmp_path, **options):
    values = {"inputs": [tmp_path / "in"], "out": tmp_path / "out", "denoise": reverse, "beside_of": recipe_of}
    return Batch(**{**values, "origin": ORIGIN, **options})


def run(batch):
    tally = Tally()
    return tally, list(run_batch(batch, tally))


def fill(folder, **files):
    for name, data in files.items():
        path = folder / (name.replace("__", "/") + ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def counts(tally):
    return tally.done, tally.skipped, len(tally.errors)


def test_bad_files_and_dead_workers_cost_themselves_only_and_the_tree_is_mirrored(tmp_path):
    fill(tmp_path / "in", a=b"one", b=b"bad", c=b"poison", d=b"bug", f=b"frail", sub__deep__e=b"two")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    tally, events = run(batch_of(tmp_path, jobs=2))
    assert counts(tally) == (3, 0, 3)
    assert (tally.total, tally.no_pictures) == (6, 1)
    assert (tmp_path / "out" / "sub" / "deep" / "e_denoised.png").read_bytes() == b"owt"
    outputs = [f"{name}_denoised.png{ending}" for name in ("a", "f", "sub/deep/e") for ending in ("", ".json")]
    assert names(tmp_path / "out") == sorted([*outputs, MANIFEST])
    assert (tmp_path / "out" / "f_denoised.png").read_bytes() == b"deruc"  # a worker that dies once is replaced
    reasons = {path.stem: error for path, error in tally.errors}
    assert reasons["b"] == "no known picture format"
    assert reasons["c"] == "its process died (exit code 9; tried 2 times)"
    assert reasons["d"] == "ZeroDivisionError: division by zero"
    assert sorted(event.said for event in events if event.said) == ["did a.png\n", "did e.png\n", "did f.png\n"]
    entries = {entry.input: entry for entry in read_manifest(tmp_path / "out" / MANIFEST)}
    assert len(entries) == 6
    done, failed = entries["sub/deep/e.png"], entries["b.png"]
    assert (done.status, done.size, done.input_sha256) == ("done", 3, sha256(b"two"))
    assert (done.output, done.output_sha256, done.verdict) == ("sub/deep/e_denoised.png", sha256(b"owt"), "fine")
    assert (done.origin, failed.status, failed.output) == (ORIGIN, "failed", None)
    assert events[-1].fraction == pytest.approx(1)
    assert not multiprocessing.active_children()


def test_resume_does_again_only_what_has_changed(tmp_path):
    fill(tmp_path / "in", a=b"one", b=b"two", c=b"three", d=b"four", e=b"bad")
    batch = batch_of(tmp_path)
    assert counts(run(batch)[0]) == (4, 0, 1)
    again = replace(batch, resume=True)
    assert counts(run(again)[0]) == (0, 4, 1)  # what failed is tried again
    fill(tmp_path / "in", a=b"ONE", e=b"good")
    os.utime(tmp_path / "in" / "b.png", (1, 1))  # another time, the same content
    (tmp_path / "out" / "c_denoised.png").write_bytes(b"damaged")
    (tmp_path / "out" / "d_denoised.png.json").unlink()
    tally, events = run(again)
    assert counts(tally) == (4, 1, 0)
    assert {event.item.source.stem for event in events if event.item} == {"a", "c", "d", "e"}
    assert (tmp_path / "out" / "a_denoised.png").read_bytes() == b"ENO"
    assert (tmp_path / "out" / "c_denoised.png").read_bytes() == b"eerht"
    assert counts(run(again)[0]) == (0, 5, 0)
    for other in (replace(ORIGIN, seed=1), replace(ORIGIN, version="2"), replace(ORIGIN, settings="others")):
        assert counts(run(replace(again, origin=other))[0]) == (5, 0, 0)


def test_the_hash_of_settings_follows_every_number():
    hashes = {
        hash_settings(settings, strength=strength, data_range=data_range)
        for settings in (Settings(), Settings(steps=7))
        for strength in (1.0, 0.5)
        for data_range in (None, 255.0)
    }
    assert len(hashes) == 8


def test_outputs_of_others_are_never_replaced(tmp_path):
    fill(tmp_path / "in", a=b"one", b=b"two")
    fill(tmp_path / "out", a_denoised=b"mine")
    with pytest.raises(FileError, match=r"1 outputs exist \(the first is .*a_denoised.png'; --resume"):
        run(batch_of(tmp_path))
    assert names(tmp_path / "out") == ["a_denoised.png"]
    tally, _ = run(batch_of(tmp_path, resume=True))
    assert counts(tally) == (1, 0, 1)
    assert "the output exists" in tally.errors[0][1]
    assert (tmp_path / "out" / "a_denoised.png").read_bytes() == b"mine"
    assert counts(run(batch_of(tmp_path, resume=True))[0]) == (0, 1, 1)
    assert counts(run(batch_of(tmp_path, resume=True, overwrite=True))[0]) == (1, 1, 0)


def test_what_cannot_be_meant_is_refused_before_the_start(tmp_path):
    fill(tmp_path / "in", a=b"one", sub__a=b"two")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    both = [tmp_path / "in" / "a.png", tmp_path / "in" / "sub" / "a.png"]
    for options, error, message in (
        ({"inputs": both}, UsageError, "two inputs have one output"),
        ({"inputs": [tmp_path / "in", tmp_path / "in" / "sub"]}, UsageError, "two inputs have one output"),
        ({"inputs": [tmp_path / "empty"]}, FileError, "no pictures there"),
        ({"inputs": [tmp_path / "in" / "*.tif"]}, FileError, "nothing matches"),
        ({"inputs": [tmp_path / "in" / "**.png"]}, UsageError, "not a pattern"),
        ({"out": tmp_path / "file"}, FileError, "the output is a file"),
        ({"out": tmp_path / "file" / "out"}, FileError, "Not a directory"),
        ({"inputs": both[:1], "watch_every": 1.0}, UsageError, "--watch looks into folders"),
    ):
        with pytest.raises(error, match=message):
            run(batch_of(tmp_path, **options))
    assert not (tmp_path / "out").exists()
    fill(tmp_path / "in", a_denoised=b"mine")
    with pytest.raises(UsageError, match="an input is the output of another"):
        run(batch_of(tmp_path, inputs=[both[0], tmp_path / "in" / "a_denoised.png"], out=tmp_path / "in"))


def relatives(found):
    return [source.relative.as_posix() for source in found.sources]


def test_folders_are_walked_once_and_own_outputs_are_left_out(tmp_path):
    folder = tmp_path / "in"
    fill(folder, b=b"", a=b"", _hidden__x=b"", sub__c=b"", out__a_denoised=b"", out__other=b"")
    (folder / "_hidden").rename(folder / ".hidden")
    (folder / ".a.png").write_bytes(b"")
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    assert relatives(find_sources([folder], folder / "out")) == ["a.png", "b.png", "sub/c.png"]
    found = find_sources([folder], folder)  # outputs among the inputs: told apart by their names
    assert relatives(found) == ["a.png", "b.png", "out/other.png", "sub/c.png"]
    assert (found.own_outputs, found.no_pictures) == (1, 1)
    elsewhere = find_sources([folder / "**" / "*.png"], tmp_path / "elsewhere")
    assert relatives(elsewhere) == ["a.png", "b.png", "out/a_denoised.png", "out/other.png", "sub/c.png"]
    assert relatives(find_sources([folder / "o*"], tmp_path)) == ["out/other.png"]  # a pattern may name folders


def test_any_name_works(tmp_path):
    odd = [b"a b", b"-dash", b"new\nline", "\N{SNOWMAN}".encode(), b"\xff\xfe", b"[1]", b"x" * 200]
    (tmp_path / "in").mkdir()
    for name in odd:
        (tmp_path / "in" / os.fsdecode(name + b".png")).write_bytes(b"data")
    assert counts(run(batch_of(tmp_path))[0]) == (7, 0, 0)
    assert counts(run(batch_of(tmp_path, resume=True))[0]) == (0, 7, 0)


def test_a_file_that_changes_or_vanishes_in_mid_batch_fails_and_leaves_nothing(tmp_path):
    fill(tmp_path / "in", a=b"changes", b=b"one", c=b"gone")
    with closing(run_batch(batch_of(tmp_path), tally := Tally())) as events:
        next(events)
        (tmp_path / "in" / "c.png").unlink()
        list(events)
    assert counts(tally) == (1, 0, 2)
    reasons = {path.stem: error for path, error in tally.errors}
    assert "it changed while it was denoised" in reasons["a"]
    assert "cannot be read (No such file" in reasons["c"]
    assert names(tmp_path / "out") == ["b_denoised.png", "b_denoised.png.json", MANIFEST]


def run_child(tmp_path):
    run(batch_of(tmp_path))


def test_after_a_kill_resume_finishes_and_knows_its_half_done_outputs(tmp_path):
    fill(tmp_path / "in", a=b"one", b=b"slow", c=b"two")
    out = tmp_path / "out"
    child = multiprocessing.get_context("spawn").Process(target=run_child, args=(tmp_path,))
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
    assert counts(run(batch_of(tmp_path, resume=True))[0]) == (2, 1, 0)
    assert (out / "b_denoised.png").read_bytes() == b"tsaf"
    assert [json.loads(line)["input"] for line in (out / MANIFEST).read_text().splitlines()] == [
        "a.png",
        "b.png",
        "c.png",
    ]
    assert not (out / LOCK).exists()


def test_leaving_a_batch_ends_its_workers(tmp_path):
    fill(tmp_path / "in", a=b"slow", b=b"slow")
    with closing(run_batch(batch_of(tmp_path, jobs=2), Tally())) as events:
        while next(events).fraction < 0.5:
            pass
        assert len(multiprocessing.active_children()) == 2
        started = time.perf_counter()
    assert time.perf_counter() - started < 1
    assert not multiprocessing.active_children()


def test_lines_are_whole_or_cut_off_and_damage_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "lines"
    assert read_lines(path) == []
    append_line(path, {"a": 1})
    path.write_bytes(path.read_bytes() + b'{"b"')
    assert read_lines(path) == [{"a": 1}]
    append_line(path, [2])
    assert path.read_bytes() == b'{"a": 1}\n[2]\n'

    def fail(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(FileError, match="No space left"):
            append_line(path, [3])
    assert read_lines(path) == [{"a": 1}, [2]]
    with pytest.raises(FileError, match="not the manifest of this version"):
        read_manifest(path)
    path.write_bytes(b'{"a": 1}\nnonsense\n[2]\n')
    with pytest.raises(FileError, match="line 2"):
        read_lines(path)


def test_a_folder_is_locked_once_and_free_afterwards(tmp_path):
    with lock_folder(tmp_path), pytest.raises(FileError, match="another run"), lock_folder(tmp_path):
        pass
    (tmp_path / LOCK).write_text("[]\n")  # as a killed run leaves it
    with lock_folder(tmp_path):
        pass
    assert names(tmp_path) == []


def test_a_watched_file_is_taken_once_when_it_is_complete(tmp_path):
    path, failed = tmp_path / "a.png", set()
    item = make_item(path, Path("a.png"), tmp_path, recipe_of)
    looks = watch(lambda: [item], every=0.0, failed=failed)
    assert next(looks) is None  # not there
    for data in (b"x", b"xx"):  # it grows
        path.write_bytes(data)
        assert next(looks) is None
    assert next(looks) is item
    path.write_bytes(b"more")
    assert [next(looks) for _ in range(4)] == [None] * 4  # once
    failed.add("a.png")
    assert [next(looks) for _ in range(4)] == [None, item, None, None]  # what has failed and changed comes again
    failed.add("a.png")
    assert [next(looks) for _ in range(4)] == [None] * 4  # but not unchanged


def test_watching_goes_on_until_it_is_left(tmp_path):
    fill(tmp_path / "in", a=b"one")
    seen = []
    with closing(run_batch(batch_of(tmp_path, watch_every=0.1), tally := Tally())) as events:
        for event in events:
            seen += [event.item.name] if event.item and event.entry else []
            if seen == ["a.png"] and not (tmp_path / "in" / "b.png").exists():
                fill(tmp_path / "in", b=b"two", c=b"bad")
            if len(seen) == 3:
                break
    assert sorted(seen) == ["a.png", "b.png", "c.png"]
    assert counts(tally) == (2, 0, 1)


def test_no_items_no_processes():
    assert list(run_workers(iter([]), reverse, jobs=2)) == []


@pytest.fixture
def folder(tmp_path, rng):
    for name in ("in/a.png", "in/sub/b.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 33)).astype("uint8")
        write_image(tmp_path / name, ImageFile(pixels, "png" if name.endswith("png") else "tiff"))
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    return tmp_path


def test_the_command_line_plans_denoises_and_sums_up_a_folder(folder):
    done = run_cli("denoise", "in", "-o", "out", *QUICK, "--dry-run", cwd=folder)
    assert not (folder / "out").exists()
    first, second, last = done.stdout.splitlines()
    assert first.startswith("'in/a.png' -> 'out/a_denoised.png': 40 x 33, about")
    assert second.startswith("'in/sub/b.tif' -> 'out/sub/b_denoised.tif': 40 x 33, about")
    assert last.startswith("2 files, about")
    assert last.endswith("0 skipped, 1 cannot be read, 0 left out; nothing is written")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    done = run_cli("denoise", "in", "-o", "out", *QUICK, "--jobs", 2, cwd=folder)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("mashpix: 'in/bad.png': no known picture format (10 bytes")
    assert "'out/a_denoised.png': masking ratio 0.5" in done.stdout
    assert "done              2\nfailed            1\nfailed: 'in/bad.png': no known" in done.stdout
    assert run_cli("denoise", "in/a.png", "-o", "alone.png", *QUICK, cwd=folder).returncode == 0
    assert (folder / "alone.png").read_bytes() == (folder / "out" / "a_denoised.png").read_bytes()


def test_ctrl_c_ends_a_batch_at_once_and_says_what_is_left(folder):
    long = (*QUICK[:2], "--steps", "100000", "--threads", "1")
    with start_cli("denoise", "in", "-o", "out", *long, cwd=folder, stdout=PIPE, stderr=PIPE, text=True) as child:
        while child.poll() is None and not (folder / "out" / LOCK).is_file():
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        started = time.perf_counter()
        stdout, stderr = child.communicate(timeout=30)
    assert time.perf_counter() - started < 2
    assert (child.returncode, stderr) == (130, "mashpix: interrupted; nothing is half-written\n")
    assert "not reached       3  --resume goes on with them" in stdout
    assert not list((folder / "out").rglob("*_denoised*"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("in",), 2, "a folder of pictures needs an output folder"),
        (("in", "-o", "out", "--in-place"), 2, "a folder of pictures needs an output folder"),
        (("in/*.tif", "-o", "out"), 1, "nothing matches"),
        (("in/a.png", "-o", "out", "--watch"), 2, "--watch looks into folders"),
        (("in", "-o", "in/a.png"), 1, "the output is a file"),
        (("in", "-o", "out", "--device", "cuda:99"), 3, "no such device"),
        (("in", "-o", "out", "--dry-run", "--watch"), 2, "--dry-run and --watch"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(arguments, code, message, folder):
    before = names(folder)
    done = run_cli("denoise", *arguments, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert message in done.stderr
    assert names(folder) == before


def test_ctrl_c_while_a_worker_starts_is_heard_when_it_has_started(tmp_path, monkeypatch):
    started = []
    item = make_item(tmp_path / "a.png", Path("a.png"), tmp_path, recipe_of)

    def start(process):
        _thread.interrupt_main()  # as a signal that another thread takes: it is not blocked
        time.sleep(0.01)
        started.append(process)

    monkeypatch.setattr(SpawnProcess, "start", start)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background is deaf to it
    try:
        with pytest.raises(KeyboardInterrupt):
            list(run_workers(iter([item]), reverse, jobs=1))
    finally:
        signal.signal(signal.SIGINT, before)
    assert started
