"""Laws of the whole: any array comes back as it was, only cleaner; units, seeds and states behave."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mashpix import PRESETS, DeviceError, InputError, UsageError, denoise, denoise_steps, psnr
from mashpix.arrays import costs

REFINED = replace(PRESETS["default"], steps=20, channels=6, depth=2, masks=3)


def scene(height=48, width=48):
    """Smooth shapes with an edge, 0..1."""
    rows, columns = np.mgrid[0:height, 0:width] / 48
    return 0.3 + 0.2 * np.sin(3 * rows) + 0.3 * (columns > 0.5 + 0.2 * rows)


@pytest.fixture
def noisy(rng):
    return np.clip(200 * scene() + rng.normal(0, 20, (48, 48)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("preset", ["default", "scripts", "paper"])
def test_denoising_gains(preset, rng):
    clean = np.stack([200 * scene()] * 3, axis=-1)
    noisy = np.clip(clean + rng.normal(0, 25, clean.shape), 0, 255)
    settings = replace(PRESETS[preset], probe_steps=20, steps=120, channels=12, depth=3, learning_rate=4e-3)
    denoised = denoise(noisy, channel_axis=-1, data_range=255, settings=settings, device="cpu")
    assert psnr(clean, denoised, data_range=255) > psnr(clean, noisy, data_range=255) + 4


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", ">i2"])
@pytest.mark.parametrize(
    ("shape", "channel_axis"), [((8, 8), None), ((31, 37), None), ((2, 17, 8), 0), ((9, 33, 3), -1)]
)
def test_shape_and_dtype_stay(dtype, shape, channel_axis, quick, rng):
    image = (rng.random(shape) * 200 - (100 if "i" in np.dtype(dtype).kind else 0)).astype(dtype)
    before = image.copy()
    denoised = denoise(image, channel_axis=channel_axis, settings=quick, device="cpu")
    assert (denoised.shape, denoised.dtype) == (image.shape, image.dtype)
    assert image.min() <= denoised.min() <= denoised.max() <= image.max()
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("shape", [(2000, 10), (8, 301)])
def test_long_thin_pictures_work(shape, quick, rng):
    image = rng.random(shape)
    settings = replace(quick, window_size=64, tile_size=64, masking_ratio=None)
    assert denoise(image, settings=settings, device="cpu").shape == shape


@pytest.mark.parametrize(("gain", "offset"), [(257, 0), (16, 0), (1 / 255, 0), (0.37, -12.0), (1e6, 1e6)])
def test_the_result_does_not_depend_on_the_units(gain, offset, noisy):
    reference = denoise(noisy.astype(np.float64), settings=REFINED, device="cpu")
    scaled = denoise(noisy.astype(np.float64) * gain + offset, settings=REFINED, device="cpu")
    np.testing.assert_allclose(scaled, reference * gain + offset, rtol=0, atol=1e-3 * 255 * gain)


def test_integer_versions_of_one_picture_come_out_alike(noisy):
    eight = denoise(noisy, settings=REFINED, device="cpu").astype(float)
    twelve = denoise((noisy * np.uint16(16)), settings=REFINED, device="cpu").astype(float)
    assert np.abs(twelve / 16 - eight).max() <= 0.5 + 1 / 16


def test_published_presets_scale_with_the_data_range(noisy, quick):
    settings = replace(quick, masking_ratio=None)
    last = [
        list(denoise_steps(noisy * np.uint16(gain), data_range=255 * gain, settings=settings, device="cpu"))[-1]
        for gain in (1, 257)
    ]
    assert last[1].report.noise_level_gap == pytest.approx(last[0].report.noise_level_gap, rel=1e-3)
    assert last[1].report.low_noise_level == pytest.approx(257 * last[0].report.low_noise_level, rel=1e-3)


def test_the_same_seed_gives_the_same_bytes_and_no_global_state_is_touched(noisy, quick):
    settings = replace(quick, masking_ratio=None, shuffle="always", flat_threshold=1.0)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = denoise(noisy, settings=settings, seed=3, device="cpu")
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    torch.manual_seed(2)
    np.testing.assert_array_equal(denoise(noisy, settings=settings, seed=3, device="cpu"), first)
    assert (denoise(noisy, settings=settings, seed=4, device="cpu") != first).any()


@pytest.mark.parametrize("holes", [np.s_[5, 7], np.s_[:, 10:14], np.s_[:24]])
def test_holes_come_back_and_change_nothing_else(holes, noisy, quick):
    first, second = (noisy.astype(np.float32) for _ in range(2))
    first[holes], second[holes] = np.nan, np.inf
    denoised = denoise(first, settings=quick, device="cpu")
    np.testing.assert_array_equal(np.isnan(denoised), np.isnan(first))
    finite = ~np.isnan(first)
    np.testing.assert_array_equal(denoise(second, settings=quick, device="cpu")[finite], denoised[finite])


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_picture_comes_back_without_training(value, quick):
    image = np.full((20, 30), value, dtype=np.uint8)
    (step,) = denoise_steps(image, settings=quick, device="cpu")
    np.testing.assert_array_equal(step.denoised, image)
    assert step.report.constant
    assert "unchanged" in step.report.notes[0]
    assert not step.spread.any()


@pytest.mark.parametrize("name", ["hot pixel", "two levels", "saturated"])
def test_odd_pictures_stay_finite_and_in_range(name, noisy):
    image = noisy.astype(np.float32)
    if name == "hot pixel":
        image[20, 20] = 1e6
    elif name == "two levels":
        image = (image > 100).astype(np.float32)
    else:
        image = np.clip(image, 60, 90)
    denoised = denoise(image, settings=REFINED, device="cpu")
    assert np.isfinite(denoised).all()
    assert image.min() <= denoised.min() <= denoised.max() <= image.max()


def test_steps_tell_the_whole_story(noisy, quick):
    settings = replace(quick, masking_ratio=None, shuffle="never")  # else what it costs is in the plan, needed or not
    steps = list(denoise_steps(noisy, settings=settings, device="cpu", preview_every=2))
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert fractions[-2] == pytest.approx(1)
    pictures = [step.denoised for step in steps if step.denoised is not None]
    assert all((picture.shape, picture.dtype) == (noisy.shape, noisy.dtype) for picture in pictures)
    assert len(pictures) == 3
    last = steps[-1]
    assert last.stage == "done"
    assert last.spread.shape == noisy.shape
    assert last.report.masking_ratio in (0.1, 0.5, 0.9)
    assert set(last.report.seconds) == {step.stage for step in steps[:-1]}
    assert last.report.mean_spread == pytest.approx(float(last.spread.mean()), rel=1e-5)


@pytest.mark.parametrize("refine", [False, True])
def test_previews_do_not_change_the_result(refine, noisy, quick):
    settings = replace(quick, refine=refine)
    plain, watched = (
        [step.denoised for step in denoise_steps(noisy, settings=settings, device="cpu", preview_every=every)]
        for every in (0, 2)
    )
    np.testing.assert_array_equal(plain[-1], watched[-1])
    assert [picture is not None for picture in watched[:4]] == [False, True, False, True]
    assert all(picture is None for picture in plain[:-1])


def test_stopping_early_leaves_a_picture(noisy, quick):
    best = None
    for step in denoise_steps(noisy, settings=replace(quick, steps=10_000), device="cpu", preview_every=3):
        if step.denoised is not None:
            best = step.denoised
        if step.index == 7:
            break
    assert best.shape == noisy.shape


def test_bad_arguments_are_refused_before_the_first_step(noisy):
    with pytest.raises(InputError, match="channel_axis"):
        denoise_steps(np.zeros((9, 9, 3)))
    with pytest.raises(UsageError, match="preset"):
        denoise_steps(noisy, settings="better")
    with pytest.raises(UsageError, match="device"):
        denoise_steps(noisy, device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no such device"):
            denoise_steps(noisy, device="cuda")


def test_a_picture_that_does_not_fit_into_memory_is_refused(noisy, quick, monkeypatch):
    monkeypatch.setattr(costs, "available_memory", lambda: 10**6)
    with pytest.raises(InputError, match=r"about 0.7 GiB needed, 0.0 GiB free"):
        denoise_steps(noisy, settings=quick, device="cpu")


def test_several_fits_are_steps_of_their_own_and_change_the_result(noisy, quick):
    once, twice = (replace(quick, fits=fits, steps=4, masks=2) for fits in (1, 2))
    steps = list(denoise_steps(noisy, settings=twice, device="cpu"))
    assert [step.index for step in steps if step.stage == "fit 2"] == [1, 2, 3, 4]
    assert steps[-2].fraction == pytest.approx(1)
    assert not np.array_equal(steps[-1].denoised, denoise(noisy, settings=once, device="cpu"))
