"""Laws of `channels` in requests, recipes and on the command line: the caller wins over the file, that over auto."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from commands import QUICK as OPTIONS
from mashpix import InputError, UsageError, compare, denoise_stack, inspect_stack
from mashpix.cli import app
from mashpix.files import open_file
from mashpix.jobs import DenoiseRequest, FitRequest, InspectRequest, denoise_file, fit_model, read_recipe, run
from mashpix.jobs.batch import Batch
from mashpix.jobs.channels import channels_of, decide_file_channels
from mashpix.jobs.plan import plan_batch
from mashpix.jobs.recipe import recipe_path
from mashpix.jobs.request import hashed_channels
from mashpix.noise_report.html import make_page
from mashpix.noise_report.report import NoiseReport


def command(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments), *OPTIONS])


def tiff(path, values, axes, **options):
    tifffile.imwrite(path, values, metadata={"axes": axes}, **options)
    return path


@pytest.fixture
def noise(rng):
    return rng.integers(0, 200, (24, 32, 3)).astype(np.uint8)


@pytest.fixture
def dyes(tmp_path, rng):
    return tiff(tmp_path / "dyes.ome.tif", rng.integers(0, 200, (3, 24, 32)).astype(np.uint8), "CYX")


def test_the_caller_wins_over_the_file_and_the_file_over_the_image(tmp_path, noise, dyes):
    Image.fromarray(noise).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", noise)
    for name, auto in (("a.png", "rgb"), ("a.npy", "auto"), (dyes.name, "auto")):
        with open_file(tmp_path / name) as opened:
            assert channels_of(opened) == auto
            assert [channels_of(opened, said) for said in ("rgb", "independent", "joint")] == [
                "rgb",
                "independent",
                "joint",
            ]
    with open_file(tmp_path / "a.npy") as opened:
        assert decide_file_channels(opened, "auto") == ("independent", False)
    with open_file(dyes) as opened:
        assert decide_file_channels(opened, "auto") == ("independent", False)
        assert decide_file_channels(opened, "rgb") == ("rgb", True)


def test_three_channels_along_c_are_rgb_if_the_caller_says_so(tmp_path, dyes, quick):
    request = DenoiseRequest(
        source=dyes, target=tmp_path / "b.tif", settings=quick, device="cpu", channels="rgb", compare=tmp_path / "b.png"
    )
    outcome = run(denoise_file(request))
    expected = denoise_stack(tifffile.imread(dyes), axes="CYX", channels="rgb", settings=quick, device="cpu")
    np.testing.assert_array_equal(tifffile.imread(outcome.target), expected)
    assert (outcome.report.channels, outcome.recipe.channels) == ("rgb", "rgb")


@pytest.mark.parametrize(("shape", "axes"), [((2, 24, 32), "CYX"), ((24, 32), "YX"), ((24, 32, 4), "YXS")])
def test_other_than_three_channels_cannot_be_rgb(shape, axes, tmp_path, rng, quick):
    np.save(tmp_path / "a.npy", rng.normal(size=shape))
    how = {"axes": axes, "settings": quick, "device": "cpu", "channels": "rgb"}
    with pytest.raises(UsageError, match="`channels`: RGB has three channels"):
        run(denoise_file(DenoiseRequest(source=tmp_path / "a.npy", target=tmp_path / "b.npy", **how)))
    with pytest.raises(UsageError, match="`channels`: RGB has three channels"):
        run(fit_model(FitRequest(sources=(tmp_path / "a.npy",), target=tmp_path / "m", **how)))
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npy"]


def test_independent_samples_need_a_model_each(tmp_path, noise, quick):
    Image.fromarray(noise).save(tmp_path / "a.png")
    how = {"settings": quick, "channels": "independent"}
    request = FitRequest(sources=(tmp_path / "a.png",), target=tmp_path / "m", **how)
    with pytest.raises(UsageError, match="`channels`: joint"):
        run(fit_model(request))


@pytest.mark.parametrize("kind", [DenoiseRequest, FitRequest, InspectRequest])
def test_unknown_channels_are_refused(kind):
    where = {"sources": (Path("a"),)} if kind is FitRequest else {"source": Path("a")}
    where |= {} if kind is InspectRequest else {"target": Path("b")}
    with pytest.raises(
        UsageError, match=r"`channels`: unknown choice \('colour'; one of auto, rgb, independent, joint\)"
    ):
        kind(channels="colour", **where)


def test_former_recipes_manifests_and_models_mean_what_they_meant(tmp_path, dyes):
    assert command("denoise", dyes, "--channels", "joint", "-o", tmp_path / "b.tif").exit_code == 0
    path = recipe_path(tmp_path / "b.tif")
    recipe = json.loads(path.read_text())
    assert (recipe.pop("channels"), recipe["stack"]) == ("joint", {"axes": "CYX", "networks": "shared"})
    for axes, joint, meant in (("CYX", True, "joint"), ("CYX", False, "auto"), ("ZYXS", True, "auto")):
        path.write_text(json.dumps(recipe | {"stack": {"axes": axes, "fit": "once", "joint": joint}}))
        former = read_recipe(path)
        assert (former.channels, former.stack) == (meant, {"axes": axes, "networks": "shared"})
    assert [hashed_channels(said) for said in ("auto", "joint")] == [{"joint": False}, {"joint": True}]
    assert len({json.dumps(hashed_channels(said)) for said in ("auto", "joint", "rgb", "independent")}) == 4


def test_former_spellings_are_understood(tmp_path, dyes):
    done = command("denoise", dyes, "--joint", "-o", tmp_path / "a.tif")
    assert (done.exit_code, done.stderr.count("is now spelled")) == (0, 1)
    assert "--joint is now spelled --channels joint" in done.stderr
    done = command("denoise", dyes, "--no-joint", "--overwrite", "-o", tmp_path / "a.tif")
    assert "--no-joint is now spelled --channels auto" in done.stderr
    done = command("denoise", dyes, "--channels", "4", "--overwrite", "-o", tmp_path / "a.tif")
    assert "--channels 4 is now spelled --network-channels 4" in done.stderr
    assert json.loads(recipe_path(tmp_path / "a.tif").read_text())["settings"]["channels"] == 4
    assert isinstance(command("denoise", dyes, "--joint", "--channels", "joint").exception, UsageError)
    for name in ("denoise", "fit", "apply", "inspect"):
        shown = CliRunner().invoke(app, [name, "--help"]).output
        assert "--channels" in shown
        assert "--joint" not in shown


def test_the_command_takes_samples_for_what_it_is_asked(tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "a.png")
    for said in ("rgb", "independent", "joint"):
        target = tmp_path / f"{said}.png"
        assert command("denoise", tmp_path / "a.png", "--channels", said, "-o", target).exit_code == 0
        assert read_recipe(recipe_path(target)).report["channels"] == said


def drawn(array, **options):
    return np.asarray(Image.open(BytesIO(compare(array, array, **options))))[22:80, 10:68].astype(int)


def test_only_colour_is_drawn_in_colour(rng):
    scene = np.kron(rng.uniform(0, 200, (8, 8)), np.ones((8, 8)))
    image = np.stack([scene, 0.6 * scene, 0.3 * scene]).astype(np.uint8)
    for said, is_colour in (("auto", True), ("rgb", True), ("independent", False), ("joint", False)):
        shown = drawn(image, channel_axis=0, channels=said)
        assert (np.ptp(shown, axis=2).max() > 20) == is_colour, said
    unlike = rng.integers(0, 200, (3, 64, 64)).astype(np.uint8)
    assert np.ptp(drawn(unlike, channel_axis=0)[20:40, 20:40], axis=2).max() == 0
    with pytest.raises(UsageError, match="RGB has three"):
        compare(unlike[:2], unlike[:2], channel_axis=0, channels="rgb")
    with pytest.raises(InputError):
        compare(unlike, unlike[:2], channel_axis=0)


def test_the_page_of_an_inspection_draws_only_colour_in_colour(noise):
    report = NoiseReport(noise.shape, "uint8", channels="independent")
    grey, colour = (make_page(report, noise, name="a", denoised=noise, is_rgb=is_rgb) for is_rgb in (False, True))
    mean = noise.mean(axis=2)
    assert grey.split("<h2>")[0] == make_page(report, mean, name="a", denoised=mean).split("<h2>")[0]
    assert grey != colour
    assert ("channels", "independent") in report.rows()


def test_costs_count_each_independent_channel(tmp_path, noise, dyes, quick):
    Image.fromarray(noise).save(tmp_path / "a.png")
    planned = {}
    for said in ("rgb", "independent"):
        request = DenoiseRequest(source=Path(), target=Path(), settings=quick, device="cpu", channels=said)
        plan = plan_batch(Batch(inputs=[tmp_path], out=tmp_path / "out", request=request, share_network=False), jobs=1)
        planned[said] = {file.item.name: (file.image_shape, file.image_counts) for file, _ in plan.files}
    one, three = ((24, 32, 3), (1,)), ((24, 32, 1), (1, 1, 1))
    assert set(planned["rgb"].values()) == {one}
    assert set(planned["independent"].values()) == {three}


def test_an_inspected_stack_costs_what_its_channels_take(rng, quick):
    stack = rng.normal(100, 10, (2, 3, 32, 32)).astype(np.float32)
    memory = [inspect_stack(stack, axes="TCYX", channels=said, settings=quick, device="cpu", time_updates=False)
              for said in ("auto", "joint")]  # fmt: skip
    assert [report.channels for report in memory] == ["independent", "joint"]
    assert memory[1].memory_bytes > memory[0].memory_bytes
