"""Pixels without data: never changed, and never looked at by anything that denoises, judges, draws or inspects."""

import numpy as np
import pytest

import mashpix
from mashpix.errors import InputError

QUICK = mashpix.preset("fast").replace(steps=4, masks=2, channels=4, depth=2)
EVERY = {"settings": QUICK, "device": "cpu"}


@pytest.fixture
def noisy(rng):
    """Steps of brightness with noise, integers."""
    clean = np.repeat(np.arange(100, 900, 100), 8) * np.ones((64, 1))
    return np.rint(clean + rng.normal(0, 20, clean.shape)).astype(np.int16)


@pytest.fixture
def missing():
    """A corner, and a few pixels inside."""
    rows, columns = np.indices((64, 64))
    return (rows + columns < 30) | (rows == 40) & (columns > 50)


@pytest.fixture(params=[-9999, 500])
def filled(request, noisy, missing):
    """The same image, with another value where data are missing."""
    return np.where(missing, np.int16(request.param), noisy)


def test_what_a_missing_pixel_holds_changes_nothing_else(noisy, filled, missing):
    first, second = (mashpix.denoise(image, missing=missing, **EVERY) for image in (noisy, filled))
    assert np.array_equal(first[~missing], second[~missing])
    assert np.array_equal(second[missing], filled[missing])
    assert not np.array_equal(first[~missing], noisy[~missing])


def test_a_masked_array_is_an_image_with_missing_pixels(noisy, missing):
    masked = mashpix.denoise(np.ma.array(noisy, mask=missing), **EVERY)
    assert not np.ma.isMaskedArray(masked)
    assert np.array_equal(masked, mashpix.denoise(noisy, missing=missing, **EVERY))


def test_missing_pixels_of_floats_are_as_nan(noisy, missing):
    image = noisy.astype(np.float32)
    first = mashpix.denoise(image, missing=missing, **EVERY)
    second = mashpix.denoise(np.where(missing, np.float32(np.nan), image), **EVERY)
    assert np.array_equal(first[~missing], second[~missing])


def test_the_largest_float_may_stand_for_missing_pixels(noisy, missing):
    image = noisy.astype(np.float32)
    least = np.where(missing, np.finfo(np.float32).min, image)
    first, second = (mashpix.denoise(each, missing=missing, **EVERY) for each in (image, least))
    assert np.array_equal(first[~missing], second[~missing])
    assert np.array_equal(second[missing], least[missing])


@pytest.mark.parametrize("networks", ["shared", "each"])
def test_a_stack_misses_pixels_plane_by_plane(noisy, filled, missing, networks):
    mask = np.stack([missing, np.zeros_like(missing), missing[::-1]])
    stacks = [np.stack([image, noisy, np.where(missing[::-1], image[::-1], noisy)]) for image in (noisy, filled)]
    first, second = (
        mashpix.denoise_stack(stack, axes="ZYX", missing=mask, networks=networks, **EVERY) for stack in stacks
    )
    assert np.array_equal(first[~mask], second[~mask])
    assert np.array_equal(second[mask], stacks[1][mask])


def test_judging_drawing_and_blending_do_not_look_at_missing_pixels(noisy, filled, missing):
    denoised = mashpix.denoise(noisy, missing=missing, **EVERY)
    results = []
    for image in (noisy, filled):
        result = np.where(missing, image, denoised)
        options = {"missing": missing}
        blended = mashpix.blend(image, result, strength=0.5, **options)
        detailed = mashpix.add_detail(image, result, detail=1.0, **options)
        assert np.array_equal(blended[missing], image[missing])
        assert np.array_equal(detailed[missing], image[missing])
        results.append(
            [
                mashpix.check(image, result, **options),
                mashpix.compare(image, result, **options),
                blended[~missing].tolist(),
                detailed[~missing].tolist(),
                mashpix.inspect(image, time_updates=False, device="cpu", **options),
            ]
        )
        for report in results[-1][4:]:
            object.__setattr__(report, "memory_free_bytes", 0)
    assert results[0] == results[1]


def test_a_report_counts_missing_pixels(noisy, missing):
    report = mashpix.denoise_and_check(noisy, missing=missing, **EVERY).report
    assert report.hole_fraction == pytest.approx(missing.mean())
    assert f"{missing.sum()} of {missing.size} values hold no data: left out and kept" in report.notes


def test_a_mask_of_channels_may_be_that_of_one_plane(noisy, missing):
    image = np.stack([noisy, noisy[::-1]], axis=-1)
    result = mashpix.denoise(image, channel_axis=-1, missing=missing, **EVERY)
    assert np.array_equal(result[missing], image[missing])
    assert not np.array_equal(result[~missing], image[~missing])


@pytest.mark.parametrize("mask", [np.zeros((3, 3), bool), np.zeros((64, 64))])
def test_a_mask_of_another_shape_or_kind_is_refused(noisy, mask):
    with pytest.raises(InputError, match="`missing`"):
        mashpix.denoise(noisy, missing=mask, **EVERY)
