"""Laws of clusters: the bytes, manifest and messages of a run without one, whatever happens to its workers."""

import multiprocessing
import os
import signal
from contextlib import closing, suppress
from pathlib import Path

import pytest

from batches import batch_of, fill, numbers, of_kind, reverse
from commands import QUICK, names, run_here
from mashpix.errors import DeviceError
from mashpix.files import ImageFile, write_image
from mashpix.files.atomic import MARK, remove_stale
from mashpix.jobs.batch import BatchProgress, FileDone, FileFailed, FileNote, run_batch
from mashpix.jobs.batch.manifest import MANIFEST, read_manifest
from mashpix.jobs.events import Note

pytest.importorskip("distributed", reason="needs the extra cluster")

from mashpix.cluster import ClusterExecutor, checking, connect, connecting, executor
from mashpix.cluster.checking import Needs
from mashpix.cluster.crew import Crew


def job(request):
    """Like `reverse`, with a note on its threads; a file can also ask for a segmentation fault."""
    import torch

    if request.source.read_bytes() == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    yield Note(f"{torch.get_num_threads()} threads")
    try:
        return (yield from reverse(request))
    finally:  # as every real job, it leaves nothing half-written when it is closed
        remove_stale(request.target, older_than=0)


def old_versions():
    return checking.find_versions() | {"torch": "1.0"}


@pytest.fixture(scope="module")
def client():
    with connect("local:2", threads=1) as client:
        yield client


def run(batch, client):
    """Run a batch on a cluster: its last counts, and all its events."""
    events = list(run_batch(batch, execute=ClusterExecutor(client, threads=3), job=job))
    return of_kind(events, BatchProgress)[-1].counts, events


