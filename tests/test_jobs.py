"""Laws of jobs: one path for images and stacks, told in events, ended by an outcome that travels."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import tifffile

import mashpix.jobs
from mashpix import FileError, UsageError, add_detail, denoise, denoise_stack, files
from mashpix.durations import format_duration
from mashpix.jobs import (
    BlendRequest,
    DenoiseRequest,
    InspectRequest,
    Note,
    Step,
    Written,
    blend_files,
    denoise_file,
    inspect_file,
    run,
)
from mashpix.jobs.recipe import hash_file, recipe_path


@pytest.fixture
def request_of(tmp_path, quick):
    """A function that makes the request for an array that is saved as NPY."""

    def make(array, **options):
        np.save(tmp_path / "a.npy", array)
        how = {"settings": quick, "device": "cpu", "target": tmp_path / "b.npy"}
        return DenoiseRequest(source=tmp_path / "a.npy", **how | options)

    return make


def test_public_names_are_sorted_and_there():
    assert mashpix.jobs.__all__ == sorted(mashpix.jobs.__all__, key=lambda name: (name[0].islower(), name))
    assert all(getattr(mashpix.jobs, name) is not None for name in mashpix.jobs.__all__)


def test_an_output_that_is_a_link_to_itself_is_refused(request_of, tmp_path):
    (tmp_path / "loop.npy").symlink_to(tmp_path / "loop.npy")
    with pytest.raises(FileError, match="name a file"):
        run(denoise_file(request_of(np.zeros((16, 16)), target=tmp_path / "loop.npy", overwrite=True)))


def test_jobs_are_imported_without_torch_and_without_a_command_line():
    code = "import mashpix.jobs, sys\nprint({'torch', 'typer', 'mashpix.cli'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_an_image_is_denoised_as_by_the_public_function(request_of, rng, quick):
    image = rng.normal(100, 10, (32, 40)).astype(np.float32)
    outcome = run(denoise_file(request_of(image)))
    np.testing.assert_array_equal(np.load(outcome.target), denoise(image, settings=quick, device="cpu"))


def test_a_stack_is_denoised_as_by_the_public_function(request_of, rng, quick):
    stack = rng.normal(100, 10, (3, 2, 32, 40)).astype(np.float32)
    outcome = run(denoise_file(request_of(stack, axes="TCYX")))
    expected = denoise_stack(stack, axes="TCYX", settings=quick, device="cpu")
    np.testing.assert_array_equal(np.load(outcome.target), expected)


def test_nothing_is_printed(request_of, rng, capfd):
    run(denoise_file(request_of(rng.normal(100, 10, (3, 32, 40)))))
    assert capfd.readouterr() == ("", "")


def test_remarks_come_before_the_steps_and_files_after_them(request_of, rng):
    events = list(denoise_file(request_of(rng.normal(100, 10, (3, 32, 40)))))
    kinds = [type(event) for event in events]
    assert kinds == sorted(kinds, key=[Note, Step, Written].index)
    assert {Note, Step, Written} == set(kinds)
    assert "`axes`" in events[0].text


def test_an_inspection_ends_with_a_step_that_holds_the_report(tmp_path, rng):
    np.save(tmp_path / "a.npy", rng.normal(100, 10, (32, 40)))
    events = []
    outcome = run(inspect_file(InspectRequest(source=tmp_path / "a.npy", device="cpu")), show=events.append)
    assert (events[-1].stage, events[-1].fraction, events[-1].noise_report) == ("done", 1.0, outcome.report)


def test_an_outcome_travels_and_says_what_was_written(request_of, rng):
    request = request_of(rng.normal(100, 10, (3, 32, 40)), save=("spread", "report"), command="mashpix denoise a.npy")
    events = []
    outcome = run(denoise_file(request), show=events.append)
    again = pickle.loads(pickle.dumps(outcome))
    assert {event.kind: event.path for event in events if isinstance(event, Written)} == outcome.written
    assert (again.recipe, again.verdict, again.written) == (outcome.recipe, outcome.verdict, outcome.written)
    assert list(outcome.written) == ["denoised", "spread", "report", "recipe"]
    assert all(path.is_file() for path in outcome.written.values())
    assert (outcome.axes, outcome.shape) == ("ZYX", (3, 32, 40))


def test_a_recipe_holds_the_command_it_was_given_and_the_hashes_of_both_files(request_of, rng):
    request = request_of(rng.normal(100, 10, (32, 40)), command="mashpix denoise a.npy")
    recipe = run(denoise_file(request)).recipe
    assert recipe.to_json() == mashpix.jobs.read_recipe(recipe_path(request.target)).to_json()
    assert recipe.command == "mashpix denoise a.npy"
    assert (recipe.input_sha256, recipe.output_sha256) == (hash_file(request.source), hash_file(request.target))


@pytest.mark.parametrize("options", [{}, {"channels": "joint"}, {"networks": "each"}])
def test_no_plane_is_decoded_twice(options, request_of, rng, monkeypatch):
    read = []

    class Counted:
        def __init__(self, opened):
            self.opened = opened

        def __getattr__(self, name):
            return getattr(self.opened, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.opened.close()

        def __getitem__(self, index):
            read.append(index[:2])
            return self.opened[index]

    open_file = files.open_file
    monkeypatch.setattr(files, "open_file", lambda path, **options: Counted(open_file(path, **options)))
    run(denoise_file(request_of(rng.normal(100, 10, (9, 2, 24, 32)), axes="TCYX", **options)))
    assert sorted(read) == [(time, channel) for time in range(9) for channel in range(2)]


@pytest.mark.parametrize("options", [{"networks": "both"}, {"save": ("soul",)}])
def test_a_choice_that_there_is_not_is_refused_when_it_is_asked_for(options, request_of, rng):
    with pytest.raises(UsageError, match="unknown"):
        request_of(rng.normal(size=(32, 40)), **options)


def test_no_detail_needs_no_preparation(monkeypatch, rng):
    noisy = rng.normal(100, 10, (64, 64))
    monkeypatch.setattr("mashpix.trust.detail.measure_residual", None)
    np.testing.assert_array_equal(add_detail(noisy, noisy + 1, detail=0.0), noisy + 1)


def test_a_stack_is_blended_plane_by_plane(tmp_path, rng):
    noisy = rng.integers(100, 200, (2, 3, 24, 32)).astype(np.uint16)
    for name, values in (("a.tif", noisy), ("b.tif", noisy // 2 * 2)):
        tifffile.imwrite(tmp_path / name, values, imagej=True, metadata={"axes": "TCYX"})
    request = BlendRequest(
        source=tmp_path / "a.tif", finished=tmp_path / "b.tif", target=tmp_path / "c.tif", strength=0.0
    )
    outcome = run(blend_files(request))
    np.testing.assert_array_equal(tifffile.imread(outcome.target), noisy)
    assert outcome.written == {"blended": tmp_path / "c.tif"}


def test_times_are_said_as_people_say_them():
    said = [format_duration(seconds) for seconds in (0.31, 25.2, 95, 3590)]
    assert said[1] == "25 s"
    assert said[3] == "1 h"
    assert not any("e+" in text for text in said)
