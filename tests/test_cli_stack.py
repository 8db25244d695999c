"""Laws of the command line on stacks: the file that comes out is the one that went in, but for its pixels."""

import json

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from mashpix.cli import app

QUICK = ("--masking-ratio", "0.2", "--steps", "3", "--channels", "4", "--depth", "2", "--masks", "2", "--threads", "1",
         "--no-refine")  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(app, ["denoise", *map(str, arguments), *QUICK])


@pytest.fixture
def hyperstack(tmp_path, rng):
    stack = (1000 + 100 * rng.normal(size=(3, 2, 2, 24, 32))).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TZCYX", "spacing": 0.5})
    return path


def test_a_hyperstack_comes_out_as_it_went_in(hyperstack):
    before = hyperstack.read_bytes()
    done = run(hyperstack, "--save", "report")
    assert done.exit_code == 0, done.output
    assert "TZCYX 3 x 2 x 2 x 24 x 32, fit once" in done.output
    target = hyperstack.with_name("a_denoised.tif")
    with tifffile.TiffFile(hyperstack) as old, tifffile.TiffFile(target) as new:
        assert new.imagej_metadata == old.imagej_metadata
        assert new.series[0].axes == "TZCYX"
        assert new.asarray().std() < 0.8 * old.asarray().std()
    assert hyperstack.read_bytes() == before
    assert json.loads(hyperstack.with_name("a_denoised_report.json").read_text())["shape"] == [3, 2, 2, 24, 32]


def test_the_recipe_makes_the_same_bytes_again(hyperstack, tmp_path):
    assert run(hyperstack, "--joint", "--fit", "each", "--axes", "TZCYX").exit_code == 0
    recipe = tmp_path / "a_denoised.tif.json"
    assert json.loads(recipe.read_text())["stack"] == {"axes": "TZCYX", "fit": "each", "joint": True}
    arguments = ["denoise", str(hyperstack), "--recipe", str(recipe), "-o", str(tmp_path / "b.tif")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "a_denoised.tif").read_bytes()


def test_axes_of_an_array_are_guessed_aloud_or_given(tmp_path, rng):
    np.save(tmp_path / "a.npy", rng.normal(size=(3, 24, 32)))
    done = run(tmp_path / "a.npy")
    assert "shape (3, 24, 32) is taken for ZYX, 3 planes of one kind" in done.output
    done = run(tmp_path / "a.npy", "--axes", "cyx", "--overwrite")
    assert done.exit_code == 0
    assert "taken for" not in done.output
    assert "CYX 3 x 24 x 32" in done.output
    assert np.load(tmp_path / "a_denoised.npy").shape == (3, 24, 32)


def test_in_place_and_strength(hyperstack):
    before = tifffile.imread(hyperstack)
    assert run(hyperstack, "--in-place", "--strength", "0").exit_code == 0
    np.testing.assert_array_equal(tifffile.imread(hyperstack), before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--axes", "ZYX"), "axes: 5 letters needed"),
        (("--fit", "twice"), "--fit: unknown choice"),
        (("--save", "spread"), "cannot save this of a stack"),
        (("-o", "b.npy"), "a stack keeps its format"),
    ],
)
def test_what_makes_no_sense_is_said_before_work_starts(arguments, message, hyperstack, monkeypatch):
    monkeypatch.chdir(hyperstack.parent)
    done = run(hyperstack, *arguments)
    assert done.exit_code != 0
    assert message in done.output + str(done.exception)
    assert [path.name for path in hyperstack.parent.iterdir()] == ["a.tif"]


def test_a_damaged_plane_leaves_no_output(hyperstack):
    data = hyperstack.read_bytes()
    hyperstack.write_bytes(data[: len(data) - 2000])
    done = run(hyperstack)
    assert done.exit_code == 1
    assert "truncated or damaged TIFF" in done.output
    assert [path.name for path in hyperstack.parent.iterdir()] == ["a.tif"]
