"""Laws of one input on a cluster: the bytes of a run without one, whatever happens to its workers."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from commands import QUICK, names, run_here
from mashpix.arrays import blocks
from mashpix.jobs import denoise_file, run
from shared_inputs import SMALL, recipe_of, request_of

pytest.importorskip("distributed", reason="needs the extra cluster")

import dask

from mashpix.cluster import ClusterExecutor, connect, executor

WORKER = Path(__file__).parent / "helpers" / "fragile_worker.py"


@pytest.fixture(autouse=True)
def small_cells(monkeypatch, no_sync):
    for name, value in SMALL.items():
        monkeypatch.setattr(blocks, name, value)


@pytest.fixture(scope="module")
def client():
    with dask.config.set({"distributed.worker.preload": [str(WORKER)]}), connect("local:2", threads=1) as client:
        yield client


@pytest.mark.parametrize("kind", ["plane", "each", "shared"])
def test_a_cluster_writes_the_bytes_and_the_recipe_of_one_process(kind, client, rng, tmp_path):
    request, steps = request_of(kind, tmp_path, rng), []
    execute = ClusterExecutor(client, threads=torch.get_num_threads())
    run(denoise_file(request, execute=execute), show=steps.append)
    count = 4 if kind == "plane" else 6
    fractions = [step.fraction for step in steps if getattr(step, "total", 0) == count]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    alone = replace(request, target=tmp_path / "alone" / request.target.name)
    alone.target.parent.mkdir()
    run(denoise_file(alone))
    assert request.target.read_bytes() == alone.target.read_bytes()
    assert recipe_of(request.target) == recipe_of(alone.target)


@pytest.mark.slow
def test_a_plane_that_kills_its_workers_is_blamed_alone_and_the_rest_is_kept(client, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "MAX_ATTEMPTS", 2)  # each further one costs seconds
    request_of("each", tmp_path, rng)
    (tmp_path / "poison 1 0").write_text("crash")
    (tmp_path / "poison 2 1").write_text("exit once")
    command = ("denoise", "a.tif", "-o", "b.tif", *QUICK, "--networks", "each")
    there = (*command, "--cluster", client.scheduler.address)
    done = run_here(*there, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (  # on a busy machine, another says that no worker is there for a while
        "mashpix: 'a.tif': 1 of 6 planes failed (the first is T 1, C 0: its worker died (tried 2 times); the others "
        "are kept, and the same command goes on)"
    )
    assert not (tmp_path / "b.tif").exists()
    (tmp_path / "poison 1 0").unlink()
    again = run_here(*there, cwd=tmp_path)
    assert again.returncode == 0
    assert "goes on with an interrupted run (5 planes are done)" in again.stderr
    assert run_here(*command[:3], "c.tif", *command[4:], cwd=tmp_path).returncode == 0
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "c.tif").read_bytes()
    assert names(tmp_path) == ["a.tif", "b.tif", "b.tif.json", "c.tif", "c.tif.json"]


def test_a_run_that_is_left_keeps_its_blocks(client, rng, tmp_path):
    request = request_of("each", tmp_path, rng)
    execute = ClusterExecutor(client, threads=torch.get_num_threads())
    with closing(denoise_file(request, execute=execute)) as events:
        next(event for event in events if getattr(event, "index", 0) == 3)
    assert len(list((tmp_path / ".b.tif.mashpix-blocks").glob("block-*.json"))) >= 2
    run(denoise_file(request))
    assert not list(tmp_path.glob(".*"))
