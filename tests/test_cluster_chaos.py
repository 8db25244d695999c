"""Laws of clusters whose processes die: files are blamed alone, nothing is lost, and `resume` does what is left."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from batches import batch_of, fill, numbers, of_kind, reverse
from commands import names
from mashpix.errors import DeviceError
from mashpix.jobs.batch import BatchProgress, FileDone, FileFailed, run_batch
from mashpix.jobs.batch.manifest import MANIFEST, read_manifest

pytest.importorskip("distributed", reason="needs the extra cluster")

from mashpix.cluster import ClusterExecutor, connect

pytestmark = pytest.mark.slow

HELPERS = Path(__file__).parent / "helpers"


def run_out_of_memory():
    """Ask for a gibibyte, of which this process may have a quarter."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, limits[1]))
    try:
        bytearray(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def job(request):
    """Like `reverse`; a file can also say how its worker ends, each time or once."""
    how, _, rest = request.source.read_bytes().partition(b" ")
    if rest == b"once":
        request.source.write_bytes(b"cured")
    if how == b"exit":
        os._exit(9)
    if how in (b"SIGSEGV", b"SIGKILL"):  # the latter from the system when its memory is used up
        os.kill(os.getpid(), signal.Signals[how.decode()])
    if how == b"memory":
        run_out_of_memory()
    return (yield from reverse(request))


def test_workers_may_die_in_any_way(tmp_path):
    ways = ("exit", "SIGSEGV", "SIGKILL")
    good = {f"g{index}": f"content {index}".encode() for index in range(20)}
    once = {f"once_{way}": f"{way} once".encode() for way in ways}
    always = {way: f"{way} always".encode() for way in ("SIGKILL", "memory")}
    fill(tmp_path / "in", **good, **once, **always)
    with connect("local:2", threads=1) as client:
        events = list(run_batch(batch_of(tmp_path), execute=ClusterExecutor(client, threads=1), job=job))
    assert numbers(of_kind(events, BatchProgress)[-1].counts) == (23, 0, 2)
    failed = {event.path.stem: event.error for event in of_kind(events, FileFailed)}
    assert failed.pop("memory").startswith("MemoryError")
    assert failed == {"SIGKILL": "its worker died (tried 3 times)"}
    done = sorted(f"{stem}_denoised.png" for stem in (*good, *once))
    assert names(tmp_path / "out") == sorted([MANIFEST, *done, *(f"{name}.json" for name in done)])
    assert (tmp_path / "out" / "once_SIGKILL_denoised.png").read_bytes() == b"deruc"
    assert len(read_manifest(tmp_path / "out" / MANIFEST)) == 25


def is_listening(port):
    """Whether a program on this machine takes connections there."""
    with socket.socket() as own:
        return own.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def programs(port):
    """A scheduler and two workers as a user starts them; they are killed at the end."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(HELPERS)])}
    dask = [sys.executable, "-m", "dask"]
    address = f"tcp://127.0.0.1:{port}"
    commands = [
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
        *[[*dask, "worker", address, "--host", "127.0.0.1", "--memory-limit", "0", "--no-dashboard"]] * 2,
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    started = []
    try:
        for command in commands:
            started.append(subprocess.Popen(command, start_new_session=True, **quiet))
            while not is_listening(port):
                assert started[0].poll() is None
                time.sleep(0.2)
        yield address, started[0]
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_some(batch, address, *, kill=None):
    """Run a batch on a scheduler, which is killed once five files are done; return the last counts."""
    done, counts = 0, None
    with connect(address) as client:
        client.wait_for_workers(2)
        for event in run_batch(batch, execute=ClusterExecutor(client, threads=1), job=reverse):
            done += isinstance(event, FileDone)
            counts = event.counts if isinstance(event, BatchProgress) else counts
            if kill is not None and done == 5:
                kill.send_signal(signal.SIGKILL)
    return counts


def test_a_scheduler_that_is_killed_loses_nothing(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fill(tmp_path / "in", **{f"g{index:02}": f"content {index}".encode() for index in range(60)})
    with programs(port) as (address, scheduler):
        started = time.monotonic()
        with pytest.raises(DeviceError, match="the scheduler is lost"):
            run_some(batch_of(tmp_path), address, kill=scheduler)
        assert time.monotonic() - started < 60
    before = {entry.input for entry in read_manifest(tmp_path / "out" / MANIFEST) if entry.status == "done"}
    assert 5 <= len(before) < 60
    with programs(port) as (address, _):
        counts = run_some(batch_of(tmp_path, resume=True), address)
    assert numbers(counts) == (60 - len(before), len(before), 0)
    done = [f"g{index:02}_denoised.png" for index in range(60)]
    assert names(tmp_path / "out") == sorted([MANIFEST, *done, *(f"{name}.json" for name in done)])
    assert (tmp_path / "out" / done[59]).read_bytes() == b"95 tnetnoc"
