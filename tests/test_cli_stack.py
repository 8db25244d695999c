"""Laws of the command line on stacks: the file that comes out is the one that went in, but for its pixels."""

import json

import numpy as np
import pytest
import tifffile

from commands import QUICK, names, run_here
from mashpix import add_detail
from mashpix.trust.stack_verdict import PlaneVerdicts
from mashpix.trust.verdict import Verdict


def run(*arguments):
    return run_here("denoise", *arguments, *QUICK)


@pytest.fixture
def hyperstack(tmp_path, rng):
    stack = (1000 + 100 * rng.normal(size=(2, 2, 2, 24, 32))).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TZCYX", "spacing": 0.5})
    return path


def test_a_hyperstack_comes_out_as_it_went_in(hyperstack):
    before = hyperstack.read_bytes()
    done = run(hyperstack, "--save", "report")
    assert done.returncode == 0, done.stderr
    assert "TZCYX 2 x 2 x 2 x 24 x 32, networks shared" in done.stdout
    target = hyperstack.with_name("a_denoised.tif")
    with tifffile.TiffFile(hyperstack) as old, tifffile.TiffFile(target) as new:
        assert new.imagej_metadata == old.imagej_metadata
        assert new.series[0].axes == "TZCYX"
        assert new.asarray().std() < 0.8 * old.asarray().std()
    assert hyperstack.read_bytes() == before
    assert json.loads(hyperstack.with_name("a_denoised_report.json").read_text())["shape"] == [2, 2, 2, 24, 32]


def test_the_recipe_makes_the_same_bytes_again(hyperstack, tmp_path):
    assert run(hyperstack, "--channels", "joint", "--networks", "each", "--axes", "TZCYX").returncode == 0
    recipe = tmp_path / "a_denoised.tif.json"
    found = json.loads(recipe.read_text())
    assert (found["stack"], found["channels"]) == ({"axes": "TZCYX", "networks": "each"}, "joint")
    again = run_here("denoise", hyperstack, "--recipe", recipe, "-o", tmp_path / "b.tif")
    assert (again.returncode, again.stderr) == (0, "")
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "a_denoised.tif").read_bytes()


def test_the_former_spelling_of_networks_is_understood(hyperstack, tmp_path):
    done = run(hyperstack, "--fit", "each")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "--fit each is now spelled --networks each" in done.stderr
    assert run(hyperstack, "--networks", "each", "-o", tmp_path / "b.tif").returncode == 0
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "a_denoised.tif").read_bytes()
    assert "--fit " not in run_here("denoise", "--help").stdout


def test_axes_of_an_array_are_guessed_aloud_or_given(tmp_path, rng):
    np.save(tmp_path / "a.npy", rng.normal(size=(3, 24, 32)))
    done = run(tmp_path / "a.npy")
    assert "shape (3, 24, 32) is read as ZYX, 3 planes of one kind" in done.stderr
    done = run(tmp_path / "a.npy", "--axes", "cyx", "--overwrite")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "CYX 3 x 24 x 32" in done.stdout
    assert np.load(tmp_path / "a_denoised.npy").shape == (3, 24, 32)


def test_in_place_and_strength(hyperstack):
    before = tifffile.imread(hyperstack)
    assert run(hyperstack, "--in-place", "--strength", "0").returncode == 0
    np.testing.assert_array_equal(tifffile.imread(hyperstack), before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--axes", "ZYX"), "axes: 5 letters needed"),
        (("--networks", "twice"), "--networks: unknown choice"),
        (("--fit", "twice"), "--fit: unknown choice"),
        (("--fit", "once", "--networks", "each"), "--networks and --fit are one option"),
        (("--compare", "a_denoised.tif"), "--compare is another output"),
        (("-o", "b.npy"), "a stack keeps its format"),
    ],
)
def test_what_makes_no_sense_is_said_before_work_starts(arguments, message, hyperstack):
    done = run_here("denoise", hyperstack, *arguments, *QUICK, cwd=hyperstack.parent)
    assert done.returncode != 0
    assert message in done.stderr
    assert names(hyperstack.parent) == ["a.tif"]


def test_a_damaged_plane_leaves_no_output(hyperstack):
    data = hyperstack.read_bytes()
    hyperstack.write_bytes(data[: len(data) - 2000])
    done = run(hyperstack)
    assert done.returncode == 1
    assert "truncated or damaged TIFF" in done.stderr
    assert names(hyperstack.parent) == ["a.tif"]


