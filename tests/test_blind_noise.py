"""Laws of the noise that is measured in the noisy image alone: texture is not taken for it, a photo's is left alone."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from mashpix import denoise, psnr
from mashpix.picture import Picture
from mashpix.refine.autocovariance import FREQUENCY, REACH, SIDE, SLOW, halved, spectrum_of
from mashpix.refine.blind_noise import measure_blind_noise
from mashpix.refine.colour import to_channels
from mashpix.refine.noise_level_function import _envelope
from mashpix.refine.residual_noise import NoiseModel, brightness_limit
from mashpix.refine.tuning import TUNED
from mashpix.refine.variance_model import CONSTANT
from mashpix.simulation import correlated_noise

SIGMA = 0.04


def fur(tint=(1.0, 1.0, 1.0), side=128):
    """Texture all over: no block is calm."""
    strands = gaussian_filter(np.random.default_rng(1).standard_normal((side, side)), (2, 0.7))
    return (0.5 + 0.06 * strands / strands.std()) * np.reshape(tint, (3, 1, 1))


def noise_of(beta=0.0, *, channels=3, side=128):
    noise = correlated_noise((side, side, channels), sigma=SIGMA, beta=beta, rng=np.random.default_rng(2))
    return noise.transpose(2, 0, 1)


def measured(array, *, unit=1.0):
    pixels = torch.from_numpy(np.asarray(array, np.float32))[None]
    picture = Picture(pixels, torch.ones_like(pixels) == 1, torch.full((len(array),), unit), is_rgb=len(array) == 3)
    return measure_blind_noise(picture, to_channels(picture, pixels)[0])


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.8, 0.6)])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_texture_of_one_colour_is_not_taken_for_independent_noise(tint, beta):
    noise = measured(fur(tint) + noise_of(beta))
    variance, beside = noise.autocovariance[0][0, :2]
    assert abs(variance / SIGMA**2 - 1) < 0.15
    assert (beside > 0.2 * variance) == (beta > 0)


def test_the_noise_of_unequal_channels_is_their_mean_in_the_brightness():
    levels = np.array([0.8, 1.3, 1.0])[:, None, None]
    noise = measured(fur() + levels * noise_of())
    assert abs(noise.autocovariance[0][0, 0] / np.square(levels * SIGMA).mean() - 1) < 0.15


def test_noise_of_a_processed_photo_is_left_to_the_residual():
    blurred = gaussian_filter(noise_of(), (0, 1, 1))
    for noise in (noise_of() + 2 * noise_of().mean(axis=0), 3 * blurred + 3 * blurred.mean(axis=0)):
        assert measured(0.5 + noise) is None


def test_rounding_a_tinted_grey_image_makes_no_independent_noise():
    grey = 128 + 255 * noise_of(channels=1)
    tinted = np.rint(grey * np.reshape([1.02, 1.0, 0.96], (3, 1, 1))) / 255
    assert measured(tinted) is None


def test_where_calm_parts_hold_rounding_alone_others_may_hold_noise():
    """As in photos whose calm parts a camera has smoothed."""
    ramp = 0.4 + 0.2 * np.linspace(0, 1, 128)[:, None] * np.ones((3, 1, 128))
    values = 255 * ramp + 0.15 * noise_of() / SIGMA
    values[:, :, 80:] += 5 * gaussian_filter(noise_of()[:, :, 80:], (0, 1, 1)) / SIGMA
    assert measured(np.rint(values) / 255, unit=255.0) is None
    assert measured(values / 255, unit=255.0) is not None


def test_the_noise_of_a_grey_image_is_that_of_its_calm_parts():
    calm = fur()[:1]
    calm[:, :, :40] = 0.5
    noise = measured(calm + noise_of(channels=1))
    assert abs(noise.autocovariance[0][0, 0] / SIGMA**2 - 1) < 0.3


def autocovariance_of(noise, lags):
    rows, columns = noise.shape
    return np.array(
        [[(noise[y:, x:] * noise[: rows - y, : columns - x]).mean() for x in range(lags)] for y in range(lags)]
    )


def test_noise_at_half_the_size_is_that_of_the_means_of_four_pixels():
    noise = correlated_noise((512, 512), sigma=1, beta=0.5, rng=np.random.default_rng(0))
    half = noise.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    found = halved(autocovariance_of(noise, REACH + 1))[:4, :4]
    np.testing.assert_allclose(found, autocovariance_of(half, 4), atol=0.01)


def test_white_noise_has_the_same_variance_in_every_coefficient():
    white = np.zeros((REACH + 1, REACH + 1))
    white[0, 0] = 2.0
    for side in (8, 16):
        np.testing.assert_allclose(spectrum_of(white, side), 2.0, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_textured_image_is_not_worse_than_its_input(channels):
    clean = 255 * fur(side=96)[:channels].transpose(1, 2, 0)
    if channels == 1:
        clean[:, :30] = 128  # without a calm part, texture and noise of one channel are alike
    noisy = clean + 255 * noise_of(channels=channels, side=96).transpose(1, 2, 0)
    kind = {"channel_axis": -1, "channels": "rgb" if channels == 3 else "independent"}
    result = denoise(noisy.astype(np.float32), settings="fast", device="cpu", **kind)
    assert psnr(clean, result, data_range=255) > psnr(clean, noisy, data_range=255)


def processed(clean, rng):
    """Noise as a camera leaves it: hardly any in the colours."""
    noise = 3 * gaussian_filter(rng.standard_normal(clean.shape[:2]), 0.5)[..., None]
    return np.rint(np.clip(clean + noise + 0.3 * rng.standard_normal(clean.shape), 0, 255)).astype(np.uint8)


def test_texture_of_a_processed_photo_is_not_taken_for_noise(rng):
    clean = 255 * fur((1.0, 0.8, 0.6), side=96).transpose(1, 2, 0)
    result = denoise(processed(clean, rng), channel_axis=-1, channels="rgb", settings="fast", device="cpu")
    assert psnr(clean, result, data_range=255) > 34  # no more is lost than what may pass for noise; 27.6 without R17


def noise_model(levels, slow):
    psd = torch.tensor(levels)[:, None].square().repeat(1, SIDE**2)
    psd[:, FREQUENCY <= SLOW] = torch.tensor(slow)[:, None].square()
    return NoiseModel(psd, CONSTANT, is_rgb=True)


def test_noise_that_is_in_the_colours_too_is_not_limited():
    noise = noise_model([0.05, 0.02, 0.03], [0.05, 0.06, 0.06])
    assert brightness_limit(noise, white=1.0, tuning=TUNED) >= noise.power()[0]


def test_strong_noise_is_limited_where_the_colours_hold_none():
    noise = noise_model([0.2, 0.001, 0.001], [0.2, 0.002, 0.004])
    assert brightness_limit(noise, white=1.0, tuning=TUNED) == pytest.approx(TUNED.max_cleaned_noise**2)


def test_a_grey_image_stored_as_rgb_is_denoised_as_one_channel():
    grey = 255 * (fur(side=96)[0] + noise_of(channels=1, side=96)[0])
    grey[:, :30] = 128 + 255 * noise_of(channels=1, side=96)[0, :, :30]
    colour = np.stack([grey] * 3, axis=-1).astype(np.float32)
    results = (
        denoise(image, settings="fast", device="cpu", **kind)
        for image, kind in ((grey.astype(np.float32), {}), (colour, {"channel_axis": -1, "channels": "rgb"}))
    )
    alone, as_rgb = results
    assert np.std(as_rgb[..., 0] - alone) < 0.25 * np.std(grey - alone)


def test_an_image_without_noise_comes_back_unchanged():
    """Steps and soft discs, as in a screenshot: the calmest blocks hold nothing at all."""
    rows, columns = np.mgrid[:128, :128]
    discs = sum(np.clip(9 - np.hypot(rows - 20 * k, columns - 24 * k), 0, 1) for k in range(1, 6))
    image = (40 + 30 * (columns // 40) + 90 * discs).astype(np.uint8)
    noise = measured(image[None] / 255)
    assert 0 < noise.model(SIDE, torch.ones(1)).psd.min() < 1e-6
    np.testing.assert_array_equal(denoise(image, settings="fast", device="cpu"), image)


@pytest.mark.parametrize(("channels", "gain"), [(1, 1.0), (3, 0.2)])
def test_a_grey_jpeg_is_denoised_though_its_calm_parts_are_clean(channels, gain):
    """A smooth tenth of the image is free of noise, as a camera may leave it."""
    rows, columns = np.mgrid[:192, :192] / 192
    clean = 110 + 40 * rows + 30 * np.sin(25 * columns) * (columns > 0.1)
    noise = gaussian_filter(np.random.default_rng(0).standard_normal((192, 192)), 0.5)
    noisy = clean + 4 * noise / noise.std() * (columns > 0.1)
    file = io.BytesIO()
    Image.fromarray(np.rint(noisy).astype(np.uint8)).save(file, "JPEG", quality=75)
    photo = np.asarray(Image.open(file))
    image = photo if channels == 1 else np.repeat(photo[..., None], 3, axis=2)
    result = denoise(image, channel_axis=None if channels == 1 else -1, settings="fast", device="cpu")
    result = result if channels == 1 else result[..., 0]
    assert psnr(clean, result, data_range=255) > psnr(clean, photo, data_range=255) + gain


def test_levels_of_equal_brightness_make_no_line():
    """As in an image that repeats one tile: the level line is left, and nothing warns."""
    offset, slope = _envelope(np.array([0.5, 0.5, 0.5]), np.array([1.0, 1.2, 3.0]))
    assert slope == 0
    assert offset in {1.0, 1.2, 3.0}
