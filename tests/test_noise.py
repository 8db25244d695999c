"""Laws of synthetic noise: the correlation that was asked for is there, the variance is what the model says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashpix import InputError
from mashpix import simulation as noise

DISTANCES = ["euclidean", "chebyshev", "manhattan"]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("beta", [0, 0.5, 1])
def test_the_measured_autocorrelation_is_the_one_reached(beta, distance, rng):
    field = noise.correlated_noise((1000, 1200), sigma=25, beta=beta, distance=distance, rng=rng)
    measured = noise.autocorrelation(field, radius=5)
    reached = noise.correlation_reached(beta=beta, distance=distance, radius=5)
    np.testing.assert_allclose(measured, reached, rtol=0, atol=0.012)
    assert field.std() == pytest.approx(25, rel=0.01)


def test_a_valid_covariance_is_reached_exactly():
    for beta in (0, 0.25, 0.5):
        np.testing.assert_allclose(
            noise.correlation_reached(beta=beta, radius=6), noise.correlation_asked(beta=beta, radius=6), atol=1e-9
        )


def test_the_published_projection_is_reached():
    reached = noise.correlation_reached(beta=1, radius=2)[2:, 2:]
    assert (reached[1, 0], reached[1, 1], reached[2, 0]) == pytest.approx((0.653, 0.509, 0.320), abs=1e-3)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_projection_does_not_depend_on_the_torus(distance):
    options = {"beta": 1, "distance": distance}
    large = noise.correlation_reached(**options, radius=300)[300 - 4 : 300 + 5, 300 - 4 : 300 + 5]
    np.testing.assert_allclose(noise.correlation_reached(**options, radius=4), large, atol=2e-4)


def test_opposite_borders_are_uncorrelated(rng):
    draws = np.stack([noise.correlated_noise((40, 231), sigma=1, beta=1, rng=rng) for _ in range(150)])
    assert abs((draws[:, :, 0] * draws[:, :, -1]).mean()) < 0.06
    assert (draws[:, :, 0] * draws[:, :, 1]).mean() > 0.5


@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)) | st.tuples(*[st.integers(1, 30)] * 2, st.integers(1, 4)),
    seed=st.integers(0, 2**31),
)
def test_any_size_and_the_same_seed_gives_the_same_noise(shape, seed):
    first, second = (noise.correlated_noise(shape, sigma=3, beta=1, rng=np.random.default_rng(seed)) for _ in range(2))
    assert first.shape == shape
    np.testing.assert_array_equal(first, second)


def test_channels_are_independent_or_shared(rng):
    independent = noise.correlated_noise((300, 300, 3), sigma=1, beta=1, rng=rng)
    assert abs((independent[..., 0] * independent[..., 2]).mean()) < 0.05
    shared = noise.correlated_noise((300, 300, 3), sigma=1, beta=1, shared=True, rng=rng)
    assert (shared == shared[..., :1]).all()


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (5,)}, {"shape": (0, 5)}, {"sigma": -1}, {"sigma": np.nan}, {"beta": 1.1}, {"beta": -0.1}, {"k": 0},
        {"distance": "taxi"},
    ],
)  # fmt: skip
def test_parameters_outside_their_limits_are_refused(options, rng):
    options = {"shape": (20, 20), "sigma": 1, "beta": 1, "rng": rng} | options
    with pytest.raises(InputError):
        noise.correlated_noise(options.pop("shape"), **options)


@pytest.mark.parametrize("value", [0.0, 3.0, 50.0, 4000.0])
def test_poisson_gaussian_variance_grows_with_the_value(value, rng):
    noisy = noise.add_poisson_gaussian(np.full((400, 400), value), gain=2.5, sigma=4, rng=rng)
    variance = 2.5 * value + 16
    assert noisy.mean() == pytest.approx(value, abs=5 * (variance / 160_000) ** 0.5)
    assert noisy.var() == pytest.approx(variance, rel=0.03)


def test_poisson_gaussian_refuses_what_cannot_be_counted(rng):
    with pytest.raises(InputError, match="negative"):
        noise.add_poisson_gaussian(np.array([-1.0]), gain=1, sigma=0, rng=rng)
    with pytest.raises(InputError, match="gain"):
        noise.add_poisson_gaussian(np.array([1.0]), gain=0, sigma=0, rng=rng)


def test_camera_noise_is_correlated_and_depends_on_the_value(rng):
    deviations = []
    for value in (0.1, 0.3, 0.6):
        noisy = noise.add_camera_noise(np.full((200, 200, 3), value), electrons=2000, rng=rng)
        field = noisy[..., 1] - noisy[..., 1].mean()
        assert noise.autocorrelation(field, radius=1)[1, 2] > 0.2
        assert noisy.mean() == pytest.approx(value, abs=0.02)
        linear = np.where(noisy <= 0.04045, noisy / 12.92, ((noisy + 0.055) / 1.055) ** 2.4)
        deviations.append(linear[..., 1].std())
    assert deviations == sorted(deviations)
    assert deviations[2] > 1.5 * deviations[0]


def test_a_camera_without_noise_gives_smooth_pictures_back(rng):
    rows, columns = np.mgrid[0:61, 0:47] / 61
    clean = np.stack([0.2 + 0.5 * rows, 0.8 - 0.4 * columns, 0.3 + 0.2 * rows * columns], axis=-1)
    perfect = noise.add_camera_noise(clean, electrons=np.inf, read_noise=0, jpeg_quality=None, rng=rng)
    np.testing.assert_allclose(perfect, clean, atol=0.02)
    grey = noise.add_camera_noise(clean[..., 0], electrons=np.inf, read_noise=0, jpeg_quality=None, rng=rng)
    np.testing.assert_allclose(grey, clean[..., 0], atol=0.02)


def test_the_jpeg_is_eight_bit(rng):
    noisy = noise.add_camera_noise(np.full((32, 32, 3), 0.5), jpeg_quality=80, rng=rng)
    np.testing.assert_allclose(noisy * 255, np.rint(noisy * 255), atol=1e-9)


@pytest.mark.parametrize("clean", [np.zeros((9, 9, 4)), np.zeros(9), np.full((9, 9, 3), 1.5), np.full((9, 9), np.nan)])
def test_what_a_camera_cannot_see_is_refused(clean, rng):
    with pytest.raises(InputError):
        noise.add_camera_noise(clean, rng=rng)


def test_no_global_random_state_is_touched(rng):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    noise.correlated_noise((20, 20), sigma=1, beta=1, rng=rng)
    noise.add_camera_noise(np.full((20, 20, 3), 0.5), rng=rng)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