@pytest.mark.parametrize("ending", ["tif", "npy"])
def test_maps_are_stacks_of_the_same_kind_and_the_comparison_names_its_plane(ending, tmp_path, rng):
    stack = (1000 + 100 * rng.normal(size=(2, 3, 24, 32))).astype(np.int16)
    stack[1, 2] = 7
    source, read = tmp_path / f"a.{ending}", np.load if ending == "npy" else tifffile.imread
    if ending == "npy":
        np.save(source, stack)
    else:
        tifffile.imwrite(source, stack, photometric="minisblack", metadata={"axes": "TCYX"})
    done = run(source, "--axes", "TCYX", "--save", "spread,residual,report", "--compare", tmp_path / "c.png")
    assert done.returncode == 0, done.stderr
    denoised, spread, residual = (read(tmp_path / f"a_denoised{end}.{ending}") for end in ("", "_spread", "_residual"))
    np.testing.assert_array_equal(residual, stack.astype(np.float32) - denoised)
    assert (spread.dtype, spread.shape, residual.dtype) == (np.float32, stack.shape, np.float32)
    assert not spread[1, 2].any()
    assert spread.any(axis=(2, 3)).sum() == 5
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    verdict = json.loads((tmp_path / "a_denoised_report.json").read_text())["verdict"]
    assert list(verdict["planes"]) == [f"T {t}, C {c}" for c in range(3) for t in range(2)]
    assert verdict["planes"]["T 1, C 2"] == "good"
    assert f"verdict: {verdict['verdict']} ({verdict['reason']})" in done.stdout
    worst = verdict["reason"].partition("the worst is ")[2].partition(":")[0]
    assert f"{str(tmp_path / 'c.png')!r}: {worst}\n" in done.stdout


def test_planes_without_a_finite_value_stay_as_they_are(tmp_path, rng):
    stack = rng.normal(10, 1, (3, 24, 32))
    stack[1], stack[2] = np.nan, 3.0
    np.save(tmp_path / "a.npy", stack)
    assert run(tmp_path / "a.npy", "--axes", "TYX", "--detail", 1, "--strength", 0.5).returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a_denoised.npy")[1:], stack[1:])
    verdict = json.loads((tmp_path / "a_denoised.npy.json").read_text())["report"]["verdict"]
    assert (verdict["planes"]["T 1"], verdict["planes"]["T 2"]) == ("good", "good")


def test_detail_comes_back_plane_by_plane(tmp_path, rng):
    texture = np.zeros((64, 64))
    texture[16:48, 16:48] = 60 * (np.indices((32, 32)).sum(axis=0) % 2)
    stack = (500 + texture + 5 * rng.normal(size=(2, 64, 64))).astype(np.float32)
    np.save(tmp_path / "a.npy", stack)
    denoised = []
    for detail in (0.0, 1.0):
        assert run(tmp_path / "a.npy", "--detail", detail, "--overwrite").returncode == 0
        denoised.append(np.load(tmp_path / "a_denoised.npy"))
    assert (denoised[0] != denoised[1]).any()
    for plane in range(2):
        np.testing.assert_array_equal(denoised[1][plane], add_detail(stack[plane], denoised[0][plane], detail=1.0))


def test_the_plane_to_look_at_is_the_worst_or_the_one_in_the_middle():
    good, bad, worse = (Verdict(name, "", {"structure": value}) for name, value in
                        (("good", 8.0), ("look closer", 10.0), ("look closer", 12.0)))  # fmt: skip
    places = [(index, slice(None), slice(None)) for index in range(5)]
    for verdicts, name in (([good] * 5, "T 2"), ([good, bad, good, worse, bad], "T 3")):
        judged = PlaneVerdicts("TYX", (5, 8, 8))
        for place, verdict in zip(places, verdicts, strict=True):
            judged.add(place, place[0], None, verdict)
        assert (judged.worst.name, judged.worst.noisy) == (name, int(name[2:]))
    assert judged.sum_up().reason == "3 of 5 planes not good, the worst is T 3: "
    assert judged.list_planes()["T 1"] == "look closer ()"


def test_an_error_on_the_way_leaves_no_map(hyperstack, monkeypatch):
    monkeypatch.setattr(PlaneVerdicts, "add", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(hyperstack, "--save", "spread,residual")
    assert names(hyperstack.parent) == ["a.tif"]
