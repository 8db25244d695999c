"""Laws of the verdict: it holds on noise alone, turns on each kind of damage, and needs no unit."""

import numpy as np
import pytest
import torch
from scipy.fft import idctn
from scipy.ndimage import gaussian_filter

from mashpix import Verdict, check
from mashpix.errors import InputError
from mashpix.jobs.recipe import to_json
from mashpix.simulation import correlated_noise
from mashpix.trust.residual_tails import measure_tails
from mashpix.trust.verdict import GOOD, LOOK, LOST, RULES, counted_rules

SIGMA = 10.0


def clean_picture(size=192):
    """Steps, discs and a ramp, as wide as the noise can be measured between them."""
    y, x = np.mgrid[:size, :size]
    picture = 60 + 0.4 * x + 40.0 * (x // 48 % 2)
    for row, column in ((60, 60), (120, 150)):
        picture = picture + 80.0 * (np.hypot(y - row, x - column) < 9)
    return gaussian_filter(picture, 0.7)


def noisy_picture(beta, channels=None):
    clean = clean_picture()
    clean = clean if channels is None else np.stack([clean * factor for factor in (1, 0.8, 0.6)], axis=-1)
    return clean, clean + correlated_noise(clean.shape, sigma=SIGMA, beta=beta, rng=np.random.default_rng(0))


def without_disc(clean):
    erased = clean.copy()
    erased[45:76, 45:76] = erased[100:131, 45:76]
    return erased


DAMAGES = {
    "over-blurred": lambda clean: gaussian_filter(clean, 3, axes=(0, 1)),
    "shifted": lambda clean: np.roll(clean, (1, 1), axis=(0, 1)),
    "object erased": without_disc,
    "offset": lambda clean: clean + 0.4 * SIGMA,
}


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("beta", [0, 0.5, 1])
def test_noise_alone_is_good_whatever_its_correlation(beta, channels):
    clean, noisy = noisy_picture(beta, channels)
    assert check(noisy, clean, channel_axis=None if channels is None else -1).verdict == GOOD


def test_texture_that_passed_for_noise_is_seen(rng):
    """What shrinking removes of texture has no coefficient above a threshold."""
    strength = np.exp(-np.hypot(*np.indices((16, 16))) / 6)
    coefficients = rng.uniform(-1, 1, (16, 16, 16, 16)) * strength
    removed = 20 * idctn(coefficients, axes=(2, 3), norm="ortho").swapaxes(1, 2).reshape(256, 256)
    rule = next(rule for rule in RULES if rule.measure == "short_tails")
    for residual, seen in ((removed, True), (correlated_noise((256, 256), sigma=20, beta=1, rng=rng), False)):
        measures = measure_tails(torch.from_numpy(residual), torch.ones((256, 256), dtype=torch.bool))
        assert (rule in counted_rules(measures) and measures["short_tails"] > rule.look) == seen


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_turns_the_verdict(damage, channels):
    clean, noisy = noisy_picture(0.5, channels)
    verdict = check(noisy, DAMAGES[damage](clean), channel_axis=None if channels is None else -1)
    assert verdict.verdict == LOST, verdict


def test_an_error_that_lies_everywhere_is_seen():
    clean, noisy = noisy_picture(0)
    elsewhere = np.random.default_rng(1).normal(size=clean.shape)
    error = gaussian_filter(elsewhere, 2)
    verdict = check(noisy, clean + SIGMA * 1.5 * error / error.std())
    assert verdict.verdict == LOST, verdict


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("damage", [None, *DAMAGES])
def test_each_channel_that_is_no_colour_is_judged(damage, channels):
    clean, noise = clean_picture(), np.random.default_rng(0).normal(0, SIGMA, (channels, 192, 192))
    units = np.array([1.0, 1e3, 1e-3, 10.0])[:channels, None, None]
    noisy, denoised = units * (clean + noise), units * np.stack([clean] * channels)
    if damage is None:
        assert check(noisy, denoised, channel_axis=0).verdict == GOOD
        return
    denoised[1] = units[1] * DAMAGES[damage](clean)
    verdict = check(noisy, denoised, channel_axis=0)
    assert verdict.verdict == LOST
    assert verdict.reason.startswith("channel 1: ")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("shifted", "picture shifted by"),
        ("object erased", "a structure in the residual"),
        ("offset", "brightness changed by 0.39"),
    ],
)
def test_the_reason_names_what_was_done(damage, words):
    clean, noisy = noisy_picture(0)
    assert words in check(noisy, DAMAGES[damage](clean)).reason


