"""Laws of shards: together they do what one run does, never write one file twice, and gather into one manifest."""

from dataclasses import replace

import pytest

from batches import batch_of, fill, numbers, of_kind, other, run
from commands import QUICK, names, run_here
from mashpix.errors import FileError, UsageError
from mashpix.files import ImageFile, write_image
from mashpix.jobs.batch import FileFailed, Shard
from mashpix.jobs.batch.manifest import MANIFEST, append_line, read_manifest
from mashpix.jobs.lock import LOCK, lock_folder

COUNT = 3


def shards(batch, count=COUNT):
    return [replace(batch, shard=Shard(index, count)) for index in range(1, count + 1)]


@pytest.fixture
def folder(tmp_path):
    fill(tmp_path / "in", **{f"sub{i % 4}__{i}": f"content {i}".encode() for i in range(20)}, bad=b"bad")
    return tmp_path


def test_shards_together_do_what_one_run_does(folder):
    ended = [numbers(run(batch)[0]) for batch in shards(batch_of(folder))]
    assert [sum(column) for column in zip(*ended, strict=True)] == [20, 0, 1]
    assert all(done for done, _, _ in ended)
    run(batch_of(folder, out=folder / "plain"))
    outputs = [name for name in names(folder / "plain") if name != MANIFEST]
    manifests = [f"mashpix.{index}-of-{COUNT}.jsonl" for index in range(1, COUNT + 1)]
    assert names(folder / "out") == sorted([*outputs, *manifests])
    assert all((folder / "out" / name).read_bytes() == (folder / "plain" / name).read_bytes() for name in outputs)


def test_a_run_of_all_gathers_the_shards_and_does_only_what_they_left(folder):
    first, second, _ = shards(batch_of(folder))
    done = sum(run(batch)[0].done for batch in (first, second))
    lines = sum(len(read_manifest(batch.manifest)) for batch in (first, second))
    counts, _ = run(batch_of(folder, resume=True))
    assert numbers(counts) == (20 - done, done, 1)
    entries = read_manifest(folder / "out" / MANIFEST)
    assert len({entry.input for entry in entries}) == 21
    assert len(entries) == lines + counts.ended
    assert not list((folder / "out").glob("*-of-*"))
    run(batch_of(folder, out=folder / "plain"))
    assert names(folder / "out") == names(folder / "plain")


def test_a_shard_is_resumed_and_another_number_of_shards_knows_what_was_done(folder):
    for batch in shards(batch_of(folder, resume=True)):
        run(batch)
        counts, _ = run(batch)
        assert counts.done == 0
        assert counts.skipped > 0
    again = [numbers(run(batch)[0]) for batch in shards(batch_of(folder, resume=True), count=2)]
    assert [sum(column) for column in zip(*again, strict=True)] == [0, 20, 1]


def test_the_latest_line_of_a_file_counts_whichever_shard_wrote_it(folder):
    for count in (2, 5):
        seeded = other(batch_of(folder, resume=True), seed=count)
        assert sum(run(batch)[0].done for batch in shards(seeded, count)) == 20
    assert numbers(run(other(batch_of(folder, resume=True), seed=5))[0]) == (0, 20, 1)


def test_a_file_that_a_killed_shard_had_begun_is_replaced_and_that_of_another_is_not(folder):
    (batch,) = shards(batch_of(folder, resume=True), count=1)
    fill(folder / "out", sub0__0_denoised=b"half", sub1__1_denoised=b"mine")
    append_line(folder / "out" / batch.shard.own(LOCK), ["sub0/0_denoised.png"])
    for resumed in (batch, batch_of(folder, resume=True)):
        failed = {event.path.stem: event.error for event in of_kind(run(resumed)[1], FileFailed)}
        assert failed.keys() == {"bad", "1"}
        assert "the output exists" in failed["1"]
    assert (folder / "out" / "sub0" / "0_denoised.png").read_bytes() == b"0 tnetnoc"


def test_a_part_depends_on_the_output_alone():
    paths = [f"scan {index}_denoised.tif" for index in range(1000)]
    parts = [{path for path in paths if Shard(index, 8).owns(path)} for index in range(1, 9)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 1000
    assert min(map(len, parts)) > 90


def test_two_inputs_with_one_output_are_refused_by_the_shard_that_has_both(folder):
    inputs = [folder / "in" / "sub0", folder / "in" / "sub1"]
    fill(folder / "in", sub1__0=b"twin")
    parts = {batch.shard.owns("0_denoised.png"): batch for batch in shards(batch_of(folder, inputs=inputs))}
    with pytest.raises(UsageError, match="two inputs have one output"):
        run(parts[True])
    assert run(parts[False])[0].done


def test_shards_of_one_count_run_together_and_nothing_else(tmp_path):
    first, second = Shard(1, 2), Shard(2, 2)
    with lock_folder(tmp_path, first), lock_folder(tmp_path, second):
        for other_run in (None, first, Shard(1, 3)):
            with pytest.raises(FileError, match="another run"), lock_folder(tmp_path, other_run):
                pass
    assert not names(tmp_path)
    with lock_folder(tmp_path), pytest.raises(FileError, match="another run"), lock_folder(tmp_path, first):
        pass
    assert not names(tmp_path)


def test_a_lock_that_another_shard_still_holds_stays(tmp_path):
    with lock_folder(tmp_path, Shard(1, 2)):
        with lock_folder(tmp_path, Shard(2, 2)):
            pass
        with pytest.raises(FileError, match="another run"), lock_folder(tmp_path):
            pass


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_what_is_no_part_is_refused(text, tmp_path):
    fill(tmp_path / "in", a=b"one")
    done = run_here("denoise", "in", "-o", "out", "--shard", text, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("mashpix: --shard: not a part of a whole")
    assert names(tmp_path) == ["in/a.png"]


def test_a_shared_network_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be combined"):
        replace(batch_of(tmp_path, resume=True), shard=Shard(1, 2), share_network=True)


def test_the_command_line_denoises_a_part_and_then_the_rest(tmp_path, rng):
    (tmp_path / "in").mkdir()
    for name in "ab":
        write_image(tmp_path / "in" / f"{name}.png", ImageFile(rng.integers(0, 256, (24, 20)).astype("uint8"), "png"))
    index = next(index for index in (1, 2) if Shard(index, 2).owns("a_denoised.png"))
    options = ("-o", "out", *QUICK, "--resume")
    first = run_here("denoise", "in", *options, "--shard", f"{index}/2", cwd=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    listed = run_here("denoise", "in", *options, "--shard", f"{index}/2", "--dry-run", cwd=tmp_path)
    assert "0 files, " in listed.stdout
    rest = run_here("denoise", "in", *options, cwd=tmp_path)
    done = first.stdout.count("verdict: ")
    assert done >= 1
    assert f"done        {2 - done:>7}\nskipped     {done:>7}" in rest.stdout
