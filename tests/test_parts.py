"""Laws of one input that several runs share: the bytes and the recipe of a single run, and no block is done twice."""

import re
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from commands import QUICK, names, run_here
from mashpix.arrays import blocks, shared
from mashpix.errors import FileError, UsageError
from mashpix.jobs import DenoiseRequest, denoise_file, denoise_part, run
from mashpix.jobs.shard import Shard
from shared_inputs import SMALL, TINY, noisy, recipe_of, request_of

COUNT = 3


@pytest.fixture(autouse=True)
def small_cells(monkeypatch, no_sync):
    for name, value in SMALL.items():
        monkeypatch.setattr(blocks, name, value)


@pytest.mark.parametrize("kind", ["plane", "zarr", "sharded", "each", "shared", "joint"])
def test_shards_and_a_run_without_write_the_bytes_and_the_recipe_of_one_run(kind, rng, tmp_path, monkeypatch):
    request = request_of(kind, tmp_path, rng, save=("spread", "residual"))
    fits, fit = [], shared.fit_to_images
    monkeypatch.setattr(shared, "fit_to_images", lambda *given, **how: fits.append(1) or fit(*given, **how))
    parts = [run(denoise_part(request, shard=Shard(index, COUNT))) for index in (2, 3, 1)]
    count = len(fits)
    assert count == {"each": 0, "shared": 2}.get(kind, 1)
    total = {"each": 6, "shared": 6, "joint": 3}.get(kind, 4)
    assert sum(part.done for part in parts) == total
    assert [part.left for part in parts] == [total - sum(part.done for part in parts[: n + 1]) for n in range(COUNT)]
    assert not request.target.exists()
    run(denoise_file(request))
    assert len(fits) == count
    alone = replace(request, target=tmp_path / "alone" / request.target.name)
    alone.target.parent.mkdir()
    run(denoise_file(alone))
    assert names(alone.target.parent) == [name for name in names(tmp_path) if name.startswith("b")]
    for name in names(alone.target.parent):
        if name != f"{request.target.name}.json":
            assert (tmp_path / name).read_bytes() == (alone.target.parent / name).read_bytes(), name
    assert recipe_of(request.target) == recipe_of(alone.target)


def test_shards_of_other_options_or_at_the_same_time_are_refused(rng, tmp_path):
    request = request_of("each", tmp_path, rng)
    first, second = (denoise_part(request, shard=Shard(index, 7)) for index in (1, 2))
    with closing(first), closing(second):
        assert next(first).stage == next(second).stage == "fit"  # beside each other
        for job in (denoise_file(request), denoise_part(request, shard=Shard(1, 7))):
            with pytest.raises(FileError, match="another run is writing there"):
                run(job)
    part = run(denoise_part(request, shard=Shard(7, 7)))  # of six planes
    assert (part.done, part.left) == (0, 6)
    with pytest.raises(FileError, match=r"blocks of another run are there \(.*; seed 0, here 1; remove it"):
        run(denoise_part(replace(request, seed=1), shard=Shard(1, 7)))
    with pytest.raises(UsageError, match="`stop_after`"):
        run(denoise_part(replace(request, settings=TINY.replace(stop_after=2)), shard=Shard(1, 7)))


def test_the_command_denoises_a_part_of_one_stack_and_then_the_rest(rng, tmp_path):
    source = request_of("each", tmp_path, rng).source.name
    command = ("denoise", source, "-o", "b.tif", *QUICK, "--networks", "each")
    first = run_here(*command, "--shard", "1/2", "--resume", cwd=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    assert re.fullmatch(r"'b.tif': 3 planes done, 3 left to others, \d+ s\n", first.stdout)
    last = run_here(*command, cwd=tmp_path)
    assert last.returncode == 0
    assert "goes on with an interrupted run (3 planes are done)" in last.stderr
    assert run_here(*command[:3], "c.tif", *command[4:], cwd=tmp_path).returncode == 0
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "c.tif").read_bytes()
    assert names(tmp_path) == ["a.tif", "b.tif", "b.tif.json", "c.tif", "c.tif.json"]


def test_a_single_image_has_no_parts(rng, tmp_path):
    np.save(tmp_path / "a.npy", noisy(rng, 24, 20))
    with pytest.raises(UsageError, match="`shard` is for a stack"):
        run(denoise_part(DenoiseRequest(source=tmp_path / "a.npy", target=tmp_path / "b.npy"), shard=Shard(1, 2)))
