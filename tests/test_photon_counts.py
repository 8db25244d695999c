"""R23: where the variance of whole numbers is their mean, the noise is known; anything else is measured as before."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import mashpix
from mashpix.arrays.normalization import normalize, to_picture
from mashpix.refine.colour import to_channels
from mashpix.refine.photon_counts import measure_photon_counts

TINT = np.array([1.0, 0.6, 0.1])[:, None, None]
QUICK = mashpix.preset("fast").replace(steps=60, masks=4)


def light(photons, *, channels=1, side=128):
    """Mean photons: texture on a ramp, in three colours as different as those of linear photos."""
    texture = gaussian_filter(np.random.default_rng(1).standard_normal((side, side)), 0.8)
    plane = photons * (0.3 + np.linspace(0, 1.4, side)) * np.clip(1 + 0.3 * texture / texture.std(), 0.2, 3)
    return plane * TINT if channels == 3 else gaussian_filter(plane, 4)[None]


def counts_of(mean):
    return np.random.default_rng(2).poisson(mean).astype(np.float32)


def picture_of(array):
    normalized = normalize(array, channel_axis=0, data_range=None, scale="min-max", is_rgb=len(array) == 3)
    return to_picture(normalized, multiple=16, device=torch.device("cpu"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("photons", [30, 200])
def test_the_variance_of_counts_is_their_mean(photons, channels):
    mean = light(photons, channels=channels)
    picture = picture_of(counts_of(mean))
    noise = measure_photon_counts(picture).model(8, picture.pixels)
    clean = torch.from_numpy(mean).float() / picture.unit[:, None, None] + picture.zero[:, None, None]
    y, x = to_channels(picture, clean[None])
    expected = noise.psd.mean(dim=1)[:, None, None] * noise.variance_model.ratio(noise.brightness(x))
    found = (y - x).square()
    for bright in (slice(0, 32), slice(96, 128)):
        ratio = found[..., bright].mean(dim=(1, 2)) / expected[..., bright].mean(dim=(1, 2))
        assert ratio.numpy() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    "change",
    [
        lambda counts: 2 * counts,
        lambda counts: counts + 100,
        lambda counts: counts + 0.5,
        lambda counts: np.rint(gaussian_filter(counts, (0, 0.7, 0.7))),
        lambda counts: counts.clip(max=255).astype(np.uint8),
        lambda counts: (
            np.where(np.arange(128) == 0, np.arange(128)[:, None] * 2 + 1, counts).clip(max=255).astype(np.uint8)
        ),
    ],
    ids=["gain", "offset", "no whole numbers", "blurred", "photo of 8 bits", "of all values"],
)
def test_other_values_are_no_counts(change):
    counts = counts_of(light(60, channels=3))
    assert measure_photon_counts(picture_of(counts)) is not None
    assert measure_photon_counts(picture_of(change(counts))) is None


def test_counts_of_textured_colours_come_back_closer_to_their_mean():
    mean = light(100, channels=3)
    counts = counts_of(mean)
    denoised = mashpix.denoise(counts, channel_axis=0, channels="rgb", settings=QUICK, device="cpu")
    assert np.square(denoised - mean).mean() < 0.7 * np.square(counts - mean).mean()
