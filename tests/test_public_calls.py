"""Laws of the public calls: one gives everything, models and stacks have theirs, former ways work with a warning."""

from dataclasses import replace

import numpy as np
import pytest

import mashpix
from mashpix import PRESETS, add_detail, blend, check, check_stack, denoise, denoise_and_check

TINY = replace(PRESETS["fast"], steps=4, channels=6, depth=2, masks=2)


@pytest.fixture
def steps_of_brightness(rng):
    """Sixteen levels (128, 128) with noise of 10, and without."""
    clean = np.repeat(np.arange(0, 128, 16.0), 16) * np.ones((128, 1))
    return clean + rng.normal(0, 10, clean.shape), clean


def test_one_call_gives_image_spread_report_and_verdict(steps_of_brightness):
    noisy, _ = steps_of_brightness
    everything = denoise_and_check(noisy, settings=TINY, device="cpu")
    denoised = denoise(noisy, settings=TINY, device="cpu")
    np.testing.assert_array_equal(everything.image, denoised)
    assert everything.verdict == check(noisy, denoised)
    assert everything.report.mean_spread == pytest.approx(everything.spread.mean())


def test_strength_and_detail_change_the_image_not_the_verdict(steps_of_brightness):
    noisy, _ = steps_of_brightness
    plain, mixed = (denoise_and_check(noisy, settings=TINY, device="cpu", strength=value) for value in (1.0, 0.5))
    np.testing.assert_allclose(mixed.image, (plain.image + noisy) / 2)
    assert mixed.verdict == plain.verdict


def test_the_verdict_on_a_stack_is_that_on_its_worst_plane(steps_of_brightness):
    noisy, clean = (np.stack([array] * 3) for array in steps_of_brightness)
    assert check_stack(noisy, clean, axes="TYX").verdict == "good"
    clean[1] += 5
    verdict = check_stack(noisy, clean, axes="TYX")
    assert verdict.verdict == "signal lost"
    assert "1 of 3 planes not good, the worst is T 1" in verdict.reason


def test_a_model_is_fitted_to_images_and_applied_to_others(rng):
    images = rng.normal(100, 5, (3, 32, 40)).astype(np.float32)
    model = mashpix.fit_model(images[:2], settings=TINY, device="cpu")
    assert isinstance(model, mashpix.Model)
    denoised = mashpix.apply_model(model, images, axes="TYX", device="cpu")
    assert (denoised.shape, denoised.dtype) == (images.shape, images.dtype)
    np.testing.assert_array_equal(denoised[2], mashpix.apply_model(model, images[2], axes="YX", device="cpu"))


def test_a_model_shows_channels_that_are_not_one_scene_jointly(rng):
    image = rng.normal(100, 5, (3, 32, 32))
    model = mashpix.fit_model([image], channel_axis=0, settings=TINY, device="cpu")
    assert (model.channels, model.is_rgb) == (3, False)
    assert mashpix.apply_model(model, image, axes="CYX", channels="joint", device="cpu").shape == image.shape


@pytest.mark.parametrize(("function", "name"), [(blend, "strength"), (add_detail, "detail")])
def test_options_by_position_work_with_a_warning(function, name, steps_of_brightness):
    expected = function(*steps_of_brightness, **{name: 0.5})
    with pytest.warns(DeprecationWarning, match=name):
        former = function(*steps_of_brightness, 0.5)
    np.testing.assert_array_equal(former, expected)


def test_noise_is_synthesised_in_a_public_module():
    assert mashpix.simulation.gaussian_noise is not None
