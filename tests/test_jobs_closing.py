"""Laws of leaving a job early: from any stage it leaves no thread, no process and no temporary file behind."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from commands import QUICK as COMMAND_QUICK
from mashpix import Settings, Step
from mashpix.arrays import costs
from mashpix.jobs import (
    BlendRequest,
    DenoiseRequest,
    FitRequest,
    InspectRequest,
    blend_files,
    denoise_file,
    fit_model,
    in_background,
    inspect_file,
    refer_to_model,
    run,
)

QUICK = Settings(masking_ratio=0.5, steps=2, channels=4, depth=2, masks=1)
EVERY_STAGE = QUICK.replace(masking_ratio=None, probe_steps=1, shuffle="always", shuffle_start=1, refine=True)


def write_image(folder, rng):
    Image.fromarray(rng.integers(0, 256, (32, 40, 3)).astype(np.uint8)).save(folder / "a.png")
    return folder / "a.png"


def write_stack(folder, rng):
    stack = (1000 + 100 * rng.normal(size=(2, 2, 32, 40))).astype(np.uint16)
    tifffile.imwrite(folder / "a.tif", stack, imagej=True, metadata={"axes": "TCYX"})
    return folder / "a.tif"


def write_zarr(folder, rng):
    pytest.importorskip("zarr", reason="the extra `zarr` is not installed")
    from zarr_kinds import write_ome

    stack = rng.integers(0, 4096, (2, 32, 40)).astype(np.uint16)
    return write_ome(folder / "a.zarr", [stack, stack[..., ::2, ::2]], axes="zyx", zarr_format=3)


def write_raw(folder, rng):
    pytest.importorskip("rawpy", reason="the extra `raw` is not installed")
    from instrument_files import build_dng

    (folder / "a.dng").write_bytes(build_dng(rng.integers(600, 60_000, (64, 64)).astype(np.uint16)))
    return folder / "a.dng"


def write_lif(folder, rng):
    pytest.importorskip("bioio_lif", reason="the extra `bio` is not installed")
    from instrument_files import build_lif

    (folder / "a.lif").write_bytes(build_lif({"a": rng.integers(0, 256, (1, 2, 1, 32, 40)).astype(np.uint8)}))
    return folder / "a.lif"


def denoise(source, **options):
    endings = {".lif": ".ome.tif", ".dng": ".tif"}
    target = source.with_name(f"b{endings.get(source.suffix, source.suffix)}")
    save = ("spread", "residual", "report")
    how = {"settings": QUICK, "device": "cpu", "save": save}
    return denoise_file(DenoiseRequest(source=source, target=target, **how | options))


def apply(source):
    model = source.with_name("model.safetensors")
    if not model.exists():
        run(fit_model(FitRequest(sources=(source,), target=model, settings=QUICK, device="cpu", channels="joint")))
    return denoise(source, model=refer_to_model(model), channels="joint")


def fit(source):
    return fit_model(
        FitRequest(sources=(source,), target=source.with_name("b.safetensors"), settings=QUICK, device="cpu")
    )


def inspect(source):
    pages = {"html": source.with_name("b.html"), "json": source.with_name("b.json")}
    return inspect_file(InspectRequest(source=source, denoised=source, device="cpu", **pages))


def blend(source):
    options = {"strength": 0.5, "detail": 0.5, "compare": source.with_name("c.png")}
    return blend_files(
        BlendRequest(source=source, finished=source, target=source.with_name(f"b{source.suffix}"), **options)
    )


CASES = {
    "denoise an image": (
        write_image,
        lambda path: denoise(path, settings=EVERY_STAGE, compare=path.with_name("c.png")),
    ),
    "denoise a stack": (write_stack, lambda path: denoise(path, settings=QUICK.replace(refine=True))),
    "denoise an OME-Zarr": (write_zarr, denoise),
    "denoise a camera's raw file": (write_raw, denoise),
    "denoise a microscope's file": (write_lif, denoise),
    "apply a model to an image": (write_image, apply),
    "apply a model to a stack": (write_stack, apply),
    "fit a model": (write_image, fit),
    "inspect an image": (write_image, inspect),
    "inspect a stack": (write_stack, inspect),
    "blend a stack": (write_stack, blend),
}


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def threads():
    """Threads that are there, but for the pool that zarr keeps for itself and lets grow."""
    return [thread for thread in threading.enumerate() if not thread.name.startswith(("zarr", "asyncio", "ThreadPool"))]


def children():
    """Processes that this one has started and that are still there."""
    if sys.platform != "linux":
        return []
    found = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
    return [number for numbers in found for number in numbers]


def stage_of(event):
    return event.stage if isinstance(event, Step) else f"{type(event).__name__} {getattr(event, 'kind', '')}"


def places_to_stop(events):
    """Numbers of events after which to stop: none, the first of each stage, and all."""
    stages = [stage_of(event) for event in events]
    return sorted({0, len(stages), *(stages.index(stage) + 1 for stage in stages)})


@pytest.mark.usefixtures("no_sync")
@pytest.mark.parametrize("case", CASES)
def test_a_job_that_is_closed_anywhere_leaves_nothing_but_complete_files(case, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(costs, "MAX_TIMED", 1)  # an inspection may guess
    write, make = CASES[case]
    source = write(tmp_path, rng)
    make(source).close()  # a model that is applied is fitted here
    inputs = contents(tmp_path)
    events = list(make(source))
    whole = contents(tmp_path)
    before = threads(), children()
    counts = places_to_stop(events)
    assert len(counts) > 2
    if source.suffix in (".dng", ".lif"):  # read by a process that takes seconds to start; other stages are as above
        counts = counts[1::3]
    for count in counts:
        for path in set(contents(tmp_path)) - set(inputs):
            (tmp_path / path).unlink()
        if source.is_dir():
            remove_folders(tmp_path, keep=source)
        wrap = in_background if count % 2 else (lambda job: job)
        with closing(wrap(make(source))) as job:
            seen = [stage_of(event) for event, _ in zip(job, range(count), strict=False)]
        where = f"after {count} events, {seen[-1:]}"
        assert (threads(), children()) == before, where
        left = contents(tmp_path)
        assert left.keys() <= whole.keys(), where
        for path, data in left.items():
            assert data == whole[path] or path.endswith((".json", ".html")), f"{path} {where}"
            assert data[-8:] == whole[path][-8:], f"{path} {where}"  # those two hold times, and are whole all the same


def remove_folders(folder, *, keep):
    """Remove the empty folders that are left where files of an output were removed."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_relative_to(keep):
            path.rmdir()