def test_the_place_is_where_the_object_was_erased():
    clean, noisy = noisy_picture(0.5)
    top, left, height, width = check(noisy, without_disc(clean)).place
    assert top < 76
    assert top + height > 45
    assert left < 76
    assert left + width > 45


def test_what_is_wrong_everywhere_has_no_place():
    clean, noisy = noisy_picture(0.5)
    assert check(noisy, clean + 0.4 * SIGMA).place is None


def test_a_faint_cast_on_a_grey_picture_kept_as_rgb_does_not_matter():
    clean, noisy = noisy_picture(0)
    grey, cast = np.dstack([noisy] * 3), np.dstack([clean + 0.01 * SIGMA, clean, clean - 0.01 * SIGMA])
    assert check(grey, cast, channel_axis=-1).verdict == GOOD


def test_a_shift_far_below_the_noise_does_not_matter():
    y, x = np.mgrid[-128:128, -128:128]
    clean = 100 * np.exp(-(y**2 + x**2) / (2 * 40**2))
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape)
    verdict = check(noisy, np.roll(clean, 1, axis=0))
    assert verdict.measures["displacement_error"] > 5
    assert verdict.measures["displacement_level"] < 0.2
    assert verdict.verdict == GOOD


def test_the_unit_does_not_matter():
    clean, noisy = noisy_picture(0)
    damaged = clean + 0.15 * SIGMA
    plain, scaled = check(noisy, damaged), check(noisy * 257 + 1000, damaged * 257 + 1000)
    assert plain.verdict == scaled.verdict == LOOK
    for name, value in plain.measures.items():
        factor = 257 if name in ("residual_level", "mean_change") else 1
        assert scaled.measures[name] == pytest.approx(value * factor, rel=0.02, abs=0.01), name


def test_holes_are_left_out():
    clean, noisy = noisy_picture(0)
    noisy[:40, 100:120] = np.nan
    verdict = check(noisy, np.where(np.isnan(noisy), np.nan, clean))
    assert verdict.verdict == GOOD
    assert all(np.isfinite(value) for value in verdict.measures.values())


def test_flat_blocks_without_noise_give_finite_measures():
    """As after a blend of small strength in 8 bits: rounding leaves flat places as they were."""
    noisy = np.random.default_rng(0).integers(100, 103, (96, 96)).astype(np.uint8)
    noisy[:, 60:] += (np.arange(96) % 2).astype(np.uint8)[:, None] * 90
    denoised = noisy.copy()
    denoised[:, 64:] -= 1
    assert all(np.isfinite(value) for value in check(noisy, denoised).measures.values())


def test_what_cannot_be_measured_is_not_called_good():
    tiny = np.random.default_rng(0).normal(size=(12, 12))
    assert check(tiny, np.zeros_like(tiny)).verdict == LOOK


def test_an_unchanged_picture_is_good():
    _, noisy = noisy_picture(0)
    assert check(noisy, noisy) == Verdict(GOOD, "nothing was changed")


def test_a_verdict_is_plain_data():
    clean, noisy = noisy_picture(0)
    assert b'"structure"' in to_json(check(noisy, clean).to_dict())


@pytest.mark.parametrize(
    ("noisy", "denoised", "message"),
    [
        (np.zeros((16, 16)), np.zeros((16, 17)), "different shapes"),
        (np.zeros((16, 16)), np.zeros((16, 16), dtype=complex), "another kind of value"),
        (np.zeros((4, 4)), np.zeros((4, 4)), "too small"),
    ],
)
def test_bad_pictures_are_refused(noisy, denoised, message):
    with pytest.raises(InputError, match=message):
        check(noisy, denoised)


def test_measures_are_finite_where_flat_parts_are_unchanged(rng):
    denoised = np.arange(128.0) * np.ones((128, 1))
    denoised[40:90, 40:90] += 500 * (np.arange(50) % 8 > 3)
    noisy = denoised.copy()
    noisy[40:90, 40:90] += rng.normal(0, 100, (50, 50))
    assert all(np.isfinite(value) for value in check(noisy, denoised).measures.values())