@pytest.fixture(scope="module")
def ended(tmp_path_factory, client):
    """A batch with one file that kills every worker by a segmentation fault, and one that ends one worker."""
    folder = tmp_path_factory.mktemp("cluster")
    good = {f"g{index}": f"content {index}".encode() for index in range(8)}
    fill(folder / "in", **good, b=b"bad", c=b"crash", d=b"bug", f=b"frail", sub__e=b"two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "MAX_ATTEMPTS", 2)  # each further one costs seconds
        return folder / "out", *run(batch_of(folder), client)


def test_a_file_that_kills_its_workers_is_blamed_alone(ended):
    out, counts, events = ended
    assert numbers(counts) == (10, 0, 3)
    assert {event.path.stem: event.error for event in of_kind(events, FileFailed)} == {
        "b": "no known image format",
        "c": "its worker died (tried 2 times)",
        "d": "ZeroDivisionError: division by zero",
    }
    assert (out / "f_denoised.png").read_bytes() == b"deruc"


def test_the_manifest_has_a_line_for_each_file_and_nothing_else_is_left(ended):
    out, _, events = ended
    entries = read_manifest(out / MANIFEST)
    assert entries == [event.entry for event in events if isinstance(event, FileDone | FileFailed)]
    assert len({entry.input for entry in entries}) == 13
    done = [entry.output for entry in entries if entry.status == "done"]
    assert names(out) == sorted([MANIFEST, *(name + ending for name in done for ending in ("", ".json"))])


def test_notes_come_with_the_outcome_of_their_file_and_threads_are_those_asked_for(ended):
    _, _, events = ended
    notes = {(note.path.stem, note.note.text) for note in of_kind(events, FileNote)}
    good = [event.item.source.stem for event in of_kind(events, FileDone)]
    assert {(stem, text) for stem in good for text in (f"reads {stem}", "3 threads")} <= notes


def test_a_batch_that_is_left_stops_its_jobs_and_is_resumed(client, tmp_path):
    fill(tmp_path / "in", a=b"slow", b=b"slow", c=b"one")
    with closing(run_batch(batch_of(tmp_path), execute=ClusterExecutor(client, threads=3), job=job)) as events:
        while len(list((tmp_path / "out").glob(f".*{MARK}"))) < 2:
            next(events)
    fill(tmp_path / "in", a=b"two", b=b"three")
    counts, _ = run(batch_of(tmp_path, resume=True), client)  # waits until both workers are free: the jobs have ended
    assert numbers(counts) == (3, 0, 0)
    assert not list((tmp_path / "out").glob(f".*{MARK}"))


def test_every_port_is_on_the_loopback(client):
    processes = [Path("/proc", str(child.pid)) for child in multiprocessing.active_children()]
    assert len(processes) == 2
    listening = {}
    for process in (*processes, Path("/proc/self")):
        sockets = set()
        for link in process.joinpath("fd").iterdir():
            with suppress(OSError):  # the one that lists the folder
                sockets.add(os.readlink(link))
        for table in ("tcp", "tcp6"):
            for line in process.joinpath("net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                    listening[fields[1]] = fields[1].split(":")[0]
    assert len(listening) >= 5
    assert set(listening.values()) == {"0100007F"}


def test_the_command_line_writes_the_bytes_of_a_run_without_a_cluster(client, tmp_path, rng):
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", ImageFile(rng.integers(0, 256, (24, 20)).astype("uint8"), "png"))
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    address = client.scheduler.address
    done = run_here("denoise", "in", "-o", "out", *QUICK, "--cluster", address, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"mashpix: '{tmp_path}/in/bad.png': no known image format")
    assert "done              1\nfailed            1\n" in done.stdout
    assert run_here("denoise", "in/a.png", "-o", "alone.png", *QUICK, cwd=tmp_path).returncode == 0
    assert (tmp_path / "out" / "a_denoised.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    again = run_here("denoise", "in", "-o", "out", *QUICK, "--cluster", address, "--resume", cwd=tmp_path)
    assert "skipped           1  done by an earlier run\nfailed            1\n" in again.stdout


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("tcp://127.0.0.1:1", 3, "no scheduler answers ('tcp://127.0.0.1:1'; Timed out"),
        ("tls://127.0.0.1:1", 3, "no certificates for TLS"),
        ("no://127.0.0.1:1", 3, "no scheduler answers ('no://127.0.0.1:1'; unknown address scheme"),
        ("local:0", 2, "not an address ('local:0'; tcp://host:port, tls://host:port or local:N)"),
        ("here", 2, "not an address"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_line_before_any_work(address, code, message, tmp_path, monkeypatch):
    monkeypatch.setattr(connecting, "PATIENCE", 0.3)
    fill(tmp_path / "in", a=b"one")
    done = run_here("denoise", "in", "-o", "out", "--cluster", address, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert done.stderr.startswith(f"mashpix: --cluster: {message}")
    assert names(tmp_path) == ["in/a.png"]


def test_other_versions_of_a_worker_are_refused(client, monkeypatch):
    monkeypatch.setattr(checking, "__version__", "9.9")
    with pytest.raises(DeviceError, match=r"a worker cannot be used \('tcp://.*; mashpix 0.1.0, here 9.9\)"):
        ClusterExecutor(client).check_workers()


def test_other_versions_of_the_scheduler_are_refused(client, monkeypatch):
    monkeypatch.setattr(connecting, "find_versions", old_versions)
    with (
        pytest.raises(DeviceError, match=r"the scheduler is unlike this machine \('tcp://.*; torch 1.0, here 2"),
        connect(client.scheduler.address),
    ):
        pass


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ({"paths": (Path("/nowhere/in"),)}, "does not see '/nowhere/in'; all machines need the same paths"),
        ({"paths": (Path("/proc"),), "folders": (Path("/nowhere"),)}, "does not see '/nowhere'"),
        ({"device": "cuda:99"}, "cuda:99"),
    ],
)
def test_a_worker_says_what_it_lacks_before_any_work(needs, message, client, tmp_path):
    fill(tmp_path / "in", a=b"one")
    execute = ClusterExecutor(client, Needs(**needs))
    with pytest.raises(DeviceError, match=r"a worker cannot be used \('tcp://") as error:
        list(run_batch(batch_of(tmp_path), execute=execute, job=job))
    assert message in str(error.value)
    assert names(tmp_path / "out") == []


def test_workers_with_a_gpu_are_used_for_a_gpu(client):
    there = {"a": {"resources": {}}, "b": {"resources": {"GPU": 1.0}}}
    for device, suited in (("cuda", ["b"]), ("cuda:0", ["b"]), ("cpu", ["a", "b"]), ("auto", ["a", "b"])):
        assert Crew(client, Needs(device=device), print, there=there).suited() == suited


def test_a_paused_worker_is_given_no_task(client):
    there = {"a": {"status": "paused"}, "b": {"status": "running"}}
    crew = Crew(client, Needs(), print, there=there, ready={"a": 1, "b": 2})
    assert crew.find_free(()) == "b"
    assert crew.find_free(("b",)) is None


def test_that_no_worker_can_be_used_is_said_once(client, monkeypatch):
    monkeypatch.setattr("mashpix.cluster.crew.SILENCE", -1.0)
    said = []
    crew = Crew(client, Needs(paths=(Path("/nowhere"),)), said.append)
    for _ in range(3):
        crew.look_again()
    assert len(said) == 3
    assert said[0].endswith("all machines need the same paths); it is left out")
    assert said[-1] == "no worker can be used, waiting for one (2 are there; Ctrl-C ends this)"


def test_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("mashpix.extras.is_there", lambda *modules: False)
    fill(tmp_path / "in", a=b"one")
    done = run_here("denoise", "in", "-o", "out", "--cluster", "local:2", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        3,
        "mashpix: 'cluster': not installed (distributed; pip install \"mashpix[cluster]\")\n",
    )
