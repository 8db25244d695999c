"""Laws of detail: none gives the result as it is, noise is never returned, texture is, and its mean stays."""

import numpy as np
import pytest

from mashpix import add_detail
from mashpix.errors import UsageError
from mashpix.simulation import correlated_noise


def textured(dtype=np.float64, channels=None, size=128):
    """A noisy picture with a weave in its lower half, and a result that has lost most of it."""
    y, x = np.mgrid[:size, :size]
    weave = 25.0 * np.sin(1.4 * x) * np.sin(1.1 * y) * (y >= size // 2)
    clean = 100 + (weave if channels is None else np.repeat(weave[..., None], channels, axis=2))
    noisy = clean + correlated_noise(clean.shape, sigma=5, beta=0.5, rng=np.random.default_rng(0))
    flat = 100 + 0.2 * (clean - 100)
    return (
        (noisy, flat, clean) if dtype is np.float64 else tuple(np.rint(a).astype(dtype) for a in (noisy, flat, clean))
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_no_detail_gives_the_result_as_it_is(dtype):
    noisy, flat, _ = textured(dtype)
    result = add_detail(noisy, flat, detail=0.0)
    np.testing.assert_array_equal(result, flat)
    assert result is not flat
    assert result.dtype == dtype


@pytest.mark.parametrize("channels", [None, 3])
def test_texture_comes_back_and_noise_does_not(channels):
    noisy, flat, clean = textured(channels=channels)
    result = add_detail(noisy, flat, detail=1.0, channel_axis=None if channels is None else -1)
    np.testing.assert_array_equal(result[:48], flat[:48])
    lost, left = (np.square(picture[72:] - clean[72:]).mean() for picture in (flat, result))
    assert left < 0.3 * lost


def test_more_detail_is_more_of_the_same():
    noisy, flat, _ = textured()
    half, whole = (add_detail(noisy, flat, detail=detail) - flat for detail in (0.5, 1.0))
    np.testing.assert_allclose(half, whole / 2, atol=1e-4)


def test_an_offset_is_no_detail():
    noisy, flat, _ = textured()
    assert add_detail(noisy + 3.0, flat, detail=1.0).mean() == pytest.approx(
        add_detail(noisy, flat, detail=1.0).mean(), abs=0.1
    )


def test_channels_may_lie_anywhere():
    noisy, flat, _ = textured(channels=3)
    last = add_detail(noisy, flat, detail=1.0, channel_axis=-1)
    first = add_detail(np.moveaxis(noisy, -1, 0), np.moveaxis(flat, -1, 0), detail=1.0, channel_axis=0)
    np.testing.assert_allclose(np.moveaxis(first, 0, -1), last, atol=1e-9)


def test_holes_stay_as_they_are_and_do_not_spread():
    noisy, flat, _ = textured()
    noisy[90:100, 20:40] = np.nan
    holed = np.where(np.isnan(noisy), np.nan, flat)
    result = add_detail(noisy, holed, detail=1.0)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(noisy))


@pytest.mark.parametrize("detail", [-0.1, 1.1, float("nan")])
def test_detail_has_limits(detail):
    with pytest.raises(UsageError, match="outside its limits"):
        add_detail(np.zeros((16, 16)), np.zeros((16, 16)), detail=detail)
