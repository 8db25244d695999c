"""Laws of finishing on the command line: blend, detail, verdict and comparison, after the run and in it."""

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from commands import QUICK, names, pixels, run_here
from mashpix import add_detail
from mashpix.errors import InputError
from mashpix.trust.comparison_sheet import compare
from mashpix.trust.finishing import finish


@pytest.fixture
def folder(tmp_path, rng):
    clean = np.full((48, 64, 3), 100.0) + 60 * (np.arange(64) > 32)[None, :, None]
    noisy = np.rint(clean + rng.normal(0, 8, clean.shape)).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.png", dpi=(300, 300))
    Image.fromarray(clean.astype(np.uint8)).save(tmp_path / "clean.png")
    Image.fromarray(noisy[:40]).save(tmp_path / "small.png")
    return tmp_path


def test_blend_mixes_a_finished_result_and_keeps_the_metadata_of_the_input(folder):
    options = ("--strength", "0.5", "--detail", "0.5", "--compare", "c.png")
    done = run_here("blend", "noisy.png", "clean.png", *options, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "verdict: good (" in done.stdout
    noisy, clean, mixed = (pixels(folder / name) for name in ("noisy.png", "clean.png", "clean_blended.png"))
    detailed = add_detail(noisy, clean, detail=0.5, channel_axis=-1)
    np.testing.assert_allclose(mixed, (noisy.astype(float) + detailed) / 2, atol=0.51)
    with Image.open(folder / "clean_blended.png") as image, Image.open(folder / "c.png") as sheet:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert sheet.width > 3 * 64


def test_the_caller_says_what_channels_are(folder):
    noisy, clean = pixels(folder / "noisy.png").copy(), pixels(folder / "clean.png")
    noisy[8:40, 8:40] += (40 * (np.indices((32, 32)).sum(axis=0) % 2)[..., None]).astype(np.uint8)
    Image.fromarray(noisy).save(folder / "texture.png")
    found = []
    for channels in ("rgb", "independent"):
        options = ("--detail", 1, "--channels", channels, "-o", f"{channels}.png")
        assert run_here("blend", "texture.png", "clean.png", *options, cwd=folder).returncode == 0
        found.append(pixels(folder / f"{channels}.png"))
        expected = add_detail(noisy, clean, detail=1.0, channel_axis=-1, channels=channels)
        np.testing.assert_array_equal(found[-1], expected)
    assert (found[0] != found[1]).any()
    done = run_here("blend", "noisy.png", "clean.png", "--channels", "colour", cwd=folder)
    assert (done.returncode, "--channels: unknown choice ('colour'" in done.stderr) == (2, True)


@pytest.mark.parametrize("strength", [0.2, 0.9])
def test_noise_that_is_left_in_on_purpose_is_no_lost_signal(strength, rng):
    clean = 100 + 40 * np.sin(np.arange(96) / 7)[None, :] * np.cos(np.arange(96) / 9)[:, None]
    noisy = clean + rng.normal(0, 10, clean.shape)
    mixed, verdict = finish(noisy, clean, strength=strength, detail=0.0)
    np.testing.assert_allclose(mixed, noisy + strength * (clean - noisy))
    assert verdict == finish(noisy, clean, strength=1.0, detail=0.0)[1]
    assert verdict.verdict == "good"


REFUSED = [
    (("noisy.png", "small.png"), 1, "is no version of it (uint8 (40, 64, 3); uint8 (48, 64, 3) needed)"),
    (("noisy.png", "clean.png", "-o", "small.png"), 1, "the output exists"),
    (("noisy.png", "clean.png", "-o", "noisy.png", "--overwrite"), 1, "the output is the input itself"),
    (("noisy.png", "clean.png", "-o", "clean.png", "--overwrite"), 1, "the output is the input itself"),
    (("noisy.png", "clean.png", "-o", "x.png", "--compare", "x.png"), 2, "are one file"),
    (("noisy.png", "clean.png", "--detail", "2"), 2, "--detail"),
    (("none.png", "clean.png"), 1, "cannot be read"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED)
def test_what_cannot_be_blended_is_refused_and_nothing_is_written(arguments, code, message, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = run_here("blend", *arguments, cwd=folder)
    assert done.returncode == code
    assert message in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_run_has_detail_a_comparison_and_its_verdict_in_the_recipe(folder):
    done = run_here("denoise", "noisy.png", *QUICK, "--detail", "0.7", "--compare", "c.png", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].startswith("verdict: ")
    assert "c.png" in names(folder)
    recipe = json.loads((folder / "noisy_denoised.png.json").read_text())
    assert recipe["detail"] == 0.7
    assert recipe["report"]["verdict"]["verdict"] in done.stdout
    assert recipe["report"]["held_out_error"] > 0
    again = run_here(
        "denoise", "noisy.png", "--recipe", "noisy_denoised.png.json", "-o", "again.png", "--compare", "again.png",
        cwd=folder,
    )  # fmt: skip
    assert (again.returncode, "--compare is another output" in again.stderr) == (2, True)


SHAPES = [((64, 64), None), ((9, 300), None), ((100, 80, 3), -1), ((2, 40, 40), 0), ((8, 8, 5), -1)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_any_picture_can_be_compared(shape, axis, dtype, rng):
    noisy = rng.integers(0, 200, shape).astype(dtype)
    with Image.open(BytesIO(compare(noisy, noisy // 2, channel_axis=axis))) as sheet:
        assert (sheet.format, sheet.mode) == ("PNG", "RGB")


def test_zero_residual_is_mid_grey_and_holes_do_no_harm():
    noisy = np.full((64, 64), 10.0)
    noisy[0, 0] = np.nan
    sheet = np.asarray(Image.open(BytesIO(compare(noisy, noisy))))
    assert (sheet[60, 700] == 128).all()
    with pytest.raises(InputError, match="nothing finite"):
        compare(noisy * np.nan, noisy)


def test_a_crop_of_faint_structure_is_stretched_by_itself(rng):
    noisy = np.repeat([1000.0, 1000.0, 0.0, 60_000.0], 64) * np.ones((128, 1))
    denoised = noisy.copy()
    noisy[:, :128] += rng.normal(0, 2, (128, 128))
    sheet = np.asarray(Image.open(BytesIO(compare(noisy, denoised))))
    assert sheet[-200:-50, 50:200].std() > 30
