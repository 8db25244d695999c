"""Laws of normalization: its inverse restores any array, holes and range are kept, bad arrays are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mashpix.arrays.blending import blend
from mashpix.arrays.normalization import is_blank, normalize, spread_to_array, to_array, to_picture
from mashpix.errors import InputError, UsageError

CPU = torch.device("cpu")
DTYPES = ["uint8", "uint16", "int8", "int16", "uint32", "int32", "float16", "float32", "float64", ">u2", ">f4"]


def through(image, *, channel_axis=None, data_range=None, scale="percentiles", multiple=32):
    normalized = normalize(image, channel_axis=channel_axis, data_range=data_range, scale=scale)
    return to_array(to_picture(normalized, multiple=multiple, device=CPU).pixels, normalized)


@given(
    dtype=st.sampled_from(DTYPES),
    height=st.integers(8, 40),
    width=st.integers(8, 40),
    channels=st.sampled_from([None, 1, 2, 3, 5]),
    axis=st.integers(-3, 2),
    scale=st.sampled_from(["data-range", "percentiles"]),
    data=st.data(),
)
def test_in_and_out_keeps_every_array(dtype, height, width, channels, axis, scale, data):
    shape = [height, width]
    if channels is not None:
        shape.insert(axis % 3, channels)
    seed = data.draw(st.integers(0, 2**31))
    kind = np.dtype(dtype)
    values = np.random.default_rng(seed).random(shape)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        image = (limits.min + values * (float(limits.max) - limits.min)).astype(kind)
        tolerance = (float(limits.max) - limits.min) * 2.0**-23
    else:
        image = (values * 1000 - 300).astype(kind)
        tolerance = 1000 * (2.0**-10 if kind.itemsize == 2 else 2.0**-23)
    result = through(image, channel_axis=None if channels is None else axis, scale=scale)
    assert result.shape == image.shape
    assert result.dtype == image.dtype
    assert np.abs(result.astype(np.float64) - image.astype(np.float64)).max() <= tolerance


@given(hnp.arrays(np.float32, (9, 11), elements=st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, 2.0])))
def test_holes_come_back_where_they_were(image):
    if np.isfinite(image).mean() < 0.02:
        return
    result = through(image)
    np.testing.assert_array_equal(result[~np.isfinite(image)], image[~np.isfinite(image)])
    assert np.isfinite(result[np.isfinite(image)]).all()


def test_padding_and_holes_are_invalid_and_zero():
    image = np.ones((10, 40), dtype=np.float32)
    image[3, 5] = np.nan
    image[0, 0] = 5
    picture = to_picture(
        normalize(image, channel_axis=None, data_range=None, scale="data-range"), multiple=32, device=CPU
    )
    assert picture.pixels.shape == (1, 1, 32, 64)
    assert picture.valid.sum() == 10 * 40 - 1
    assert not picture.pixels[~picture.valid].any()


@pytest.mark.parametrize("scale", ["data-range", "percentiles"])
def test_the_inside_does_not_depend_on_the_units(scale, rng):
    image = rng.integers(0, 256, (32, 32)).astype(np.float64)
    pictures = []
    for gain, offset in ((1, 0), (257, 0), (16, 100), (0.37, -5.2), (1e-9, 3e-8)):
        normalized = normalize(image * gain + offset, channel_axis=None, data_range=255 * gain, scale=scale)
        pictures.append(to_picture(normalized, multiple=32, device=CPU))
        assert pictures[-1].unit.item() == pytest.approx(pictures[0].unit.item() * gain)
    for picture in pictures[1:]:
        torch.testing.assert_close(picture.pixels, pictures[0].pixels, rtol=0, atol=1e-6)


def test_unsigned_integers_are_measured_in_what_they_can_hold():
    normalized = normalize(np.full((8, 8), 100, np.uint8), channel_axis=None, data_range=None, scale="data-range")
    assert (normalized.low[0], normalized.high[0]) == (0, 255)
    normalized = normalize(np.full((8, 8), 100, np.uint16), channel_axis=None, data_range=4095, scale="data-range")
    assert (normalized.low[0], normalized.high[0]) == (0, 4095)


def test_results_stay_within_the_values_of_the_input():
    image = np.linspace(-3, 7, 64, dtype=np.float32).reshape(8, 8)
    normalized = normalize(image, channel_axis=None, data_range=None, scale="percentiles")
    wild = torch.linspace(-5, 5, 64).reshape(1, 1, 8, 8)
    result = to_array(wild, normalized)
    assert (result.min(), result.max()) == (-3, 7)


def test_the_spread_is_in_the_units_of_the_input(rng):
    image = rng.integers(0, 4096, (8, 8, 2)).astype(np.uint16)
    normalized = normalize(image, channel_axis=-1, data_range=4095, scale="data-range")
    spread = spread_to_array(torch.full((1, 2, 8, 8), 0.5), normalized)
    assert spread.shape == (8, 8, 2)
    assert spread.dtype == np.float32
    np.testing.assert_allclose(spread, 0.5 * 4095)


def test_constant_is_said_of_constant_channels_only():
    image = np.zeros((8, 8, 2))
    image[..., 1] = 7
    image[0, 0, 0] = np.nan
    assert is_blank(np.moveaxis(image, 2, 0))
    image[1, 1, 1] = 8
    assert not is_blank(np.moveaxis(image, 2, 0))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((9, 9), bool), {}, r"kind of value \(bool; convert it to uint8"),
        (np.zeros((9, 9), complex), {}, r"complex128; denoise its real and imaginary"),
        (np.full((9, 9), "a"), {}, "numbers needed"),
        (np.zeros((7, 100)), {}, r"too small .*100 x 7 pixels; at least 8"),
        (np.zeros((0, 0)), {}, "too small"),
        (np.zeros((9, 9, 0)), {"channel_axis": 2}, "too small"),
        (np.zeros(100), {}, "two axes"),
        (np.zeros((9, 9, 3)), {}, r"shape \(9, 9, 3\); for colour or channels give channel_axis"),
        (np.zeros((9, 9)), {"channel_axis": 0}, "three axes"),
        (np.zeros((9, 9, 3)), {"channel_axis": 3}, "none of the three axes"),
        (np.full((9, 9), np.nan), {}, "100.0% are without"),
        (np.broadcast_to(np.uint8(0), (2**15, 2**15 + 1)), {}, r"too large \(1073774592 values"),
    ],
)
def test_what_cannot_be_denoised_is_refused_in_one_line(image, options, message):
    options = {"channel_axis": None, "data_range": None, "scale": "percentiles"} | options
    with pytest.raises(InputError, match=message) as caught:
        normalize(image, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data_range", [0, -1, np.nan, np.inf])
def test_a_data_range_that_is_not_positive_is_refused(data_range):
    with pytest.raises(UsageError, match="positive"):
        normalize(np.zeros((9, 9)), channel_axis=None, data_range=data_range, scale="percentiles")


def test_blending_goes_from_noisy_to_denoised(rng):
    noisy, denoised = rng.integers(0, 256, (2, 9, 9)).astype(np.uint8)
    np.testing.assert_array_equal(blend(noisy, denoised, strength=0.0), noisy)
    np.testing.assert_array_equal(blend(noisy, denoised, strength=1.0), denoised)
    half = blend(noisy, denoised, strength=0.5).astype(float)
    assert np.abs(half - (noisy.astype(float) + denoised) / 2).max() <= 0.5
    holed = np.where(noisy > 128, np.nan, noisy.astype(float))
    np.testing.assert_array_equal(np.isnan(blend(holed, denoised.astype(float), strength=0.5)), np.isnan(holed))


@pytest.mark.parametrize("strength", [-0.1, 1.1, np.nan])
def test_a_strength_outside_its_limits_is_refused(strength):
    with pytest.raises(UsageError, match="strength"):
        blend(np.zeros((2, 2)), np.zeros((2, 2)), strength=strength)
    with pytest.raises(InputError, match="shapes"):
        blend(np.zeros((2, 2)), np.zeros((2, 3)), strength=0.5)
