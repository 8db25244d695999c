"""Laws of the bias of a tone curve: it is undone where it is, and nothing else is touched."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mashpix import check, denoise_and_check, preset
from mashpix.arrays import tones
from mashpix.arrays.normalization import normalize
from mashpix.refine.tone_bias import GRID, LINEAR, expected_bias, find_tone_bias, remove_tone_bias, tone_curve
from mashpix.refine.tuning import TUNED

QUICK = preset("fast").replace(steps=4, masks=1, channels=6)


def dark_scene(side=96):
    """Tones (3, H, W) of a dark scene: soft ramps."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    return np.stack([0.12 + 0.25 * rows, 0.1 + 0.2 * columns, 0.1 + 0.2 * rows * columns])


def photograph(tones, *, offset=2e-3, slope=4e-3, seed=0):
    """R11: noise in linear light, clipping, the tone curve, 8 bits."""
    linear = np.interp(tones, GRID, LINEAR)
    noise = np.random.default_rng(seed).normal(size=tones.shape) * np.sqrt(offset + slope * linear)
    return np.rint(255 * tone_curve(np.clip(linear + noise, 0, 1))).astype(np.uint8)


def local_means(noisy, side=16):
    """What a denoiser without bias of its own gives: means of blocks."""
    count = noisy.shape[1] // side
    means = noisy.reshape(3, count, side, count, side).mean(axis=(2, 4))
    return np.kron(means, np.ones((side, side)))


def flat(array):
    return array.reshape(3, -1) / 255


@pytest.fixture(scope="module")
def averaged():
    noisy = photograph(dark_scene(256))
    return noisy, local_means(noisy)


def test_the_inverse_of_the_mean_removes_most_of_the_bias(averaged):
    noisy, means = averaged
    found = find_tone_bias(flat(noisy), flat(means))
    truth = local_means(255 * dark_scene(256))
    before, after = (np.abs((result - truth).mean()) for result in (means, 255 * remove_tone_bias(means / 255, found)))
    assert before > 3
    assert after < 0.25 * before


def test_what_is_corrected_leaves_the_mean_that_the_noise_is_expected_to_have(averaged):
    noisy, means = averaged
    found = find_tone_bias(flat(noisy), flat(means))
    corrected = remove_tone_bias(flat(means), found)
    residual = (flat(noisy) - corrected).mean(axis=1)
    assert residual == pytest.approx(expected_bias(corrected, found).mean(axis=1), abs=0.1 * np.abs(residual).max())


@pytest.mark.parametrize("kind", ["symmetric noise", "too few pixels"])
def test_noise_without_a_tone_curve_shows_no_bias(kind):
    side = 256 if kind == "symmetric noise" else 32
    clean = 255 * dark_scene(side)
    noisy = photograph(dark_scene(side)).astype(float)
    if kind == "symmetric noise":
        noisy = clean + np.random.default_rng(0).normal(0, 15, clean.shape)
    assert find_tone_bias(flat(noisy), flat(local_means(noisy))) is None


def run(image, **settings):
    options = {"channel_axis": 0, "channels": "rgb", "device": "cpu", "settings": QUICK.replace(**settings)}
    return denoise_and_check(image, **options)


@pytest.fixture(scope="module")
def photo():
    return photograph(dark_scene())


@pytest.mark.parametrize("value", [0, 255])
def test_pixels_without_data_change_nothing_in_how_tones_are_corrected(photo, value):
    def corrected(image):
        normalized = normalize(image, channel_axis=0, data_range=None, scale="percentiles", is_rgb=True, find=False)
        low, unit = normalized.low[:, None, None], normalized.unit[:, None, None]
        result = torch.from_numpy((local_means(np.asarray(image)) - low) / unit)[None].float()
        result, change = tones.without_tone_bias(result, normalized)
        return result[0].numpy() * unit + low, change

    part = photo[:, :64, :64].copy()
    image = np.ma.masked_all_like(photo)
    image.data[:] = value
    image[:, :64, :64] = part
    alone, change = corrected(part)
    beside, same_change = corrected(image)
    assert change > 1
    assert same_change == pytest.approx(change, rel=1e-4)
    np.testing.assert_allclose(beside[:, :64, :64], alone, atol=1e-2)


def test_a_dark_photo_becomes_lighter_and_the_report_says_so(photo):
    plain, corrected = run(photo, tone_correction=False), run(photo)
    assert plain.report.tone_change is None
    assert corrected.report.tone_change > 1
    assert any("tone curve" in note for note in corrected.report.notes)
    truth = 255 * dark_scene()
    errors = [np.abs((result.image - truth).mean()) for result in (plain, corrected)]
    assert errors[1] < 0.5 * errors[0]


def test_a_corrected_mean_is_no_lost_brightness(photo):
    corrected = run(photo).image
    options = {"channel_axis": 0, "channels": "rgb"}
    assert check(photo, corrected, **options).measures["offset"] < 0.12
    assert check(photo, corrected + np.uint8(15), **options).reason.startswith("brightness changed")


@pytest.mark.parametrize("how", ["floats", "dyes"])
def test_only_colour_photos_are_corrected(photo, how):
    image = photo.astype(np.float32) if how == "floats" else photo
    options = {"channel_axis": 0, "channels": "rgb" if how == "floats" else "joint", "device": "cpu"}
    one, other = (
        denoise_and_check(image, settings=QUICK.replace(tone_correction=asked), **options) for asked in (True, False)
    )
    assert one.report.tone_change is None
    np.testing.assert_array_equal(one.image, other.image)


OTHERS = {
    "n_tone_levels": 8,
    "min_in_tone_level": 10**6,
    "max_tones": 2**12,
    "max_tone_misfit": 1e-9,
    "skewness_limits": (3.0, 4.0),
    "min_tone_change": 1.0,
    "black_share": 1.0,
}


@pytest.mark.parametrize("name", OTHERS)
def test_each_tuned_constant_changes_some_result(name, monkeypatch):
    noisy = photograph(dark_scene(128) - 0.08)
    normalized = normalize(noisy, channel_axis=0, data_range=None, scale="percentiles", is_rgb=True)
    low, unit = (values[:, None, None] for values in (normalized.low, normalized.unit))
    means = torch.from_numpy((local_means(noisy) - low) / unit)[None]
    shipped, _ = tones.without_tone_bias(means, normalized)
    assert not torch.equal(shipped, means)
    monkeypatch.setattr(tones, "TUNED", replace(TUNED, **{name: OTHERS[name]}))
    assert not torch.equal(tones.without_tone_bias(means, normalized)[0], shipped)
