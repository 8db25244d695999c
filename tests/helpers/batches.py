"""A batch whose job stands in for denoising, without torch: the content of a file says what becomes of it."""

import os
import time
from dataclasses import replace

from mashpix import Settings
from mashpix.errors import FileError
from mashpix.files import atomic_write
from mashpix.files.atomic import temporary_name
from mashpix.jobs.batch import NOWHERE, Batch, BatchProgress, ProcessExecutor, run_batch
from mashpix.jobs.events import Note, Outcome
from mashpix.jobs.recipe import Recipe, hash_file, recipe_path, sha256
from mashpix.jobs.request import DenoiseRequest
from mashpix.report import Report, Step


def reverse(request):
    """A job: the output is the input backwards."""
    data = request.source.read_bytes()
    if data == b"bad":
        raise FileError("no known picture format")
    if data == b"bug":
        raise ZeroDivisionError("division by zero")
    if data == b"poison":
        temporary_name(request.target).write_bytes(b"half")
        os._exit(9)
    if data == b"frail":
        request.source.write_bytes(b"cured")
        temporary_name(request.target).write_bytes(b"half")
        atomic_write(request.target, b"half", overwrite=request.overwrite)
        os._exit(9)
    if data == b"changes":
        request.source.write_bytes(b"changed")
    yield Note(f"reads {request.source.stem}")
    atomic_write(request.target, data[::-1], overwrite=request.overwrite)
    while data == b"slow":
        temporary_name(request.target).touch()
        time.sleep(0.05)
        yield Step("fit", 1, 2, 0.5)
    report = Report((1,), "uint8", "cpu", 1)
    numbers = {"version": "1.0", "torch_version": "", "settings": Settings(), "seed": 0, "strength": 1.0}
    where = {"data_range": None, "device": "cpu", "threads": 1, "command": "", "report": {"verdict": "fine"}}
    hashes = {"input_sha256": sha256(data), "output_sha256": hash_file(request.target)}
    recipe = Recipe(**numbers, **where, **hashes)
    atomic_write(recipe_path(request.target), recipe.to_json(), overwrite=request.overwrite)
    return Outcome(request.target, "YX", (1,), report, "fine", recipe, {"denoised": request.target})


def batch_of(folder, *, resume=False, watch_every=None, inputs=None, out=None, **options):
    """A batch from `folder/in` to `folder/out`; other options are those of the request."""
    request = DenoiseRequest(source=NOWHERE, target=NOWHERE, **options)
    inputs, out = inputs or [folder / "in"], out or folder / "out"
    return Batch(inputs=inputs, out=out, request=request, resume=resume, watch_every=watch_every)


def other(batch, **options):
    """The same batch with other options of the request."""
    return replace(batch, request=replace(batch.request, **options))


def start(batch, *, jobs=1):
    """The events of a batch, in processes."""
    return run_batch(batch, execute=ProcessExecutor(jobs), job=reverse)


def run(batch, *, jobs=1):
    """Run a batch to its end: its last counts, and all its events."""
    events = list(start(batch, jobs=jobs))
    return [event.counts for event in events if isinstance(event, BatchProgress)][-1], events


def run_in_child(folder):
    """Run a batch, for a process that is to be killed."""
    run(batch_of(folder))


def of_kind(events, kind):
    """The events of one class."""
    return [event for event in events if isinstance(event, kind)]


def numbers(counts):
    """Files done, skipped and failed."""
    return counts.done, counts.skipped, counts.failed


def fill(folder, **files):
    """Files `<name>.png` with these contents; two underscores in a name stand for a slash."""
    for name, data in files.items():
        path = folder / (name.replace("__", "/") + ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
