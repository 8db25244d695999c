"""The metrics agree with scikit-image, an independent program."""

import numpy as np
import pytest

from mashpix import InputError, UsageError, psnr, ssim

metrics = pytest.importorskip("skimage.metrics", reason="scikit-image, the oracle, is not installed")


@pytest.mark.parametrize(
    ("dtype", "data_range"), [("uint8", 255), ("uint16", 65535), ("float64", 1.0), ("float32", 2.5)]
)
@pytest.mark.parametrize(("shape", "axis"), [((7, 7), None), ((33, 20), None), ((21, 34, 3), -1), ((2, 19, 8), 0)])
def test_they_agree_with_scikit_image(dtype, data_range, shape, axis, rng):
    clean, noise = rng.random(shape), rng.normal(0, 0.1, shape)
    pair = [(np.clip(values, 0, 1) * data_range).astype(dtype) for values in (clean, clean + noise)]
    exact = [values.astype(np.float64) for values in pair]
    assert psnr(*pair, data_range=data_range) == pytest.approx(
        metrics.peak_signal_noise_ratio(*exact, data_range=data_range), abs=1e-9
    )
    assert ssim(*pair, data_range=data_range, channel_axis=axis) == pytest.approx(
        metrics.structural_similarity(*exact, data_range=data_range, channel_axis=axis), abs=1e-9
    )


def test_equal_pictures_are_perfect():
    picture = np.arange(100, dtype=np.uint8).reshape(10, 10)
    assert psnr(picture, picture, data_range=255) == float("inf")
    assert ssim(picture, picture, data_range=255) == 1


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_what_cannot_be_compared_is_refused(metric):
    with pytest.raises(InputError, match="different shapes"):
        metric(np.zeros((8, 8)), np.zeros((8, 9)), data_range=1)
    for data_range in (0, -1, np.nan):
        with pytest.raises(UsageError, match="positive"):
            metric(np.zeros((8, 8)), np.zeros((8, 8)), data_range=data_range)


def test_a_picture_smaller_than_the_window_is_refused():
    with pytest.raises(InputError, match="too small"):
        ssim(np.zeros((6, 20)), np.zeros((6, 20)), data_range=1)