@pytest.mark.parametrize("refused", [{"strength": 2.0}, {"device": "cuda:99"}, {"axes": "QQ"}])
def test_a_job_that_fails_leaves_nothing(refused, tmp_path, rng):
    source = write_stack(tmp_path, rng)
    before = threads()
    with pytest.raises(ValueError if "device" not in refused else RuntimeError):
        run(in_background(denoise(source, **refused)))
    assert threads() == before
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def counting(log, *, seconds=0.0):
    """A job that notes in which thread it ends."""
    try:
        for number in range(100):
            time.sleep(seconds)
            yield number
    finally:
        log.append(threading.current_thread())


def test_an_error_in_the_consumer_closes_the_job_in_its_thread():
    log = []
    with pytest.raises(ZeroDivisionError):
        run(in_background(counting(log)), show=lambda number: 1 / (number - 3))
    (thread,) = log
    assert thread is not threading.main_thread()
    assert not thread.is_alive()


def test_leaving_waits_for_the_event_in_work_but_not_longer_than_asked():
    log = []
    with closing(in_background(counting(log, seconds=0.6), patience=0.1)) as job:
        next(job)
        started = time.monotonic()
    assert time.monotonic() - started < 0.5
    for thread in [thread for thread in threading.enumerate() if thread is not threading.main_thread()]:
        thread.join(2.0)
    assert len(log) == 1  # it is closed all the same, when its event is there


def test_a_job_in_the_background_returns_its_outcome_and_raises_its_errors():
    def job(error):
        yield 1
        if error is not None:
            raise error
        return "outcome"

    seen = []
    assert run(in_background(job(None)), show=seen.append) == "outcome"
    assert seen == [1]
    with pytest.raises(KeyError):
        run(in_background(job(KeyError("a"))))


STUCK = """
import time
from mashpix.cli import main
from mashpix.trust import verdict

def check(*arguments, **options):
    print("at work", flush=True)
    time.sleep(60)

verdict.check = check
main()
"""
"""The command line in a stage that takes a minute."""
FITTING = """
from contextlib import contextmanager
from mashpix.cli import console, main

@contextmanager
def progress(name):
    yield lambda step: print("at work", flush=True)

console.progress = progress
main()
"""
"""The command line; it prints a line for each step."""


@pytest.mark.parametrize(
    ("program", "write", "seconds"),
    [(FITTING, write_image, 1), (STUCK, write_stack, 5), (STUCK, write_zarr, 5)],
    ids=["between steps", "a stack in a long stage", "a zarr in a long stage"],
)
def test_ctrl_c_ends_it_soon_and_leaves_nothing(program, write, seconds, tmp_path, rng):
    source = write(tmp_path, rng)
    before = contents(tmp_path)
    long = ("--steps", "100000") if program == FITTING else ()
    command = [sys.executable, "-c", program, "denoise", str(source), *COMMAND_QUICK, *long]
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # even where the tests run in the background
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, preexec_fn=hears, **pipes) as child:
        assert child.stdout.readline() == "at work\n"
        child.send_signal(signal.SIGINT)
        started = time.perf_counter()
        try:
            _, stderr = child.communicate(timeout=30)
        finally:
            child.kill()
        assert time.perf_counter() - started < seconds
    assert child.returncode == 130
    assert stderr.endswith("mashpix: interrupted; nothing is half-written\n")
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
